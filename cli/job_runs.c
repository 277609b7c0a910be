#include "cli/job_runs.h"

#include "base/log.h"
#include "cli/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SQUEUE_SECONDS = 20 };

/* "STATE<tab>REASON<tab>FOLDER" of the job, or of the first task that is listed; as long
 * as Slurm remembers it. */
static hr_status ask(const hr_job_id *id, hr_text *line)
{
    char job[48];
    const char *const argv[] = {
        "squeue", "--noheader", "--states=all", "--format=%T\t%r\t%Z", "--jobs",
        job,      NULL};
    int code;

    snprintf(job, sizeof job, id->task > 0 ? "%" PRIu64 "_%" PRIu64 : "%" PRIu64, id->job,
             id->task);
    HR_TRY(hr_command_read(argv, SQUEUE_SECONDS, line, NULL, &code));
    if (code != 0)
        hr_text_free(line);
    if (line->s != NULL)
        line->s[strcspn(line->s, "\n")] = '\0';
    return HR_OK;
}

static hr_status add_says(const char *state, const char *reason, hr_text *says)
{
    HR_TRY(hr_text_add_shown(says, state, 40));
    if (strcmp(reason, "None") == 0)
        return HR_OK;
    HR_TRY(hr_text_add(says, " ("));
    HR_TRY(hr_text_add_shown(says, reason, 40));
    return hr_text_add(says, ")");
}

static hr_status find(const hr_job_id *id, char *line, hr_job_runs *runs, hr_text *says)
{
    char *state = strsep(&line, "\t"), *reason = strsep(&line, "\t");

    if (line != NULL)
        HR_TRY(hr_job_folder_read(line, id, runs));
    if (runs->n == 0)
        HR_TRY(hr_job_folder_find(".", id, runs));
    if (runs->n == 0)
        return hr_fail(HR_ERR_ARG,
                       "job %" PRIu64
                       ": neither Slurm nor the folders below this one know "
                       "its run; give the run folder",
                       id->job);
    return line != NULL && runs->n == 1 ? add_says(state, reason, says) : HR_OK;
}

hr_status hr_job_runs_find(const hr_job_id *id, hr_job_runs *runs, hr_text *says)
{
    hr_text line = {0};
    hr_status status;

    *runs = (hr_job_runs){0};
    status = ask(id, &line);
    if (status == HR_OK)
        status = find(id, line.s, runs, says);
    hr_text_free(&line);
    if (status != HR_OK)
        hr_job_runs_free(runs);
    return status;
}
