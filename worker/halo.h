/* Inside worker/ only: frames and predictions on their way between ranks.
 *
 * Leaders send the samples of their own frames to the leaders of the window groups that
 * see them; the last stage sends its predictions to the leaders that own the frames. What
 * concerns this rank alone takes the same way, without a message. In a pretended world
 * all that others would send counts as arrived. */
#ifndef HR_WORKER_HALO_H
#define HR_WORKER_HALO_H

#include "worker/inbox.h"
#include "worker/rounds.h"
#include "worker/run.h"

typedef struct hr_halo hr_halo;

/* What ranks tell each other about meetings (meeting.h): a number, from whom. Called
 * while messages are taken in. */
typedef struct hr_halo_ear {
    void (*hear)(void *user, int call, int from);
    void *user;
} hr_halo_ear;

/* Collective over the worker's group. Borrows the run and the rounds. Caller closes (NULL
 * is fine; local). */
hr_status hr_halo_open(const hr_run *run, const hr_rounds *rounds, const hr_halo_ear *ear,
                       hr_halo **out);
void hr_halo_close(hr_halo *halo);

/* The own frame's sample after `step` steps, to all other groups that see it then in
 * rounds that are not done. */
hr_status hr_halo_send_frame(hr_halo *halo, int64_t frame, int step, const float *x);
/* A unit's velocity [length, C, h, w], frame by frame to the owners of those that it has
 * a weight for. */
hr_status hr_halo_send_predictions(hr_halo *halo, const hr_unit *unit,
                                   const float *velocity);

/* A call to another rank, in order with what else is sent to it. */
hr_status hr_halo_call(hr_halo *halo, int to, int call);

/* Takes in what has arrived. */
hr_status hr_halo_receive(hr_halo *halo);
/* The own frames for which predictions came, from elsewhere or from here, since the last
 * call: all of them are in the range. */
hr_range hr_halo_take_news(hr_halo *halo);
/* Waits until something has, or something else is enough. */
hr_status hr_halo_wait(hr_halo *halo, const hr_mailbox_wait_args *args);
/* Collective over the worker's group: all that was sent to this rank has arrived, for the
 * next hr_halo_receive. */
hr_status hr_halo_settle(hr_halo *halo);

/* A sample received from another leader, or from a checkpoint: older ones of own frames
 * too. */
bool hr_halo_has_frame(const hr_halo *halo, int64_t frame, int step);
void hr_halo_read_frame(const hr_halo *halo, int64_t frame, int step, float *out);
void hr_halo_drop_frame(hr_halo *halo, int64_t frame, int step);

/* Whether all predictions of an own frame at the step that it is to be taken by are
 * there; and a rank whose prediction is missing. */
bool hr_halo_is_complete(const hr_halo *halo, int64_t frame, int step);
int hr_halo_missing(const hr_halo *halo, int64_t frame, int step);
/* Lent until dropped. NULL in a pretended world, when it would be another rank's. */
const float *hr_halo_prediction(const hr_halo *halo, const hr_unit *unit, int64_t frame);
void hr_halo_drop_predictions(hr_halo *halo, int64_t frame, int step);

/* What is kept now, for a checkpoint; and the way back. */
const hr_inbox *hr_halo_inbox(const hr_halo *halo);
hr_status hr_halo_restore(hr_halo *halo, const hr_mail_head *head, const float *data);

#endif
