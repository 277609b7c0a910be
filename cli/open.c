#include "cli/cli.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

hr_status hr_open_model(const char *name, hr_model_entry *entry, hr_model **model)
{
    char *configs;
    hr_status status;

    HR_TRY(hr_configs_folder(&configs));
    status = hr_model_entry_load(configs, name, entry);
    hr_free(configs);
    HR_TRY(status);
    status = hr_model_open(entry->folder, model);
    if (status != HR_OK)
        hr_model_entry_free(entry);
    return status;
}

static hr_status forced_isa(hr_isa *out)
{
    static const char *const names[] = {"auto", "plain", "avx2", "avx512"};
    const char *asked = getenv("HALOREEL_ISA");

    *out = HR_ISA_AUTO;
    for (int i = 0; asked != NULL && i < 4; i++)
        if (strcmp(asked, names[i]) == 0) {
            *out = (hr_isa)i;
            return HR_OK;
        }
    if (asked != NULL)
        return hr_fail(HR_ERR_ARG, "HALOREEL_ISA: %s is not one of plain, avx2, avx512",
                       asked);
    return HR_OK;
}

hr_status hr_open_job_device(const hr_job *job, hr_device **out)
{
    static const char *const names[] = {[HR_JOB_AUTO] = "auto",
                                        [HR_JOB_CPU] = "cpu",
                                        [HR_JOB_CUDA] = "cuda",
                                        [HR_JOB_STRICT] = "strict"};
    hr_device_options options = {.name = names[job->device],
                                 .threads = (int)job->threads};

    HR_TRY(forced_isa(&options.isa));
    return hr_device_open(&options, out);
}
