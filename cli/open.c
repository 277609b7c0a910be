#include "cli/cli.h"

#include "base/memory.h"
#include "cli/machine.h"

#include <stdlib.h>

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

hr_status hr_open_job_device(const hr_job *job, hr_device **out)
{
    hr_machine machine;

    HR_TRY(hr_machine_of_one(job, &machine));
    return hr_machine_open_device(&machine, job, out);
}

const char *hr_temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");

    return folder != NULL && *folder != '\0' ? folder : "/tmp";
}
