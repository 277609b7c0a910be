/* Inside worker/ only: the frames of this rank on their way through the steps, and what
 * windows see of them and of others'. Local. */
#ifndef HR_WORKER_STEPPER_H
#define HR_WORKER_STEPPER_H

#include "worker/halo.h"
#include "worker/meeting.h"
#include "worker/states.h"

typedef struct hr_stepper hr_stepper;

/* What they are made of, borrowed. */
typedef struct hr_stepper_parts {
    const hr_run *run;
    hr_states *states;
    hr_halo *halo;
    hr_rounds *rounds;
    hr_meeting *meeting;
} hr_stepper_parts;

/* Caller closes (NULL is fine). */
hr_status hr_stepper_open(const hr_stepper_parts *parts, hr_stepper **out);
void hr_stepper_close(hr_stepper *stepper);

/* The own frames from noise; `room` is for one frame. Passes them on. */
hr_status hr_stepper_start(hr_stepper *stepper, float *room);
/* The same after they have been restored. */
hr_status hr_stepper_go_on(hr_stepper *stepper, float *room);

/* Takes in what has arrived, and steps own frames as far as can be: when all predictions
 * are there and nobody reads the sample of the step before any more, whose place the new
 * one takes. */
hr_status hr_stepper_settle(hr_stepper *stepper);

/* For a leader: fills `out` with what the round's window sees, [length, C, h, w], waiting
 * for it; *command is other than GO when this rank was called to a meeting before all was
 * there. */
hr_status hr_stepper_take(hr_stepper *stepper, const hr_unit *round, float *out,
                          hr_command *command);
/* The round has been taken (by the leader; noted by all that run it). */
void hr_stepper_note(hr_stepper *stepper, const hr_unit *round);

/* Waits until all own frames have been through all steps and the same is true of all
 * other leaders (END), or this rank is called (MEET). Also for ranks that own none. */
hr_status hr_stepper_finish(hr_stepper *stepper, hr_command *command);

#endif
