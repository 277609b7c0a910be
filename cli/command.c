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

/* Its standard output and error are the ends of pipes; all else is closed there. */
static hr_status start(const char *const argv[], const int ends[2], pid_t *out)
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
        error = posix_spawn_file_actions_adddup2(&actions, ends[0], 1);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
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

/* One of its streams; `end` is -1 when it is over. */
typedef struct stream {
    int end;
    hr_text *text; /* NULL: nobody wants it */
} stream;

static hr_status read_piece(stream *from)
{
    char piece[PIECE_BYTES];
    ssize_t n = read(from->end, piece, sizeof piece);

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return HR_OK;
    if (n <= 0) {
        close(from->end);
        from->end = -1;
        return HR_OK;
    }
    if (from->text == NULL || from->text->length >= MOST_BYTES)
        return HR_OK;
    return hr_text_append(from->text, piece, (size_t)n);
}

static hr_status read_pieces(stream streams[2])
{
    struct pollfd wait[2] = {{.fd = streams[0].end, .events = POLLIN},
                             {.fd = streams[1].end, .events = POLLIN}};
    hr_status status = HR_OK, each;

    poll(wait, 2, LOOK_MS); /* passes over those of -1 */
    for (int i = 0; i < 2; i++)
        if (wait[i].revents != 0) {
            each = read_piece(&streams[i]);
            status = status == HR_OK ? each : status;
        }
    return status;
}

/* Until it ends, or its time is up. */
static hr_status follow(pid_t child, stream streams[2], double until, int *code)
{
    int how = 0;
    hr_status status = HR_OK, each;

    while (true) {
        each = read_pieces(streams);
        status = status == HR_OK ? each : status;
        if (streams[0].end < 0 && streams[1].end < 0 &&
            waitpid(child, &how, WNOHANG) == child)
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

static void close_end(int end)
{
    if (end >= 0)
        close(end);
}

/* [0] of each is ours. */
static hr_status make_pipes(const char *name, int out[2], int errors[2])
{
    if (!hr_fault_errno("process.pipe", EMFILE) && pipe2(out, O_CLOEXEC) == 0) {
        if (pipe2(errors, O_CLOEXEC) == 0)
            return HR_OK;
        close(out[0]);
        close(out[1]);
    }
    return hr_fail(HR_ERR_IO, "a pipe to %s: %s", name, strerror(errno));
}

hr_status hr_command_read(const char *const argv[], double seconds, hr_text *out,
                          hr_text *errors, int *code)
{
    double until = hr_clock_seconds() + seconds;
    int first[2], second[2];
    stream streams[2];
    pid_t child = 0;
    hr_status status;

    *code = HR_COMMAND_MISSING;
    HR_TRY(make_pipes(argv[0], first, second));
    streams[0] = (stream){first[0], out};
    streams[1] = (stream){second[0], errors};
    status = start(argv, (const int[2]){first[1], second[1]}, &child);
    close(first[1]);
    close(second[1]);
    if (status == HR_OK && child > 0)
        status = follow(child, streams, until, code);
    close_end(streams[0].end);
    close_end(streams[1].end);
    return status;
}
