/* Monotonic time. Local. */
#ifndef HR_BASE_CLOCK_H
#define HR_BASE_CLOCK_H

/* Seconds since some fixed moment; never goes back. */
double hr_clock_seconds(void);

/* Seconds since the process was started (from /proc/self/stat); 0 when unknown. */
double hr_clock_process_seconds(void);

#endif
