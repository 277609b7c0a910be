#include "cli/command.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE_BYTES = 4096, MOST_BYTES = 1 << 20, LOOK_MS = 20 };

/* Standard output is the pipe; everything else of it is closed there by itself. */
static hr_status start(const char *const argv[], bool is_quiet, int pipe_end, pid_t *out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int error;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a program to start");
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return hr_fail(HR_ERR_NOMEM, "out of memory: a program to start");
    }
    sigemptyset(&none);
    error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, pipe_end, 1);
    if (error == 0 && is_quiet)
        error = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (error == 0 && !hr_fault_errno("process.start", ENOENT))
        error = posix_spawnp(out, argv[0], &actions, &attributes,
                             (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        *out = 0;
    return HR_OK;
}

/* True while there may be more. */
static bool read_piece(int pipe_end, hr_text *out, hr_status *status)
{
    char piece[PIECE_BYTES];
    ssize_t n = read(pipe_end, piece, sizeof piece);

    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    if (n > 0 && *status == HR_OK && out->length < MOST_BYTES)
        *status = hr_text_append(out, piece, (size_t)n);
    return n > 0;
}

/* Until it ends, or its time is up. */
static hr_status follow(pid_t child, int pipe_end, double until, hr_text *out, int *code)
{
    struct pollfd wait = {.fd = pipe_end, .events = POLLIN};
    bool open = true;
    int how = 0;
    hr_status status = HR_OK;

    while (true) {
        if (open && poll(&wait, 1, LOOK_MS) > 0)
            open = read_piece(pipe_end, out, &status);
        else if (!open)
            poll(NULL, 0, LOOK_MS);
        if (!open && waitpid(child, &how, WNOHANG) == child)
            break;
        if (hr_clock_seconds() > until) {
            kill(child, SIGKILL);
            waitpid(child, &how, 0);
            *code = HR_COMMAND_LATE;
            return status;
        }
    }
    *code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    return status;
}

hr_status hr_command_read(const char *const argv[], double seconds, bool is_quiet,
                          hr_text *out, int *code)
{
    double until = hr_clock_seconds() + seconds;
    int ends[2];
    pid_t child = 0;
    hr_status status;

    *code = HR_COMMAND_MISSING;
    if (hr_fault_errno("process.pipe", EMFILE) || pipe2(ends, O_CLOEXEC) != 0)
        return hr_fail(HR_ERR_IO, "a pipe to %s: %s", argv[0], strerror(errno));
    status = start(argv, is_quiet, ends[1], &child);
    close(ends[1]);
    if (status == HR_OK && child > 0)
        status = follow(child, ends[0], until, out, code);
    close(ends[0]);
    return status;
}
