/* Inside worker/ only: how far the denoising is, on this rank and, on rank 0, on all. */
#ifndef HR_WORKER_WATCH_H
#define HR_WORKER_WATCH_H

#include "worker/progress.h"
#include "worker/run.h"

typedef struct hr_watch hr_watch;

/* Borrows both. Caller closes (NULL is fine). */
hr_status hr_watch_open(const hr_run *run, hr_stage_clock *clock, hr_watch **out);
void hr_watch_close(hr_watch *watch);

/* Work begins: so many units were done before, by all ranks together. */
void hr_watch_start(hr_watch *watch, int64_t units_before);
/* Before a unit: tells rank 0 what this rank is at. */
void hr_watch_begin(hr_watch *watch, const hr_unit *unit);
/* After it; rank 0 shows the progress of all, and fails when a rank is silent. */
hr_status hr_watch_done(hr_watch *watch, const hr_unit *unit);
/* Before a meeting; and after it, with the seconds that a checkpoint took, or 0. */
void hr_watch_meet(hr_watch *watch);
void hr_watch_met(hr_watch *watch, double save_seconds);
/* After the last. */
void hr_watch_end(hr_watch *watch);

/* On rank 0: units done by all ranks together since work began, as far as is known; and
 * the pace. A round counts from the end of the one before it until it has passed all
 * stages. */
int64_t hr_watch_units(const hr_watch *watch);
void hr_watch_pace(const hr_watch *watch, hr_pace *out);

#endif
