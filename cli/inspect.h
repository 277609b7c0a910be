/* What `haloreel inspect` says of a checkpoint. Local to cli/. */
#ifndef HR_CLI_INSPECT_H
#define HR_CLI_INSPECT_H

#include "base/status.h"

#include <stdbool.h>

/* Whether the file begins as a checkpoint does, or has the name of one. */
bool hr_inspect_is_checkpoint(const char *path);
/* Prints it, as text or as JSON, after its seal was checked. */
hr_status hr_inspect_checkpoint(const char *path, bool json);

#endif
