/* Who does what, in which order. Pure functions of numbers: every rank knows the whole
 * schedule. Local.
 *
 * A unit is (step, window, branch). A window group does its windows of step k, each
 * branch after the other, then those of step k+1: groups 0, 2, ... in ascending order,
 * groups 1, 3, ... in descending order, so that the windows beside a border between two
 * groups come at the same time of a step. A unit starts when the frames that it sees have
 * been stepped k times, which is when the windows that predict them have been done at
 * step k-1. There is no barrier between steps. */
#ifndef HR_COORDINATOR_SCHEDULE_H
#define HR_COORDINATOR_SCHEDULE_H

#include "coordinator/layout.h"
#include "coordinator/windows.h"

typedef struct hr_schedule {
    hr_windows windows;
    hr_layout layout;
    int n_steps, n_branches;
} hr_schedule;

/* Frames are owned by window groups: contiguous, ascending, as even as can be, the same
 * at every step. The owner keeps a frame's sample and history and steps it. */
int hr_schedule_owner(const hr_schedule *s, int64_t frame);
hr_range hr_schedule_owned(const hr_schedule *s, int group);
/* Windows of a step are dealt to window groups: contiguous, ascending, as even as can be,
 * with the odd ones moving from group to group with the steps. */
int hr_schedule_group(const hr_schedule *s, int step, int64_t window);
hr_range hr_schedule_windows(const hr_schedule *s, int step, int group);

/* One unit of a rank's own list; begin with step -1. Skips units of other groups and
 * branches. False after the last one. */
typedef struct hr_unit {
    int step, branch;
    int64_t window;
} hr_unit;
bool hr_schedule_next(const hr_schedule *s, const hr_place *place, hr_unit *unit);
/* Units of all groups and branches in steps [0, n_steps). */
int64_t hr_schedule_n_units(const hr_schedule *s);

/* Plays the schedule with given times: every stage of every group does its list in order,
 * a frame is stepped as soon as its last prediction is there. Memory: two numbers a
 * frame. */
typedef struct hr_schedule_times {
    double unit_seconds; /* of one stage of one unit */
    double link_seconds; /* hidden states from stage to stage */
    double halo_seconds; /* a frame, or its prediction, from rank to rank */
} hr_schedule_times;
typedef struct hr_schedule_result {
    double seconds;           /* until the last frame is done */
    double utilisation;       /* busy / seconds, mean over the stages of all groups */
    double least_utilisation; /* of any stage */
    bool is_deadlocked;       /* some frame never gets all its predictions */
} hr_schedule_result;
/* HR_ERR_NOMEM. */
hr_status hr_schedule_simulate(const hr_schedule *s, const hr_schedule_times *times,
                               hr_schedule_result *out);

#endif
