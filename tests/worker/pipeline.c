#include "worker/pipeline.h"

#include "support/device.h"

/* Those of the cluster issue, and what is left of them where ranks are few. */
const hr_layout hr_pipeline_layouts[HR_PIPELINE_N_LAYOUTS] = {
    {.windows = 2, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 3, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 4, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 8, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 2, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 4, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 1, .tensor = 2, .cfg = 1},
    {.windows = 1, .stages = 1, .tensor = 4, .cfg = 1},
    {.windows = 1, .stages = 1, .tensor = 1, .cfg = 2},
    {.windows = 2, .stages = 2, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 2, .tensor = 2, .cfg = 1},
    {.windows = 2, .stages = 1, .tensor = 2, .cfg = 1},
    {.windows = 2, .stages = 2, .tensor = 1, .cfg = 2},
    {.windows = 2, .stages = 2, .tensor = 2, .cfg = 1},
    {.windows = 1, .stages = 2, .tensor = 2, .cfg = 2},
};

bool hr_pipeline_allows(const hr_pipeline_model *model, const hr_layout *layout)
{
    return layout->stages <= model->n_layers && model->n_shards % layout->tensor == 0;
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
static hr_render make_render(const hr_model *model, const hr_golden_run *run,
                             const hr_pipeline_options *options, hr_job *job,
                             hr_plan *plan)
{
    hr_model_facts facts = facts_of(hr_model_get_config(model));
    hr_render render;

    *job = job_of(run, hr_model_get_config(model));
    if (options->change != NULL)
        options->change(job);
    hr_test_ok(hr_plan_make(job, &facts, plan));
    render = (hr_render){
        .job = job,
        .plan = plan,
        .latents_in = options->latents_in,
        .scratch_folder = options->folder,
        .stop_after_step = options->latents_only ? plan->n_steps : 0,
        .receipt = options->receipt,
        .hooks = options->hooks,
        .trace = options->trace,
        .prompt = run->prompt,
        .negative_prompt = run->negative_prompt != NULL ? run->negative_prompt : "",
    };
    if (options->checkpointing != NULL)
        render.checkpointing = *options->checkpointing;
    if (options->stop_after_step > 0)
        render.stop_after_step = options->stop_after_step;
    return render;
}

/* A world for tests that were given no group, and its end. */
static hr_group *open_group(const hr_pipeline_options *options, hr_world **world)
{
    *world = NULL;
    if (options->group != NULL)
        return options->group;
    hr_test_ok(hr_world_open_pretended(0, 1, 1, world));
    return hr_world_group(*world);
}

static hr_layout layout_of(const hr_pipeline_options *options)
{
    hr_layout one = {.windows = 1, .stages = 1, .tensor = 1, .cfg = 1};

    return options->layout.windows == 0 ? one : options->layout;
}

static void run_worker(hr_group *group, const hr_worker_options *worker_options,
                       const hr_render *render, const hr_pipeline_options *options)
{
    hr_worker *worker;

    hr_test_ok(hr_worker_open(group, worker_options, &worker));
    for (int i = 0; i < options->n_times || i == 0; i++) {
        hr_status status = hr_worker_render(worker, render, options->times);

        if (options->got != NULL)
            *options->got = status;
        else
            assert_int_equal(status, options->expected);
    }
    hr_worker_close(worker);
}

void hr_pipeline_estimate(const hr_golden *golden, const hr_golden_run *run,
                          bool keep_parts, hr_device *device, hr_pipeline_figures *out)
{
    const hr_pipeline_options options = {.keep_parts = keep_parts,
                                         .folder = hr_test_folder()};
    hr_worker_options worker = {
        .device = device, .keep_parts = keep_parts, .layout = layout_of(&options)};
    hr_world *world;
    hr_group *group = open_group(&options, &world);
    hr_model *model;
    hr_render render;
    hr_job job;
    hr_plan plan;

    hr_pipeline_estimate_rank(golden, run, &options, 0, 1, &out->estimate);
    hr_test_ok(hr_model_open(hr_golden_pipeline(golden), &model));
    worker.model = model;
    render = make_render(model, run, &options, &job, &plan);
    run_worker(group, &worker, &render, &options);
    out->measured = hr_device_get_stats(device);
    hr_job_free(&job);
    hr_model_close(model);
    hr_world_close(world);
}

void hr_pipeline_estimate_rank(const hr_golden *golden, const hr_golden_run *run,
                               const hr_pipeline_options *options, int rank, int n_ranks,
                               hr_estimate *out)
{
    hr_estimate_options estimate = {
        .worker = {.keep_parts = options->keep_parts, .layout = layout_of(options)},
        .rank = rank,
        .n_ranks = n_ranks,
        .ranks_per_host = n_ranks};
    hr_model *model;
    hr_render render;
    hr_job job;
    hr_plan plan;

    hr_test_ok(hr_model_open(hr_golden_pipeline(golden), &model));
    estimate.worker.model = model;
    estimate.worker.numerics = options->numerics;
    render = make_render(model, run, options, &job, &plan);
    hr_test_ok(hr_estimate_render(&estimate, &render, out));
    hr_job_free(&job);
    hr_model_close(model);
}

void hr_pipeline_render(const hr_golden *golden, const hr_golden_run *run,
                        const hr_pipeline_options *options)
{
    hr_device *device = hr_test_device_open(options->threads);
    hr_worker_options worker = {.device = device,
                                .numerics = options->numerics,
                                .layout = layout_of(options),
                                .keep_parts = options->keep_parts};
    hr_world *world;
    hr_group *group = open_group(options, &world);
    hr_model *model;
    hr_render render;
    hr_job job;
    hr_plan plan;

    hr_test_ok(hr_model_open(hr_golden_pipeline(golden), &model));
    worker.model = model;
    render = make_render(model, run, options, &job, &plan);
    if (options->stop_after_step == 0)
        render.latents_out = hr_test_path(options->folder, "latents.safetensors");
    if (!options->latents_only)
        render.save.frames_file = hr_test_path(options->folder, "frames.safetensors");
    run_worker(group, &worker, &render, options);
    hr_job_free(&job);
    hr_model_close(model);
    assert_int_equal(hr_device_get_stats(device).live_bytes, 0);
    hr_device_close(device);
    hr_world_close(world);
}
