/* What there is to know of a Slurm job by its number. Local. */
#ifndef HR_CLI_JOB_RUNS_H
#define HR_CLI_JOB_RUNS_H

#include "base/text.h"
#include "io/job_folder.h"

/* Finds the run folders of a job by what Slurm knows of it, and below the current folder;
 * none: HR_ERR_ARG, logged. Appends what Slurm says of a job of one run, such as "PENDING
 * (BeginTime)"; nothing where it says nothing. Caller frees `runs`. */
hr_status hr_job_runs_find(const hr_job_id *id, hr_job_runs *runs, hr_text *says);

#endif
