/* Inside worker/ only: what this rank computes of a unit: its stage of one forward. */
#ifndef HR_WORKER_UNIT_H
#define HR_WORKER_UNIT_H

#include "worker/run.h"

typedef struct hr_units hr_units;

/* Called now and then while a forward runs. */
typedef struct hr_tick {
    hr_status (*run)(void *user);
    void *user;
} hr_tick;

/* Makes room, and the links to the stages before and after: called by all ranks that are
 * not idle. Borrows `run`. Caller closes (NULL is fine; local). */
hr_status hr_units_open(const hr_run *run, const hr_tick *tick, hr_units **out);
void hr_units_close(hr_units *units);

bool hr_units_is_first_stage(const hr_units *units);
/* Whether this rank is the one that sends predictions. */
bool hr_units_is_predictor(const hr_units *units);

/* Loads the expert for a step, with its texts, unless it is there; displaces the other
 * one unless parts are kept. */
hr_status hr_units_load(hr_units *units, int step);

/* For a stage after the first: waits for what comes from the stage before; *note is 0
 * when it is a unit's hidden states, else what hr_units_tell was given there. */
hr_status hr_units_wait(hr_units *units, uint8_t *note);
/* A note (not 0) to the next stage, where there is one. */
hr_status hr_units_tell(hr_units *units, uint8_t note);

/* Runs this rank's stage: from `frames`, host [length, C, h, w], in the first stage, else
 * from the hidden states of the stage before; the last one's predictor fills `velocity`,
 * host, same shape, the others send hidden states on. Collective over the tensor ranks,
 * waits for the stages around. On a dry device a unit like one that has run is only
 * counted (worker->skipped). */
hr_status hr_units_run(hr_units *units, const hr_unit *unit, const float *frames,
                       float *velocity);

#endif
