/* status.json of a run folder: how far a run is, for people elsewhere and other programs.
 * Local.
 *
 * Rewritten as a whole under a temporary name and renamed, so a reader never sees half of
 * it. Each write is flushed to the disk: about once a second is enough. Fields:
 * docs/run-folder.md. */
#ifndef HR_IO_STATUS_FILE_H
#define HR_IO_STATUS_FILE_H

#include "base/status.h"
#include "base/text.h"
#include "io/json.h"

#include <stdint.h>
#include <time.h>

typedef enum hr_run_state {
    HR_RUN_RUNNING = 0,
    HR_RUN_DONE,
    HR_RUN_STOPPED, /* on request */
    HR_RUN_FAILED
} hr_run_state;

typedef struct hr_run_status {
    hr_run_state state;
    const char *stage;        /* "text", "denoise", "decode"; NULL: none yet */
    int64_t step, steps;      /* denoised, of */
    int64_t window, windows;  /* of the step at work: done, of; 0 of 0 elsewhere */
    int64_t unit, units;      /* of the stage: done, of */
    int64_t frame, frames;    /* decoded, of */
    double step_seconds;      /* mean so far; 0: unknown */
    double eta_seconds;       /* until the stage is done; negative: unknown */
    int n_ranks;              /* 0 counts as 1 */
    const char *layout;       /* as people read it; NULL: unknown */
    const char *const *hosts; /* the machines of the ranks, each once */
    int n_hosts;
    const char *slowest_host; /* NULL: no rank stands out */
    int slowest_rank;
    double slowest_factor; /* its time over the median of the ranks */
    time_t started;
    time_t ends;            /* its time limit; 0: none */
    const char *checkpoint; /* path of what a new call would go on from; NULL: nothing */
    time_t checkpointed;    /* when that was written */
    const char *output;     /* where the result goes; NULL: nowhere */
    const char *result;     /* path of the film or picture; NULL: none (yet) */
    const char *error;      /* why it failed, or stopped by itself; NULL: neither */
} hr_run_status;

/* Adds the time of writing, the process and the host. */
hr_status hr_status_file_write(const char *path, const hr_run_status *status);

/* A status with what its writer added: the latest news of the run. */
typedef struct hr_run_report {
    hr_run_status status;
    time_t updated;
    const char *host;
    int64_t pid;        /* on `host` */
    hr_json *document;  /* owned; holds all strings */
    const char **hosts; /* owned; what status.hosts points to */
} hr_run_report;

/* HR_ERR_FORMAT, logged, for a file that is no status; HR_ERR_IO when it cannot be read.
 * Caller frees. */
hr_status hr_status_file_read(const char *path, hr_run_report *out);
/* Takes a zeroed one. */
void hr_run_report_free(hr_run_report *report);

/* The members of the JSON object as the file has them, without its braces. */
hr_status hr_run_report_format(const hr_run_report *report, hr_text *out);

#endif
