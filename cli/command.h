/* Other programs. Local. */
#ifndef HR_CLI_COMMAND_H
#define HR_CLI_COMMAND_H

#include "base/text.h"

enum { HR_COMMAND_MISSING = 127, HR_COMMAND_LATE = -1 };

/* Runs `argv` (ends with NULL), found in PATH, without a shell and without standard
 * input, and appends what it writes to standard output and to standard error, at most a
 * MiB of each; `errors` NULL: nowhere. *code is its exit code, 128 and more when a signal
 * ended it, HR_COMMAND_MISSING when it cannot be started, HR_COMMAND_LATE when it took
 * longer than `seconds` and was killed: none of them is an error of this call. */
hr_status hr_command_read(const char *const argv[], double seconds, hr_text *out,
                          hr_text *errors, int *code);

#endif
