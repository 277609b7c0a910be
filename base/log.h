/* The log: one line per event, to standard error and, once opened, to a file.
 *
 * Lines are lower case and name things the way a shell would take them ("file
 * video.mp4"). A progress line on a terminal is wiped before a log line is written and
 * comes back with its next update. All functions are local and may be called from any
 * thread. */
#ifndef HR_BASE_LOG_H
#define HR_BASE_LOG_H

#include "base/status.h"

typedef enum hr_log_level {
    HR_LOG_ERROR = 0,
    HR_LOG_WARN,
    HR_LOG_INFO,
    HR_LOG_DEBUG
} hr_log_level;

/* What reaches standard error; HR_LOG_WARN until set. The file gets everything up to
 * INFO. */
void hr_log_set_level(hr_log_level level);

/* Also writes each line, with the time of day, at the end of `path`, which is made where
 * it is not there. HR_ERR_IO when it cannot be written, or is a link or no plain file.
 * The folder must exist. */
hr_status hr_log_open(const char *path);
void hr_log_close(void);

/* One rank of several: rank 0 alone talks to the user. The lines of another go to its
 * file only, and its last error is kept for rank 0 to tell (hr_group_agree). */
void hr_log_set_rank(int rank, const char *host);
/* The last error of this rank (any rank), "" when there is none, into out; returns out.
 */
enum { HR_LOG_LINE_BYTES = 2001 };
char *hr_log_last_error(char out[HR_LOG_LINE_BYTES]);
void hr_log_forget_error(void);
/* The last error, also one that was forgotten since: why the process ends in failure. ""
 * after hr_log_close. */
char *hr_log_last_failure(char out[HR_LOG_LINE_BYTES]);
/* When nobody is there to tell it: writes the kept error of a rank other than 0 to
 * standard error, as "rank 2 (host b): ...", and from now on its lines as well. */
void hr_log_speak_up(void);

/* Writes one line; no newline in `format`. */
void hr_log(hr_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define hr_error(...) hr_log(HR_LOG_ERROR, __VA_ARGS__)
#define hr_warn(...) hr_log(HR_LOG_WARN, __VA_ARGS__)
#define hr_info(...) hr_log(HR_LOG_INFO, __VA_ARGS__)
#define hr_debug(...) hr_log(HR_LOG_DEBUG, __VA_ARGS__)

/* Logs the line and returns `status`: `return hr_fail(HR_ERR_IO, "file %s: ...", path);`.
 * The line is at most 2,000 bytes; control characters in it are shown as '?'. */
hr_status hr_fail(hr_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Shows `line` in place of the one before on standard error when that is a terminal; NULL
 * wipes it. Elsewhere nothing is written. */
void hr_log_progress(const char *line);

/* Whether standard error is a terminal. */
int hr_log_is_terminal(void);

/* Test hook: called with every line at WARN or above instead of writing it; NULL
 * restores. */
typedef void (*hr_log_sink_fn)(hr_log_level level, const char *line);
void hr_log_set_sink(hr_log_sink_fn sink);

#endif
