#include "cli/request.h"

#include "cli/cli.h"

hr_model_facts hr_request_facts(const hr_model_config *config)
{
    return (hr_model_facts){
        .latent_channels = config->transformer.in_channels,
        .scale_temporal = config->vae.scale_temporal,
        .scale_spatial = config->vae.scale_spatial,
        .patch_time = config->transformer.patch[0],
        .patch_height = config->transformer.patch[1],
        .patch_width = config->transformer.patch[2],
        .rope_max = config->transformer.rope_max,
    };
}

void hr_request_take_model(hr_job *job, const hr_model_config *config)
{
    static const hr_job_sampler samplers[] = {[HR_SAMPLER_UNIPC] = HR_JOB_UNIPC,
                                              [HR_SAMPLER_EULER] = HR_JOB_EULER,
                                              [HR_SAMPLER_DPMPP] = HR_JOB_DPMPP};

    if (!job->is_set[HR_KEY_SAMPLER])
        job->sampler = samplers[config->scheduler.kind];
    if (!job->is_set[HR_KEY_SHIFT])
        job->shift = config->scheduler.shift;
    job->is_set[HR_KEY_SAMPLER] = job->is_set[HR_KEY_SHIFT] = true;
}

hr_status hr_request_resolve(hr_job *job, hr_model_entry *entry, hr_model **model,
                             hr_plan *plan)
{
    const hr_model_config *config;
    hr_model_facts facts;

    if (!job->is_set[HR_KEY_MODEL])
        HR_TRY(hr_job_set(job, "default", "model=" HR_JOB_DEFAULT_MODEL));
    HR_TRY(hr_open_model(job->model, entry, model));
    HR_TRY(hr_job_merge(job, &entry->defaults));
    HR_TRY(hr_job_fill(job));
    config = hr_model_get_config(*model);
    hr_request_take_model(job, config);
    facts = hr_request_facts(config);
    return hr_plan_make(job, &facts, plan);
}

hr_render hr_request_render(const hr_job *job, const hr_plan *plan, const char *prompt)
{
    return (hr_render){
        .job = job,
        .plan = plan,
        .prompt = prompt,
        .negative_prompt = job->negative_prompt != NULL ? job->negative_prompt : "",
        .preview_folder = job->preview_every > 0 ? "" : NULL, /* the estimate's */
    };
}

hr_numerics hr_request_numerics(const hr_job *job)
{
    static const hr_numerics numerics[] = {[HR_JOB_EXACT] = HR_NUMERICS_EXACT,
                                           [HR_JOB_FAST] = HR_NUMERICS_FAST,
                                           [HR_JOB_F32] = HR_NUMERICS_F32};

    return numerics[job->numerics];
}
