#include "cli/cli.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "comm/group.h"
#include "comm/native.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { START_SECONDS = 120 };
/* The others look once a second; a launcher's signal says that they have. */
static const struct timespec stay = {.tv_sec = 2, .tv_nsec = 500 * 1000 * 1000};
#define GRACE_SECONDS 0.6 /* to end in good order when nothing is waited for */
#define TWICE_SECONDS 2.0 /* Slurm sends SIGTERM twice at once */

static atomic_bool stop_wanted, has_ended;
static _Atomic double patience = -1;
static atomic_bool is_starting = true; /* until the ranks are together */
static pthread_mutex_t words_lock = PTHREAD_MUTEX_INITIALIZER;
static hr_last_words_fn words;
static void *words_user;
static hr_world *world; /* under the same lock */

static void fill_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
}

_Noreturn static void end_now(hr_status why)
{
    pthread_mutex_lock(&words_lock);
    if (words != NULL)
        words(words_user, why);
    _exit(hr_exit_code(why));
}

/* The first rank that is gone, or -1. A launcher ends all ranks at once, a wish to stop
 * too; those of other hosts learn from the ranks there what happened, by messages that
 * the working thread takes. */
static int find_lost_rank(void)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
    int lost = -1, n_looks = 1;

    pthread_mutex_lock(&words_lock);
    if (world != NULL && hr_world_n_hosts(world) > 1)
        n_looks = 15;
    for (int i = 0; i < n_looks && world != NULL && lost < 0; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        lost = hr_world_find_lost(world);
    }
    pthread_mutex_unlock(&words_lock);
    return lost;
}

/* Ends the process in place of the working thread, which gets some time to tell other
 * hosts and may have said it already. One rank says it to the user. `stays`: who looks
 * for a lost rank later is not to find this one. */
_Noreturn static void end_without(int lost, bool stays)
{
    const struct timespec pause = {.tv_nsec = 200 * 1000 * 1000};
    char said[HR_LOG_LINE_BYTES];
    sigset_t set;
    bool speaks;

    nanosleep(&pause, NULL);
    pthread_mutex_lock(&words_lock);
    if (world != NULL) {
        speaks = hr_group_rank(hr_world_group(world)) == (lost == 0 ? 1 : 0);
        if (hr_log_last_error(said)[0] == '\0')
            hr_error("rank %d (%s) has died", lost,
                     hr_world_rank_info(world, lost)->host);
        if (speaks)
            hr_log_speak_up();
    }
    pthread_mutex_unlock(&words_lock);
    if (stays) {
        fill_set(&set);
        sigtimedwait(&set, NULL, &stay);
    }
    end_now(HR_ERR_DEVICE);
}

/* Where a library waits for another rank that does not come, no deadline of ours ends it:
 * the process has to. Not when a signal `number` has come, which decides by itself. */
static void look_for_stuck(int number)
{
    int lost = -1;
    bool is_stuck;

    if (number > 0)
        return;
    pthread_mutex_lock(&words_lock);
    is_stuck = world != NULL && hr_world_native_is_stuck(world, &lost);
    pthread_mutex_unlock(&words_lock);
    if (!is_stuck)
        return;
    if (lost >= 0)
        end_without(lost, true);
    hr_error("the other ranks do not come to write a checkpoint");
    end_now(HR_ERR_TIMEOUT);
}

/* Waits for the next signal; nobody else watches the launcher's start. */
static int next_signal(const sigset_t *set)
{
    const struct timespec second = {.tv_sec = 1};
    int number = 0;

    for (int i = 0; number <= 0; i++) {
        if (atomic_load(&is_starting) && i == START_SECONDS) {
            hr_error("not all ranks are there %d s after the start", START_SECONDS);
            end_now(HR_ERR_TIMEOUT);
        }
        number = sigtimedwait(set, NULL, &second);
        look_for_stuck(number);
    }
    return number;
}

/* Launchers end all ranks with a signal when one is gone. */
static void look_for_lost(int number)
{
    int lost = number != SIGINT ? find_lost_rank() : -1;

    if (lost >= 0)
        end_without(lost, false);
}

static const char *signal_text(int number)
{
    static const struct {
        int number;
        const char *text;
    } known[] = {{SIGINT, "Ctrl-C"},
                 {SIGTERM, "SIGTERM"},
                 {SIGHUP, "SIGHUP"},
                 {SIGUSR1, "SIGUSR1"}};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].number == number)
            return known[i].text;
    return "a signal";
}

/* Says what happens now. */
static void say_what_is_next(int number)
{
    double seconds = atomic_load(&patience);
    char about[40] = "", length[24];

    if (seconds < 0) {
        hr_warn("stopped by %s", signal_text(number));
        return;
    }
    if (seconds > 0)
        snprintf(about, sizeof about, ", about %s",
                 hr_format_duration(seconds < 1 ? 1 : seconds, length));
    hr_warn(
        "stopping by %s: waiting for the windows at work and a checkpoint%s; a second "
        "signal ends at once",
        signal_text(number), about);
}

/* Until a second signal comes, or until nothing is waited for any more. */
static void wait_for_the_end(const sigset_t *set)
{
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    double first = hr_clock_seconds();

    while (atomic_load(&patience) >= 0) {
        int number = sigtimedwait(set, NULL, &pause);

        look_for_stuck(number);
        if (number <= 0 || atomic_load(&has_ended))
            continue;
        look_for_lost(number);
        if (number == SIGINT || hr_clock_seconds() - first >= TWICE_SECONDS) {
            hr_warn("stopped at once by %s", signal_text(number));
            return;
        }
    }
    first = hr_clock_seconds();
    while (hr_clock_seconds() - first < GRACE_SECONDS) /* the same wish, twice */
        sigtimedwait(set, NULL, &pause);
}

/* A step of a large model takes minutes, so the work itself cannot be trusted to stop in
 * time. */
static void *watch_signals(void *unused)
{
    sigset_t set;
    int number;

    (void)unused;
    fill_set(&set);
    do
        number = next_signal(&set);
    while (atomic_load(&has_ended));
    look_for_lost(number);
    say_what_is_next(number);
    atomic_store(&stop_wanted, true);
    wait_for_the_end(&set);
    if (atomic_load(&has_ended))
        return NULL;
    end_now(HR_ERR_CANCELLED);
}

hr_status hr_signals_start(void)
{
    sigset_t set;
    pthread_t thread;
    int error;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a full quota is an error of write() */
    fill_set(&set);
    error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error == 0)
        error = hr_fault("thread.create")
                    ? EAGAIN
                    : pthread_create(&thread, NULL, watch_signals, NULL);
    if (error != 0)
        return hr_fail(HR_ERR_NOMEM, "cannot watch for signals: %s", strerror(error));
    pthread_detach(thread);
    return HR_OK;
}

void hr_signals_set_last_words(hr_last_words_fn last_words, void *user)
{
    pthread_mutex_lock(&words_lock);
    words = last_words;
    words_user = user;
    pthread_mutex_unlock(&words_lock);
}

void hr_signals_set_world(hr_world *of_ranks)
{
    pthread_mutex_lock(&words_lock);
    world = of_ranks;
    pthread_mutex_unlock(&words_lock);
    atomic_store(&is_starting, false);
}

void hr_signals_end(void)
{
    atomic_store(&has_ended, true);
}

void hr_signals_set_patience(double seconds)
{
    atomic_store(&patience, seconds);
}

bool hr_signals_stop_wanted(void)
{
    return atomic_load(&stop_wanted);
}
