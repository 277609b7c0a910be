#include "worker/pipeline.h"

#include "support/device.h"

#include <string.h>

void hr_pipeline_to_reference(const float *ours, const int64_t fchw[4], float *out)
{
    size_t area = (size_t)(fchw[2] * fchw[3]);
    size_t n_frames = (size_t)fchw[0], n_channels = (size_t)fchw[1];

    for (size_t f = 0; f < n_frames; f++)
        for (size_t c = 0; c < n_channels; c++)
            memcpy(out + (c * n_frames + f) * area, ours + (f * n_channels + c) * area,
                   area * sizeof(float));
}

static hr_job job_of(const hr_golden_run *run, const hr_model_config *config)
{
    hr_job job;

    hr_job_init(&job);
    job.width = run->width;
    job.height = run->height;
    job.frames = run->num_frames;
    job.fps = 16;
    job.steps = run->steps;
    job.guidance = run->guidance_scale;
    job.guidance_2 = run->guidance_scale_2;
    job.is_set[HR_KEY_GUIDANCE_2] = true;
    job.shift = config->scheduler.shift;
    job.text_length = run->max_sequence_length;
    job.seed = run->seed;
    job.rng = HR_JOB_TORCH;
    return job;
}

static hr_model_facts facts_of(const hr_model_config *c)
{
    return (hr_model_facts){.latent_channels = c->transformer.in_channels,
                            .scale_temporal = c->vae.scale_temporal,
                            .scale_spatial = c->vae.scale_spatial,
                            .patch_time = c->transformer.patch[0],
                            .patch_height = c->transformer.patch[1],
                            .patch_width = c->transformer.patch[2],
                            .rope_max = c->transformer.rope_max};
}

static void render_with(const hr_model *model, hr_device *device,
                        const hr_golden_run *run, const hr_pipeline_options *options)
{
    const hr_model_config *config = hr_model_get_config(model);
    hr_job job = job_of(run, config);
    hr_model_facts facts = facts_of(config);
    hr_group alone = hr_group_alone();
    hr_plan plan;
    hr_worker *worker;
    hr_render render = {
        .job = &job,
        .plan = &plan,
        .prompt = run->prompt,
        .negative_prompt = run->negative_prompt != NULL ? run->negative_prompt : "",
        .latents_in = options->latents_in,
        .latents_out = hr_test_path(options->folder, "latents.safetensors"),
        .save.frames_file = hr_test_path(options->folder, "frames.safetensors"),
        .trace = options->trace,
    };

    hr_test_ok(hr_plan_make(&job, &facts, &plan));
    hr_test_ok(hr_worker_open(&alone,
                              &(hr_worker_options){.model = model,
                                                   .device = device,
                                                   .numerics = options->numerics,
                                                   .keep_parts = options->keep_parts},
                              &worker));
    for (int i = 0; i < options->n_times || i == 0; i++)
        hr_test_ok(hr_worker_render(worker, &render, NULL));
    hr_worker_close(worker);
    hr_job_free(&job);
}

void hr_pipeline_render(const hr_golden *golden, const hr_golden_run *run,
                        const hr_pipeline_options *options)
{
    hr_model *model;
    hr_device *device = hr_test_device_open(options->threads);

    hr_test_ok(hr_model_open(hr_golden_pipeline(golden), &model));
    render_with(model, device, run, options);
    hr_model_close(model);
    assert_int_equal(hr_device_get_stats(device).live_bytes, 0);
    hr_device_close(device);
}
