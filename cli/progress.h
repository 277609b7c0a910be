/* How far a render is: one calm line on a terminal, plain lines in a log, status.json.
 * Local; the first rank shows it for all. */
#ifndef HR_CLI_PROGRESS_H
#define HR_CLI_PROGRESS_H

#include "cli/ranks.h"
#include "coordinator/layout.h"
#include "io/lock.h"
#include "io/status_file.h"
#include "worker/worker.h"

typedef struct hr_show_progress {
    const hr_ranks *ranks;
    const char *label;       /* of the video in a batch; NULL for a single one */
    const char *status_path; /* status.json */
    const char *output;      /* where the result goes; NULL: nowhere */
    const hr_lock *lock;     /* dropped when the process ends at once */
    const char *again;       /* the command that goes on with a batch; NULL: none does */
    const char *reason;      /* of a stop that nobody's signal asked for; NULL: none */
    double ends;             /* hr_clock_seconds of the time limit; 0: none */
    hr_run_status status;    /* what was last written there */
    char layout[HR_LAYOUT_TEXT_BYTES]; /* of the status, as its hosts are */
    const char **hosts;
    bool has_ended[HR_STAGE_COUNT]; /* whose last line has been logged */
    char *checkpoints[2]; /* owned: the status's, and the one before, which the thread of
                             signals may still be reading */
    double last_line;     /* when the last plain line was logged */
    double next_status;   /* when status.json is written again */
    double before[HR_STAGE_COUNT]; /* share of a stage that earlier runs did */
    bool is_part;                  /* a success leaves something to go on with */
    bool has_begun;                /* end is called */
} hr_show_progress;

/* Starts the record of a render: state running. Ended by hr_show_progress_end also when
 * it fails, but for a status.json that cannot be written (has_begun). */
hr_status hr_show_progress_begin(hr_show_progress *show, const hr_plan *plan,
                                 const hr_layout *layout);
/* An on_progress hook; `user` is a hr_show_progress. */
void hr_show_progress_update(void *user, const hr_progress *progress);
/* The run could go on from this file now. */
void hr_show_progress_saved(hr_show_progress *show, const char *path);
/* Logs how a run that was stopped goes on. */
void hr_show_progress_stopped(const hr_show_progress *show, bool is_saved);
/* Wipes the line and writes the last state; returns `status`. `result` is the file made,
 * looked at only when all went well. */
hr_status hr_show_progress_end(hr_show_progress *show, hr_status status,
                               const char *result);

#endif
