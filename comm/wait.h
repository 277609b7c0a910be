/* One wait: what a loop does between two looks at what it waits for. */
#ifndef HR_COMM_WAIT_H
#define HR_COMM_WAIT_H

#include "comm/inside.h"

typedef struct hr_wait {
    hr_world *world;
    hr_traffic traffic; /* what the time counts as */
    int peer;           /* rank of the world that is waited for; -1: unknown */
    bool is_for_end;    /* goes on although somebody has given up */
    double start_seconds;
    unsigned n_pauses;
    bool has_signed, has_said_waiting;
} hr_wait;

hr_wait hr_wait_begin(hr_world *world, hr_traffic traffic);

/* Spins, yields or sleeps, the longer the more it has waited. Returns why the wait has to
 * end: a rank gave up or is lost, the deadline has passed (then `peer` counts as lost).
 */
hr_status hr_wait_pause(hr_wait *wait);

/* Counts the time. */
void hr_wait_end(hr_wait *wait);

#endif
