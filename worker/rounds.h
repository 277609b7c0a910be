/* Inside worker/ only: which rounds are done. A round is a window of one step with all
 * its branches: what a leader gathers once. Local.
 *
 * A window group does its rounds in a fixed order, so that how far it is says which of
 * them are done; beside these are those that were done before a checkpoint, by any
 * layout. Of its own group a rank knows all the time, of the others at a meeting. */
#ifndef HR_WORKER_ROUNDS_H
#define HR_WORKER_ROUNDS_H

#include "coordinator/schedule.h"
#include "io/checkpoint.h"

typedef struct hr_rounds hr_rounds;

/* None is done. Borrows the schedule. Caller closes (NULL is fine). */
hr_status hr_rounds_open(const hr_schedule *schedule, hr_rounds **out);
void hr_rounds_close(hr_rounds *rounds);

/* Before any other is: all rounds of the first `steps_done` steps were done, and those of
 * the list, which are windows of the schedule. */
hr_status hr_rounds_begin(hr_rounds *rounds, int steps_done, const hr_round *list,
                          int64_t n);
/* So many were done before. */
int64_t hr_rounds_n_before(const hr_rounds *rounds);

/* The next unit of this place that was not done before; begin with step -1. */
bool hr_rounds_next(const hr_rounds *rounds, const hr_place *place, hr_unit *unit);

/* The last round that a group has done (step and window count), step -1: none here. */
void hr_rounds_note(hr_rounds *rounds, int group, const hr_unit *last);
const hr_unit *hr_rounds_last(const hr_rounds *rounds, int group);

bool hr_rounds_is_done(const hr_rounds *rounds, int step, int64_t window);
/* Whether rounds of the group that see the frame's sample of this step are to come. */
bool hr_rounds_is_read(const hr_rounds *rounds, int group, int64_t frame, int step);
/* The group of the first window that is not done and sees it, or -1. */
int hr_rounds_reader(const hr_rounds *rounds, int64_t frame, int step);

/* At a meeting: the rounds that are done of the steps from `first_step` on, ascending
 * (caller frees them with hr_free). */
hr_status hr_rounds_list(const hr_rounds *rounds, int first_step, hr_round **out,
                         int64_t *n);

/* Rounds of steps [0, n_steps). Pure. */
int64_t hr_rounds_of_steps(const hr_schedule *schedule, int n_steps);

#endif
