/* How often something is done: by the clock or by steps, as people write it. Pure; local.
 */
#ifndef HR_IO_INTERVAL_H
#define HR_IO_INTERVAL_H

#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

/* One of the two at most is set; neither: never. */
typedef struct hr_interval {
    double seconds;
    int64_t steps;
} hr_interval;

/* "5min", "30s", "1.5h", "10steps", "never": 0.001 s to 1000 h, 1 to 1000 steps. False
 * for anything else; blanks are not taken. */
bool hr_interval_scan(const char *text, hr_interval *out);
/* Appends it as hr_interval_scan reads it back. */
hr_status hr_interval_write(const hr_interval *interval, hr_text *out);

/* "90min", "1.5h", "5400s": seconds > 0. False for anything else. */
bool hr_duration_scan(const char *text, double *out);

#endif
