#include "base/log.h"
#include "base/fault.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    pthread_mutex_t lock;
    hr_log_level level;
    FILE *file;
    hr_log_sink_fn sink;
    int progress_shown;
    int is_quiet;    /* a rank other than 0 */
    char whose[100]; /* "rank 2 (host b): " of such a rank */
    char last_error[HR_LOG_LINE_BYTES];
    int is_forgotten; /* it has been told, or does not count */
} the_log = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = HR_LOG_WARN};

void hr_log_set_level(hr_log_level level)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.level = level;
    pthread_mutex_unlock(&the_log.lock);
}

void hr_log_set_sink(hr_log_sink_fn sink)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.sink = sink;
    pthread_mutex_unlock(&the_log.lock);
}

/* A run folder may come from a stranger: no link is followed, no pipe is waited for. */
static hr_status open_file(const char *path, FILE **out)
{
    const int how = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    int fd = hr_fault_errno("file.open", EACCES) ? -1 : open(path, how, 0666);
    int error = errno;
    struct stat info;

    *out = NULL;
    if (fd >= 0 && fstat(fd, &info) == 0 && !S_ISREG(info.st_mode)) {
        close(fd);
        return hr_fail(HR_ERR_IO, "cannot write log file %s: it is no plain file", path);
    }
    if (fd >= 0) {
        *out = fdopen(fd, "a");
        error = errno;
    }
    if (*out != NULL)
        return HR_OK;
    if (fd >= 0)
        close(fd);
    return hr_fail(HR_ERR_IO, "cannot write log file %s: %s", path,
                   hr_open_error(path, error));
}

hr_status hr_log_open(const char *path)
{
    FILE *file;

    HR_TRY(open_file(path, &file));
    pthread_mutex_lock(&the_log.lock);
    if (the_log.file != NULL)
        fclose(the_log.file);
    the_log.file = file;
    pthread_mutex_unlock(&the_log.lock);
    return HR_OK;
}

void hr_log_close(void)
{
    pthread_mutex_lock(&the_log.lock);
    if (the_log.file != NULL)
        fclose(the_log.file);
    the_log.file = NULL;
    if (the_log.is_forgotten)
        the_log.last_error[0] = '\0';
    pthread_mutex_unlock(&the_log.lock);
}

void hr_log_set_rank(int rank, const char *host)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.is_quiet = rank != 0;
    the_log.whose[0] = '\0';
    if (rank != 0)
        snprintf(the_log.whose, sizeof the_log.whose, "rank %d (host %s): ", rank, host);
    pthread_mutex_unlock(&the_log.lock);
}

static char *copy_error(char out[HR_LOG_LINE_BYTES], int with_forgotten)
{
    pthread_mutex_lock(&the_log.lock);
    out[0] = '\0';
    if (with_forgotten || !the_log.is_forgotten)
        memcpy(out, the_log.last_error, HR_LOG_LINE_BYTES);
    pthread_mutex_unlock(&the_log.lock);
    return out;
}

char *hr_log_last_error(char out[HR_LOG_LINE_BYTES])
{
    return copy_error(out, 0);
}

char *hr_log_last_failure(char out[HR_LOG_LINE_BYTES])
{
    return copy_error(out, 1);
}

void hr_log_forget_error(void)
{
    pthread_mutex_lock(&the_log.lock);
    the_log.is_forgotten = 1;
    pthread_mutex_unlock(&the_log.lock);
}

int hr_log_is_terminal(void)
{
    return isatty(STDERR_FILENO);
}

static void wipe_progress(void)
{
    if (the_log.progress_shown)
        fputs("\r\033[K", stderr);
    the_log.progress_shown = 0;
}

static void write_to_terminal(hr_log_level level, const char *line)
{
    wipe_progress();
    fprintf(stderr, "haloreel: %s%s%s\n", level == HR_LOG_ERROR ? "error: " : "",
            the_log.whose, line);
}

void hr_log_speak_up(void)
{
    pthread_mutex_lock(&the_log.lock);
    if (the_log.is_quiet && the_log.last_error[0] != '\0' && !the_log.is_forgotten)
        write_to_terminal(HR_LOG_ERROR, the_log.last_error);
    if (the_log.is_quiet)
        the_log.is_forgotten = 1;
    the_log.is_quiet = 0;
    pthread_mutex_unlock(&the_log.lock);
}

static void write_to_file(hr_log_level level, const char *line)
{
    static const char *const tags[] = {"error", "warn ", "info ", "debug"};
    struct timespec now;
    struct tm local;
    char stamp[32];

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &local);
    fprintf(the_log.file, "%s.%03ld %s %s\n", stamp, now.tv_nsec / 1000000, tags[level],
            line);
    fflush(the_log.file);
}

static void log_line(hr_log_level level, const char *format, va_list args)
{
    char line[HR_LOG_LINE_BYTES];

    vsnprintf(line, sizeof line, format, args);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    pthread_mutex_lock(&the_log.lock);
    if (the_log.sink != NULL && level <= HR_LOG_WARN) {
        the_log.sink(level, line);
    } else if (level <= the_log.level && !the_log.is_quiet) {
        write_to_terminal(level, line);
    }
    if (level == HR_LOG_ERROR) {
        memcpy(the_log.last_error, line, sizeof line);
        the_log.is_forgotten = 0;
    }
    if (the_log.file != NULL && level <= HR_LOG_INFO)
        write_to_file(level, line);
    pthread_mutex_unlock(&the_log.lock);
}

void hr_log(hr_log_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(level, format, args);
    va_end(args);
}

hr_status hr_fail(hr_status status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(HR_LOG_ERROR, format, args);
    va_end(args);
    return status;
}

void hr_log_progress(const char *line)
{
    if (!hr_log_is_terminal())
        return;
    pthread_mutex_lock(&the_log.lock);
    if (the_log.whose[0] != '\0')
        line = NULL; /* that of rank 0 is the one */
    wipe_progress();
    if (line != NULL) {
        fputs(line, stderr);
        the_log.progress_shown = 1;
    }
    fflush(stderr);
    pthread_mutex_unlock(&the_log.lock);
}
