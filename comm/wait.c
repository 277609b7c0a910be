#include "comm/wait.h"

#include "base/clock.h"
#include "base/log.h"
#include "comm/control_inside.h"

#include <sched.h>
#include <time.h>

static const double spin_seconds = 50e-6, yield_seconds = 300e-6;
static const double least_nap_seconds = 50e-6, most_nap_seconds = 1e-3;
static const double nap_share = 1.0 / 16;       /* of the time waited so far */
static const double limit_of_one_waiting = 1.5; /* in deadlines */
enum { polls_apart = 16 }; /* of the control channel, while spinning */

hr_wait hr_wait_begin(hr_world *world, hr_traffic traffic)
{
    return (hr_wait){.world = world,
                     .traffic = traffic,
                     .peer = -1,
                     .start_seconds = hr_clock_seconds()};
}

/* Ranks may share a core. Naps grow with the wait, so that they lengthen it by little. */
static void rest(double waited)
{
    struct timespec nap = {0};
    double seconds = waited * nap_share;

    if (waited < spin_seconds)
        return;
    if (waited < yield_seconds) {
        sched_yield();
        return;
    }
    if (seconds < least_nap_seconds)
        seconds = least_nap_seconds;
    if (seconds > most_nap_seconds)
        seconds = most_nap_seconds;
    nap.tv_nsec = (long)(seconds * 1e9);
    nanosleep(&nap, NULL);
}

/* Whoever has shown a sign of life is waited for anew. Ranks wait for ranks that wait:
 * the last of such a chain is to blame. So a rank says that it works when its wait
 * begins, and that it waits when half of the deadline is over, and is then waited for
 * longer than one that says nothing. */
static void check_deadline(hr_wait *wait, double now)
{
    hr_world *world = wait->world;
    const hr_control *control = world->control;
    double since = wait->start_seconds, limit = world->deadline_seconds;

    if (!wait->has_signed && now - since > yield_seconds) {
        hr_control_sign(world);
        wait->has_signed = true;
    }
    if (!wait->has_said_waiting && now - since > limit / 2) {
        hr_control_say_waiting(world);
        wait->has_said_waiting = true;
    }
    if (wait->peer >= 0 && control->heard_seconds[wait->peer] > since)
        since = control->heard_seconds[wait->peer];
    if (wait->peer >= 0 && control->waiting_seconds[wait->peer] > since)
        limit *= limit_of_one_waiting;
    if (now - since < limit)
        return;
    if (wait->peer >= 0)
        hr_control_lose(world, wait->peer, HR_ERR_TIMEOUT);
    else if (world->failure == HR_OK)
        hr_world_give_up(world, hr_fail(HR_ERR_TIMEOUT, "nothing has arrived for %.3g s",
                                        world->deadline_seconds));
}

hr_status hr_wait_pause(hr_wait *wait)
{
    double now = hr_clock_seconds(), waited = now - wait->start_seconds;

    if (waited > spin_seconds || wait->n_pauses++ % polls_apart == 0) {
        hr_control_poll(wait->world);
        check_deadline(wait, now);
    }
    if (wait->world->failure != HR_OK && !wait->is_for_end)
        return wait->world->failure;
    rest(waited);
    return HR_OK;
}

void hr_wait_end(hr_wait *wait)
{
    wait->world->traffic.wait_seconds[wait->traffic] +=
        hr_clock_seconds() - wait->start_seconds;
}
