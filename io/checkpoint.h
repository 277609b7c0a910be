/* Checkpoints: one HDF5 file that says all about a denoising at one moment, whatever the
 * layout of the ranks (docs/checkpoint.md). The denoised latents of a run are such a
 * file too, one without anything pending.
 *
 * A file is written under a hidden name, sealed with its size and the hash of all its
 * bytes, flushed to the disk and renamed; what was there before stays until then. */
#ifndef HR_IO_CHECKPOINT_H
#define HR_IO_CHECKPOINT_H

#include "base/hash.h"
#include "base/status.h"
#include "comm/group.h"

#include <stdint.h>

enum { HR_CHECKPOINT_MAX_HISTORY = 8, HR_CHECKPOINT_MAX_BRANCHES = 8 };

/* One window of one step, done with all its branches: 0 <= step < n_steps, 0 <= window <
 * n_frames. */
typedef struct hr_round {
    int32_t step, window;
} hr_round;

/* Something that waits to be used: a sample of a frame that is further already
 * (kind HR_PENDING_SAMPLE), or a window's prediction of a frame. 0 <= step <= n_steps, -1
 * <= window < n_frames, -1 <= branch < HR_CHECKPOINT_MAX_BRANCHES. */
enum { HR_PENDING_SAMPLE = 0, HR_PENDING_PREDICTION = 1 };
typedef struct hr_pending {
    int32_t kind, step, window, branch, frame;
} hr_pending;

/* F32 [n, width]; n 0: none. */
typedef struct hr_checkpoint_embeds {
    int64_t n, width;
    const float *data;
} hr_checkpoint_embeds;

/* The same on all ranks. Strings and arrays are borrowed by a save, and the reader's own
 * after an open. */
typedef struct hr_checkpoint_head {
    int64_t n_frames, channels, height, width; /* latent */
    int n_history;                             /* tensors of a frame's sampler history */
    int n_steps;                               /* of the whole render */
    const char *job, *model; /* identity: lines "key<tab>value" (cli/identity.h) */
    const char *job_yaml;    /* the job as it ran */
    hr_checkpoint_embeds prompt, negative_prompt;
    const hr_round *rounds; /* done, of steps that are not done for all windows */
    int64_t n_rounds;
    int steps_done;      /* of all frames */
    int64_t rounds_done; /* in all */
    int64_t n_pending; /* after an open: of all ranks together; a save does not read it */
} hr_checkpoint_head;

/* State of one frame. Tensors are F32 [C, h, w], host. */
typedef struct hr_checkpoint_frame {
    int step; /* steps that its sample has been through */
    float *x;
    float *history[HR_CHECKPOINT_MAX_HISTORY];
    hr_hash *hashes; /* [n_steps]: of the sample after each step, zeros where not done or
                        not taken */
} hr_checkpoint_frame;

/* What this rank has. The functions fill what they are given; HR_OK or a logged failure.
 */
typedef struct hr_checkpoint_source {
    int64_t first_frame, n_frames; /* own */
    int64_t n_pending;
    hr_status (*frame)(void *user, int64_t frame, hr_checkpoint_frame *out);
    hr_status (*pending)(void *user, int64_t i, hr_pending *head, float *data);
    void *user;
} hr_checkpoint_source;

/* Collective over the group of all ranks: writes `path`, whose folder all of them see.
 * Every rank returns the same status. A disk that is full is found before anything is
 * written: HR_ERR_NOMEM, logged with path, bytes needed and free. After any failure what
 * was there before is there still, and nothing else. */
hr_status hr_checkpoint_save(hr_group *group, const char *path,
                             const hr_checkpoint_head *head,
                             const hr_checkpoint_source *source);

/* Upper bound of the file's size, for an estimate of disk. Pure. n_rounds and n_pending
 * of the head count. */
uint64_t hr_checkpoint_bytes(const hr_checkpoint_head *head);

/* Collective over `group`, or local where it is NULL: whether the file is whole, by its
 * seal. HR_ERR_CHECKPOINT, logged on rank 0 with path, found, expected; HR_ERR_IO when it
 * cannot be read. */
hr_status hr_checkpoint_verify(hr_group *group, const char *path);

typedef struct hr_checkpoint hr_checkpoint;
/* Local; any number of ranks may have the same file open. Checks the seal's head, names,
 * types and sizes: HR_ERR_CHECKPOINT, logged, for anything else than what a save writes.
 * Caller closes (NULL is fine). */
hr_status hr_checkpoint_open(const char *path, hr_checkpoint **out);
void hr_checkpoint_close(hr_checkpoint *checkpoint);

const hr_checkpoint_head *hr_checkpoint_get_head(const hr_checkpoint *checkpoint);
/* Fills the parts of `out` that are not NULL, and the step. A sample that is not the one
 * whose hash was taken after its step: HR_ERR_CHECKPOINT, logged. */
hr_status hr_checkpoint_read_frame(hr_checkpoint *checkpoint, int64_t frame,
                                   hr_checkpoint_frame *out);
/* [n_pending], lent. */
const hr_pending *hr_checkpoint_get_pending(const hr_checkpoint *checkpoint);
hr_status hr_checkpoint_read_pending(hr_checkpoint *checkpoint, int64_t i, float *data);

#endif
