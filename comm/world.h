/* All ranks of this run: how they are started, found out about, watched and ended.
 *
 * Under mpirun or srun the world is MPI's; otherwise it is this process alone, and MPI is
 * never started. A pretended world (for estimates) has any size and transfers nothing: it
 * counts what would be sent, receives are done at once and give zeros.
 *
 * Every wait in comm/ has a deadline, polls (spins for some microseconds, then yields,
 * then sleeps: ranks may share cores), notices when another rank has given up
 * (hr_world_give_up) or died, and then returns a status; it never hangs. */
#ifndef HR_COMM_WORLD_H
#define HR_COMM_WORLD_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hr_world hr_world;
typedef struct hr_group hr_group; /* group.h */

enum { HR_HOST_NAME_BYTES = 64, HR_PHASE_BYTES = 64 };

/* Collective over all processes that were started together. Starts MPI where the
 * environment says that a launcher started this process (OMPI_COMM_WORLD_SIZE, PMI_RANK,
 * PMIX_RANK, ...). MPI that cannot start: HR_ERR_DEVICE, logged. Caller closes. */
hr_status hr_world_open(hr_world **out);
/* Local. This process alone, whoever started it. */
hr_status hr_world_open_alone(hr_world **out);
/* Local. A world of `size` ranks, `ranks_per_host` on each host, seen by `rank`. */
hr_status hr_world_open_pretended(int rank, int size, int ranks_per_host, hr_world **out);
/* Collective where all is well; after a rank was lost it does not wait for anybody. Takes
 * NULL. */
void hr_world_close(hr_world *world);

/* The group of all ranks. Lent. */
hr_group *hr_world_group(hr_world *world);
bool hr_world_is_pretended(const hr_world *world);

/* Local facts about any rank, known to all since the start. */
typedef struct hr_rank_info {
    char host[HR_HOST_NAME_BYTES];
    int host_index;           /* hosts are numbered by their lowest rank */
    int local_index, n_local; /* of the ranks on its host */
    int64_t pid;
} hr_rank_info;
const hr_rank_info *hr_world_rank_info(const hr_world *world, int rank);
int hr_world_n_hosts(const hr_world *world);

/* Seconds that a wait may take before the rank waited for counts as lost (600). */
void hr_world_set_deadline(hr_world *world, double seconds);

/* Local: this rank has failed (or was asked to stop) with `status` and will answer nobody
 * but hr_group_agree. The others' waits end with the same status, quietly: the cause has
 * been logged here. From then on until hr_world_recover all communication but agree
 * fails. */
void hr_world_give_up(hr_world *world, hr_status status);
/* Collective, after all ranks have agreed on a failure: the world can be used again by
 * groups, mailboxes and links made from now on. HR_ERR_DEVICE when a rank is lost for
 * good. */
hr_status hr_world_recover(hr_world *world);

/* What a rank tells rank 0 about itself now and then (the latest counts). */
typedef struct hr_report {
    char phase[HR_PHASE_BYTES]; /* "denoise step 3 window 2" */
    int64_t step, units_done;
    double work_seconds, wait_seconds; /* since the start of the stage */
} hr_report;
/* Local, cheap, sends without waiting; the phase is also what messages about this rank
 * say. */
void hr_world_report(hr_world *world, const hr_report *report);
/* On rank 0: the latest of `rank` and its age in seconds. False when it never sent one.
 */
bool hr_world_latest_report(const hr_world *world, int rank, hr_report *out, double *age);
/* On rank 0, called now and then: HR_ERR_TIMEOUT, logged with rank, host and phase, when
 * a rank that has reported once has been silent for longer than the deadline. */
hr_status hr_world_check_silence(hr_world *world);

/* Local, from any thread while the world is open: a rank that is lost, or that is on
 * this host and whose process has ended; -1: none. For the thread that watches signals:
 * mpirun stops all ranks with SIGTERM when one has died, and this tells that from a wish
 * to stop. A process that has ended by itself looks no different: a rank that leaves
 * because of a lost one stays until the others have looked. */
int hr_world_find_lost(const hr_world *world);

/* Local and quick: lets messages in flight make progress, for long computations. Returns
 * the status with which another rank gave up, or HR_OK. */
hr_status hr_world_progress(hr_world *world);

/* What this rank has sent and waited for since the start or the last reset, by purpose.
 */
typedef enum hr_traffic {
    HR_TRAFFIC_HALO = 0, /* latents and predictions of frames */
    HR_TRAFFIC_STAGE,    /* hidden states */
    HR_TRAFFIC_TENSOR,   /* partial sums */
    HR_TRAFFIC_ROWS,     /* of the decoder: halos, gathered maps, pictures */
    HR_TRAFFIC_OTHER,
    HR_TRAFFIC_COUNT
} hr_traffic;
const char *hr_traffic_name(hr_traffic traffic);
typedef struct hr_traffic_stats {
    uint64_t bytes[HR_TRAFFIC_COUNT], messages[HR_TRAFFIC_COUNT]; /* sent by this rank */
    uint64_t bytes_between_hosts[HR_TRAFFIC_COUNT];               /* part of the above */
    double wait_seconds[HR_TRAFFIC_COUNT];
} hr_traffic_stats;
hr_traffic_stats hr_world_traffic(const hr_world *world);
/* Local. For tests of a single exchange. */
void hr_world_reset_traffic(hr_world *world);

#endif
