#include "cli/run_job.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/identity.h"
#include "io/checkpoint.h"

#include <string.h>
#include <unistd.h>

static hr_status check_keys(const hr_render_options *options)
{
    const char *what = options->resume != NULL ? "resume" : "--decode-only";

    for (unsigned i = 0; i < HR_KEY_COUNT; i++) {
        hr_job_key key = (hr_job_key)i;

        if (!options->job.is_set[i])
            continue;
        if (key == HR_KEY_OUTPUT_FOLDER && options->resume != NULL)
            return hr_fail(HR_ERR_ARG, "resume: output.folder is %s itself",
                           options->resume);
        if (!hr_identity_may_differ(key))
            return hr_fail(HR_ERR_ARG,
                           "%s: %s would make it another video; only model, device, "
                           "threads, layout.*, output.* and checkpoint.* may be set",
                           what, hr_job_key_name(key));
    }
    return HR_OK;
}

static hr_status load(const hr_render_options *options, hr_job *out)
{
    hr_checkpoint *file = NULL;
    hr_text path = {0};
    const char *yaml;
    hr_status status;

    if (options->resume != NULL) {
        HR_TRY(hr_text_printf(&path, "%s/job.yaml", options->resume));
        status = access(path.s, F_OK) == 0
                     ? hr_job_load(path.s, out)
                     : hr_fail(HR_ERR_ARG, "%s: no job.yaml there: not a run folder",
                               options->resume);
        hr_text_free(&path);
        return status;
    }
    HR_TRY(hr_checkpoint_open(options->decode_only, &file));
    yaml = hr_checkpoint_get_head(file)->job_yaml;
    status = hr_job_parse(options->decode_only, yaml, strlen(yaml), out);
    hr_checkpoint_close(file);
    return status;
}

static void forget_folder(hr_job *job)
{
    hr_free(job->output_folder);
    job->output_folder = NULL;
    job->is_set[HR_KEY_OUTPUT_FOLDER] = false;
}

/* A layout for other ranks than there are now is left to be chosen. */
static void forget_layout(int n_ranks, hr_job *job)
{
    static const hr_job_key keys[] = {HR_KEY_LAYOUT_WINDOWS, HR_KEY_LAYOUT_STAGES,
                                      HR_KEY_LAYOUT_TENSOR, HR_KEY_LAYOUT_CFG};
    const int64_t wanted[] = {job->layout_windows, job->layout_stages, job->layout_tensor,
                              job->layout_cfg};
    int64_t product = 1;

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        product *= wanted[i] > 0 ? wanted[i] : 1;
    if (product <= n_ranks && n_ranks % product == 0)
        return;
    hr_info("the layout of the run is for other ranks: another one is chosen");
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        job->is_set[keys[i]] = false;
}

hr_status hr_run_job_take(hr_render_options *options, int n_ranks)
{
    hr_job of_run;
    hr_status status;

    HR_TRY(check_keys(options));
    hr_job_init(&of_run);
    status = load(options, &of_run);
    if (status == HR_OK) {
        forget_folder(&of_run);
        forget_layout(n_ranks, &of_run);
        status = hr_job_merge(&options->job, &of_run);
    }
    hr_job_free(&of_run);
    HR_TRY(status);
    if (options->resume != NULL) {
        options->job.output_folder = hr_strdup(options->resume);
        if (options->job.output_folder == NULL)
            return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
        options->job.is_set[HR_KEY_OUTPUT_FOLDER] = true;
    }
    if (!options->job.is_set[HR_KEY_OUTPUT_FOLDER] && options->output_file == NULL)
        return hr_fail(HR_ERR_ARG, "--decode-only: say where the video goes: -o FILE or "
                                   "--set output.folder=RUN");
    return HR_OK;
}
