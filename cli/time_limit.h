/* How long this program may run: what the user said, and what Slurm leaves it. Local; the
 * first rank alone looks. */
#ifndef HR_CLI_TIME_LIMIT_H
#define HR_CLI_TIME_LIMIT_H

#include <stdbool.h>

/* "90min", "1.5h", "30s"; "5400" seconds; "MM:SS", "H:MM:SS", "D-HH:MM:SS" as Slurm
 * writes times. False for anything else and for none. */
bool hr_time_scan(const char *text, double *out);

typedef struct hr_time_limit {
    double ends;    /* hr_clock_seconds; 0: there is no limit */
    double asked;   /* when Slurm was asked last; 0: it need not be */
    bool is_slurms; /* its limit is the shorter one */
    double option;  /* when the user's limit comes; 0: none */
} hr_time_limit;

/* `seconds` from the start of the process, 0: none. Slurm: $SLURM_JOB_END_TIME (seconds
 * since 1970), else `squeue` is asked, which takes a moment. */
void hr_time_limit_start(double seconds, hr_time_limit *out);
/* Seconds until the end; negative when there is none. Asks Slurm again now and then: the
 * limit of a job can be changed. */
double hr_time_limit_left(hr_time_limit *limit);

#endif
