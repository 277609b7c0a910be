/* What ranks tell each other about themselves, beside their data: that one has failed or
 * is lost, how far it is, and the agreement on how all go on. Small messages on a plane
 * of their own, not counted as traffic. A world of one rank and a pretended one have no
 * control channel. */
#ifndef HR_COMM_CONTROL_H
#define HR_COMM_CONTROL_H

#include "comm/inside.h"

/* Local. world->transport is there; sets world->control. Closing does nothing where there
 * is none; is_orderly as for hr_transport_end. */
hr_status hr_control_open(hr_world *world);
void hr_control_close(hr_world *world, bool is_orderly);
/* Waits until all that this rank has told is on its way. */
hr_status hr_control_flush(hr_world *world);

/* Local and quick: takes in what has arrived, and twice a second looks whether the ranks
 * of this host live. Sets world->failure. */
void hr_control_poll(hr_world *world);

/* Local: tells all others. */
void hr_control_give_up(hr_world *world, hr_status status);
/* Local: tells all others that this rank works, so that they wait on; now and then. */
void hr_control_sign(hr_world *world);
/* Local: tells all others that this rank waits itself. */
void hr_control_say_waiting(hr_world *world);
/* Local: to rank 0. */
void hr_control_report(hr_world *world, const hr_report *report);
/* Local: `rank` is gone (HR_ERR_DEVICE) or has not answered in time (HR_ERR_TIMEOUT).
 * Logged once, by the lowest rank that is left. */
void hr_control_lose(hr_world *world, int rank, hr_status status);

/* Collective: the worst of all. With is_leaving, all leave (or else HR_ERR_INTERNAL). */
hr_status hr_control_agree(hr_world *world, hr_status mine, bool is_leaving);

/* Collective, after a failure: every message on its way is received and dropped. */
hr_status hr_control_drain(hr_world *world);

#endif
