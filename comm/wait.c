#include "comm/wait.h"

#include "base/clock.h"

#include <sched.h>
#include <time.h>

static const double spin_seconds = 50e-6, yield_seconds = 300e-6;
static const double least_nap_seconds = 50e-6, most_nap_seconds = 1e-3;

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
    double seconds = waited / 16;

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

hr_status hr_wait_pause(hr_wait *wait)
{
    rest(hr_clock_seconds() - wait->start_seconds);
    return wait->is_for_end ? HR_OK : wait->world->failure;
}

void hr_wait_end(hr_wait *wait)
{
    wait->world->traffic.wait_seconds[wait->traffic] +=
        hr_clock_seconds() - wait->start_seconds;
}
