/* When to write a checkpoint, and when to stop so that a time limit is kept. Pure
 * functions of numbers; local. Times are seconds. */
#ifndef HR_COORDINATOR_BUDGET_H
#define HR_COORDINATOR_BUDGET_H

#include <stdbool.h>

typedef struct hr_budget {
    double every_seconds;      /* between checkpoints; 0: not by the clock */
    int every_steps;           /* or so many steps; 0: not by steps */
    double reserve_seconds;    /* for the end of the process, beside a checkpoint */
    double guess_save_seconds; /* of a checkpoint, before one was written */
} hr_budget;

/* What is known before a round (a window of one step) starts. */
typedef struct hr_budget_now {
    double left_seconds;       /* until the time limit; < 0: there is none */
    double round_seconds;      /* mean; 0: none was measured yet */
    double late_round_seconds; /* the longest of the last ones */
    double save_seconds;       /* of the last checkpoint; 0: none yet */
    double since_save_seconds;
    int steps_since_save;
} hr_budget_now;

typedef enum hr_decision { HR_GO_ON = 0, HR_SAVE, HR_SAVE_AND_STOP } hr_decision;

/* Stops when the next round could not be followed by a checkpoint in time. Saves when it
 * is due, but by the clock never so often that saving takes more than a fiftieth of the
 * time, nor when a stop with its own checkpoint is near. */
hr_decision hr_budget_decide(const hr_budget *budget, const hr_budget_now *now);

/* Seconds that have to be left for another round: two rounds, the one that would start
 * and those that other ranks are in the middle of when it ends, each as long as the
 * longest late one and a quarter more; a checkpoint, half as long again as the last; the
 * reserve. */
double hr_budget_margin(const hr_budget *budget, const hr_budget_now *now);

/* Seconds until the work stands still after a wish to stop, and the checkpoint is there:
 * for a message. */
double hr_budget_stop_seconds(const hr_budget *budget, const hr_budget_now *now);

#endif
