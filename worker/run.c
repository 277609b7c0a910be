#include "worker/run.h"

static hr_status open_sampler(hr_run *run)
{
    static const hr_sampler_kind kinds[] = {[HR_JOB_UNIPC] = HR_SAMPLER_UNIPC,
                                            [HR_JOB_EULER] = HR_SAMPLER_EULER,
                                            [HR_JOB_DPMPP] = HR_SAMPLER_DPMPP};
    static const hr_sigma_table tables[] = {[HR_JOB_SIGMAS_037] = HR_SIGMAS_DIFFUSERS_037,
                                            [HR_JOB_SIGMAS_036] =
                                                HR_SIGMAS_DIFFUSERS_036};
    const hr_job *job = run->render->job;
    const hr_sampler_options options = {
        .kind = kinds[job->sampler],
        .sigmas = tables[job->sigmas],
        .n_steps = run->render->plan->n_steps,
        .shift = run->render->plan->shift,
        .n_train_timesteps =
            (int)hr_model_get_config(run->worker->model)->scheduler.n_train_timesteps,
    };

    return hr_sampler_create(&options, &run->sampler);
}

hr_status hr_run_open(hr_worker *worker, const hr_render *render, hr_run *out)
{
    const hr_plan *p = render->plan;

    *out = (hr_run){
        .worker = worker,
        .render = render,
        .schedule = hr_plan_schedule(p, &worker->layout),
        .frame_floats = (size_t)(p->latent_channels * p->latent_height * p->latent_width),
    };
    if (render->stop_after_step > 0)
        out->schedule.n_steps = render->stop_after_step;
    return open_sampler(out);
}

void hr_run_close(hr_run *run)
{
    hr_sampler_destroy(run->sampler);
    run->sampler = NULL;
}

int hr_run_expert(const hr_run *run, int step)
{
    const hr_model_config *config = hr_model_get_config(run->worker->model);
    double boundary =
        config->boundary_ratio * (double)config->scheduler.n_train_timesteps;

    return config->has_second_expert && hr_sampler_timestep(run->sampler, step) < boundary
               ? 1
               : 0;
}

int hr_run_leader(const hr_run *run, int group)
{
    return hr_layout_rank(&run->schedule.layout, &(hr_place){.windows = group});
}

int hr_run_owner(const hr_run *run, int64_t frame)
{
    return hr_run_leader(run, hr_schedule_owner(&run->schedule, frame));
}

int hr_run_predictor(const hr_run *run, int step, int64_t window, int branch)
{
    const hr_layout *layout = &run->schedule.layout;
    const hr_place place = {.windows = hr_schedule_group(&run->schedule, step, window),
                            .cfg = branch % layout->cfg,
                            .stage = layout->stages - 1};

    return hr_layout_rank(layout, &place);
}

hr_status hr_run_tensor(const hr_run *run, int64_t n_frames, hr_tensor *out)
{
    const hr_plan *p = run->render->plan;

    return hr_arena_tensor(
        run->worker->arena, HR_F32,
        HR_DIMS(n_frames, p->latent_channels, p->latent_height, p->latent_width), out);
}
