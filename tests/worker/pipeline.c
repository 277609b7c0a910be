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

/* A render of the run without files; `job` and `plan` are filled in and must outlive it.
 */
static hr_render make_render(const hr_model *model, const hr_golden_run *run, hr_job *job,
                             hr_plan *plan)
{
    hr_model_facts facts = facts_of(hr_model_get_config(model));

    *job = job_of(run, hr_model_get_config(model));
    hr_test_ok(hr_plan_make(job, &facts, plan));
    return (hr_render){
        .job = job,
        .plan = plan,
        .prompt = run->prompt,
        .negative_prompt = run->negative_prompt != NULL ? run->negative_prompt : "",
    };
}

static void render_times(const hr_worker_options *options, const hr_render *render, int n)
{
    hr_group alone = hr_group_alone();
    hr_worker *worker;

    hr_test_ok(hr_worker_open(&alone, options, &worker));
    for (int i = 0; i < n || i == 0; i++)
        hr_test_ok(hr_worker_render(worker, render, NULL));
    hr_worker_close(worker);
}

void hr_pipeline_estimate(const hr_golden *golden, const hr_golden_run *run,
                          bool keep_parts, hr_device *device, hr_pipeline_figures *out)
{
    hr_worker_options options = {.device = device, .keep_parts = keep_parts};
    hr_model *model;
    hr_render render;
    hr_job job;
    hr_plan plan;

    hr_test_ok(hr_model_open(hr_golden_pipeline(golden), &model));
    options.model = model;
    render = make_render(model, run, &job, &plan);
    hr_test_ok(hr_estimate_render(&options, &render, &out->estimate));
    render_times(&options, &render, 1);
    out->measured = hr_device_get_stats(device);
    hr_job_free(&job);
    hr_model_close(model);
}

void hr_pipeline_render(const hr_golden *golden, const hr_golden_run *run,
                        const hr_pipeline_options *options)
{
    hr_device *device = hr_test_device_open(options->threads);
    hr_worker_options worker = {.device = device,
                                .numerics = options->numerics,
                                .keep_parts = options->keep_parts};
    hr_model *model;
    hr_render render;
    hr_job job;
    hr_plan plan;

    hr_test_ok(hr_model_open(hr_golden_pipeline(golden), &model));
    worker.model = model;
    render = make_render(model, run, &job, &plan);
    render.latents_in = options->latents_in;
    render.latents_out = hr_test_path(options->folder, "latents.safetensors");
    render.save.frames_file = hr_test_path(options->folder, "frames.safetensors");
    render.trace = options->trace;
    render_times(&worker, &render, options->n_times);
    hr_job_free(&job);
    hr_model_close(model);
    assert_int_equal(hr_device_get_stats(device).live_bytes, 0);
    hr_device_close(device);
}
