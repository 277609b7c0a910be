/* Slurm jobs and their run folders: what `haloreel submit` leaves behind, so that
 * `haloreel status JOBID` finds them. Local.
 *
 * FOLDER/slurm/job-12.runs has the path of a run on each line, one for each task of job
 * 12. FOLDER is the run folder, or the folder around those of an array. */
#ifndef HR_IO_JOB_FOLDER_H
#define HR_IO_JOB_FOLDER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "12", or "12_3" for task 3 of an array. */
typedef struct hr_job_id {
    uint64_t job;
    uint64_t task; /* from 1; 0: all of them */
} hr_job_id;

/* False for anything else. */
bool hr_job_id_scan(const char *text, hr_job_id *out);

typedef struct hr_job_runs {
    char **paths; /* [n], owned, in the order of the tasks */
    size_t n;
} hr_job_runs;

/* Writes the file; paths have no line breaks. The folder `slurm_folder` is there. */
hr_status hr_job_folder_note(const char *slurm_folder, uint64_t job,
                             const char *const *runs, size_t n_runs);

/* The runs of a job, or that of the one task; n is 0 when the folder does not know it.
 * Caller frees. */
hr_status hr_job_folder_read(const char *slurm_folder, const hr_job_id *id,
                             hr_job_runs *out);
/* Looks into the folders slurm of `place`, of the folders in it, and of the folders in
 * these, two deep: in the current folder that finds runs/NAME/slurm. */
hr_status hr_job_folder_find(const char *place, const hr_job_id *id, hr_job_runs *out);
/* Takes a zeroed one. */
void hr_job_runs_free(hr_job_runs *runs);

#endif
