/* status.json of a run folder: how far a run is, for other programs to read. Local.
 *
 * Rewritten as a whole under a temporary name and renamed, so a reader never sees half of
 * it. Each write is flushed to the disk: about once a second is enough. Fields:
 * docs/run-folder.md. */
#ifndef HR_IO_STATUS_FILE_H
#define HR_IO_STATUS_FILE_H

#include "base/status.h"

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
    const char *stage;     /* "text", "denoise", "decode"; NULL: none yet */
    int64_t step, steps;   /* denoised, of */
    int64_t frame, frames; /* decoded, of */
    double step_seconds;   /* mean so far; 0: unknown */
    double eta_seconds;    /* until the stage is done; negative: unknown */
    time_t started;
    const char *result; /* path of the film or picture; NULL: none (yet) */
    const char *error;  /* why it failed; NULL: it did not */
} hr_run_status;

/* Adds the time of writing, the process and the host. */
hr_status hr_status_file_write(const char *path, const hr_run_status *status);

#endif
