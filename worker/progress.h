/* Inside worker/ only: telling the hooks how far a stage is. */
#ifndef HR_WORKER_PROGRESS_H
#define HR_WORKER_PROGRESS_H

#include "worker/worker.h"

typedef struct hr_stage_clock {
    const hr_worker_hooks *hooks;
    hr_stage stage;
    int64_t total;
    double began, work_began; /* work_began is 0 before the first unit */
} hr_stage_clock;

/* Starts the clock of a stage and reports 0 done. */
hr_stage_clock hr_stage_begin(const hr_worker_hooks *hooks, hr_stage stage,
                              int64_t total);
/* Before the first unit of work, whose weights are there: says so. */
void hr_stage_work(hr_stage_clock *clock);
/* Before any: the same, and HR_ERR_CANCELLED when the user wants to stop. */
hr_status hr_stage_next(hr_stage_clock *clock);
/* After it. */
void hr_stage_done(const hr_stage_clock *clock, int64_t done);
/* The same with more that is known: stage, total and times are filled in. */
void hr_stage_show(const hr_stage_clock *clock, hr_progress *progress);

#endif
