#include "cli/cli.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_bool stop_wanted;
static pthread_mutex_t words_lock = PTHREAD_MUTEX_INITIALIZER;
static hr_last_words_fn words;
static void *words_user;

static void fill_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

/* A step of a large model takes minutes, so the work itself cannot be trusted to stop in
 * time. */
static void *watch_signals(void *unused)
{
    const struct timespec grace = {.tv_nsec = 600 * 1000 * 1000};
    sigset_t set;
    int number;

    (void)unused;
    fill_set(&set);
    if (sigwait(&set, &number) != 0)
        return NULL;
    hr_warn("stopped by %s", number == SIGINT ? "Ctrl-C" : strsignal(number));
    atomic_store(&stop_wanted, true);
    sigtimedwait(&set, NULL, &grace);
    pthread_mutex_lock(&words_lock);
    if (words != NULL)
        words(words_user);
    _exit(HR_EXIT_STOPPED);
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
        error = pthread_create(&thread, NULL, watch_signals, NULL);
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

bool hr_signals_stop_wanted(void)
{
    return atomic_load(&stop_wanted);
}
