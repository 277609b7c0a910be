/* Inside worker/ only: how ranks come together in the middle of the denoising
 * (docs/meetings.md).
 *
 * Rank 0 decides, and calls the leaders and the idle ranks; a leader that was called
 * gathers no further round, and tells its group. What has been gathered is finished by
 * all, so that at the meeting a set of rounds is done with all their branches, and no
 * message is on its way. */
#ifndef HR_WORKER_MEETING_H
#define HR_WORKER_MEETING_H

#include "worker/halo.h"
#include "worker/states.h"
#include "worker/watch.h"

typedef struct hr_meeting hr_meeting;

/* What a rank does next: a leader tells its group with every round. */
typedef enum hr_command {
    HR_COMMAND_GO = 0, /* the next unit of the static order */
    HR_COMMAND_MEET,   /* and go on afterwards */
    HR_COMMAND_END     /* the last meeting: all steps are done */
} hr_command;

/* Borrows all. Caller closes (NULL is fine). */
hr_status hr_meeting_open(const hr_run *run, hr_watch *watch, hr_meeting **out);
void hr_meeting_close(hr_meeting *meeting);
/* For hr_halo_open, and the halo that it gave. */
hr_halo_ear hr_meeting_ear(hr_meeting *meeting);
void hr_meeting_set_halo(hr_meeting *meeting, hr_halo *halo);

/* Asks the user, before each unit. */
void hr_meeting_ask(hr_meeting *meeting);
/* Passes on what this rank's user and, on rank 0, others want; *command is MEET or END
 * when this rank has been called. HR_ERR_CANCELLED where the user wants to stop and no
 * checkpoints are written. */
hr_status hr_meeting_look(hr_meeting *meeting, hr_command *command);
/* The same for a leader whose frames have all been through their steps, and for an idle
 * rank: when all leaders have said so the end comes. */
hr_status hr_meeting_look_through(hr_meeting *meeting, hr_command *command);
/* Whom such a rank waits for. */
int hr_meeting_missing(const hr_meeting *meeting);
/* Waits for a message or until the user wants something. */
hr_status hr_meeting_wait(hr_meeting *meeting, int rank);

/* What all ranks know at a meeting. */
typedef struct hr_minutes {
    int32_t *frame_steps; /* [n_frames]: steps that each has been through */
    int steps_done;       /* by all */
    bool is_stop;         /* all leave */
} hr_minutes;

/* At the meeting. */
void hr_meeting_begin(hr_meeting *meeting);
/* Collective over the worker's group, when nothing is on its way: the leaders tell all
 * how far they are; `rounds` then knows it of every group. The minutes are lent until
 * hr_meeting_end. */
hr_status hr_meeting_compare(hr_meeting *meeting, const hr_states *states,
                             hr_rounds *rounds, const hr_minutes **out);
/* is_saved: a checkpoint was written. */
void hr_meeting_end(hr_meeting *meeting, bool is_saved);

#endif
