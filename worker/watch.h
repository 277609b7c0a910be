/* Inside worker/ only: how far the denoising is, on this rank and, on rank 0, on all. */
#ifndef HR_WORKER_WATCH_H
#define HR_WORKER_WATCH_H

#include "worker/progress.h"
#include "worker/run.h"

typedef struct hr_watch hr_watch;

/* Borrows both. Caller closes (NULL is fine). */
hr_status hr_watch_open(const hr_run *run, hr_stage_clock *clock, hr_watch **out);
void hr_watch_close(hr_watch *watch);

/* Before a unit: HR_ERR_CANCELLED when the user wants to stop; tells rank 0 what this
 * rank is at. */
hr_status hr_watch_begin(hr_watch *watch, const hr_unit *unit);
/* After it; rank 0 shows the progress of all, and fails when a rank is silent. */
hr_status hr_watch_done(hr_watch *watch);
/* After the last. */
void hr_watch_end(hr_watch *watch);

#endif
