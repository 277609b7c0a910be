#include "worker/denoise.h"

#include "base/clock.h"
#include "base/log.h"
#include "model/sampler.h"
#include "worker/noise.h"
#include "worker/preview.h"
#include "worker/progress.h"
#include "worker/text.h"

#include <stdio.h>

enum { COND = 0, UNCOND, N_BRANCHES };

/* All that one video needs while it is denoised. Tensors come from the worker's arena. */
typedef struct denoise {
    hr_worker *worker;
    const hr_render *render;
    hr_sampler *sampler;
    hr_rope *rope;
    hr_tensor latents;              /* [F, C, h, w] */
    hr_tensor velocity[N_BRANCHES]; /* same shape; guidance is applied in place */
    hr_tensor history[HR_SAMPLER_MAX_HISTORY]; /* same shape */
    bool no_previews;                          /* one could not be written */
    int expert; /* that the contexts belong to; -1 at first */
    const hr_transformer *transformer;
    hr_text_context *context[N_BRANCHES];
} denoise;

static int n_branches(const denoise *d)
{
    return d->render->plan->use_guidance ? 2 : 1;
}

static void drop_contexts(denoise *d)
{
    for (int b = 0; b < N_BRANCHES; b++) {
        hr_text_context_destroy(d->context[b]);
        d->context[b] = NULL;
    }
}

static hr_status make_context(denoise *d, int branch)
{
    hr_worker *w = d->worker;
    const char *text = branch == COND ? d->render->prompt : d->render->negative_prompt;
    int64_t text_length = d->render->job->text_length;
    const hr_embeds *embeds = hr_text_find(w, text, text_length);
    hr_arena_mark mark = hr_arena_get_mark(w->arena);
    hr_text_rows rows = {.text_length = text_length, .trace = d->render->trace};
    hr_status status;

    HR_TRY_GOTO(hr_arena_tensor(w->arena, HR_F32, HR_DIMS(embeds->n, embeds->width),
                                &rows.embeds),
                rewind);
    HR_TRY_GOTO(hr_copy_to_device(w->stream, &rows.embeds, embeds->data), rewind);
    status = hr_text_context_create(d->transformer, w->stream, w->arena, &rows,
                                    &d->context[branch]);
rewind:
    hr_arena_rewind(w->arena, mark);
    return status;
}

/* The expert for this timestep; changes it, with its text contexts, where the boundary is
 * passed. */
static hr_status select_expert(denoise *d, double timestep)
{
    const hr_model_config *config = hr_model_get_config(d->worker->model);
    double boundary =
        config->boundary_ratio * (double)config->scheduler.n_train_timesteps;
    int expert = config->has_second_expert && timestep < boundary ? 1 : 0;

    if (expert == d->expert)
        return HR_OK;
    drop_contexts(d);
    d->expert = -1;
    HR_TRY(hr_parts_expert(d->worker, expert, &d->transformer));
    for (int b = 0; b < n_branches(d); b++)
        HR_TRY(make_context(d, b));
    d->expert = expert;
    return HR_OK;
}

/* velocity[COND] = uncond + guidance (cond - uncond) */
static hr_status apply_guidance(denoise *d)
{
    const hr_plan *plan = d->render->plan;
    double g = d->expert == 0 ? plan->guidance : plan->guidance_2;

    if (!plan->use_guidance)
        return HR_OK;
    return hr_op_lincomb(d->worker->stream,
                         &(hr_lincomb_args){.x = {d->velocity[UNCOND], d->velocity[COND]},
                                            .c = {(float)(1 - g), (float)g},
                                            .n = 2,
                                            .out = d->velocity[COND]});
}

static hr_status predict_velocity(denoise *d, double timestep)
{
    hr_worker *w = d->worker;

    for (int b = 0; b < n_branches(d); b++) {
        hr_arena_mark mark = hr_arena_get_mark(w->arena);
        hr_status status = hr_transformer_run(d->transformer, w->stream, w->arena,
                                              &(hr_forward){.rope = d->rope,
                                                            .context = d->context[b],
                                                            .latents = d->latents,
                                                            .out = d->velocity[b],
                                                            .timestep = timestep});

        hr_arena_rewind(w->arena, mark);
        HR_TRY(status);
    }
    return apply_guidance(d);
}

static hr_status trace_step(const denoise *d, int step, const char *what,
                            const hr_tensor *t)
{
    char name[64];

    snprintf(name, sizeof name, "step%d/%s", step, what);
    return hr_trace_tensor(d->render->trace, d->worker->stream, name, t);
}

/* A preview that cannot be written is no reason to end the render. */
static hr_status preview(denoise *d, int step)
{
    hr_status status;
    int64_t every = d->render->job->preview_every;

    if (d->no_previews || d->render->preview_folder == NULL || every == 0 ||
        (step + 1) % every != 0 || step + 1 == d->render->plan->n_steps)
        return HR_OK;
    status = hr_preview_write(d->worker, d->render,
                              &(hr_preview){.latents = d->latents,
                                            .velocity = d->velocity[COND],
                                            .sigma = hr_sampler_sigmas(d->sampler)[step],
                                            .step = step + 1});
    if (status != HR_ERR_IO)
        return status;
    hr_warn("going on without previews");
    d->no_previews = true;
    return HR_OK;
}

static hr_status run_step(denoise *d, int step)
{
    hr_sampler_step_args args = {.x = d->latents, .step = step};
    double timestep = hr_sampler_timestep(d->sampler, step);

    HR_TRY(select_expert(d, timestep));
    HR_TRY(predict_velocity(d, timestep));
    HR_TRY(trace_step(d, step, "noise_pred", &d->velocity[COND]));
    HR_TRY(preview(d, step));
    args.velocity = d->velocity[COND];
    for (int i = 0; i < HR_SAMPLER_MAX_HISTORY; i++)
        args.history[i] = d->history[i];
    HR_TRY(hr_sampler_step(d->sampler, d->worker->stream, &args));
    HR_TRY(trace_step(d, step, "latents", &d->latents));
    return hr_stream_sync(d->worker->stream);
}

static hr_status open_sampler(denoise *d)
{
    static const hr_sampler_kind kinds[] = {[HR_JOB_UNIPC] = HR_SAMPLER_UNIPC,
                                            [HR_JOB_EULER] = HR_SAMPLER_EULER,
                                            [HR_JOB_DPMPP] = HR_SAMPLER_DPMPP};
    static const hr_sigma_table tables[] = {[HR_JOB_SIGMAS_037] = HR_SIGMAS_DIFFUSERS_037,
                                            [HR_JOB_SIGMAS_036] =
                                                HR_SIGMAS_DIFFUSERS_036};
    const hr_job *job = d->render->job;
    const hr_sampler_options options = {
        .kind = kinds[job->sampler],
        .sigmas = tables[job->sigmas],
        .n_steps = d->render->plan->n_steps,
        .shift = d->render->plan->shift,
        .n_train_timesteps =
            (int)hr_model_get_config(d->worker->model)->scheduler.n_train_timesteps,
    };

    return hr_sampler_create(&options, &d->sampler);
}

static hr_status make_tensors(denoise *d)
{
    const hr_plan *p = d->render->plan;
    hr_tensor *all[N_BRANCHES + HR_SAMPLER_MAX_HISTORY + 1];
    int n = 0;

    all[n++] = &d->latents;
    for (int b = 0; b < n_branches(d); b++)
        all[n++] = &d->velocity[b];
    for (int i = 0; i < hr_sampler_n_history(d->sampler); i++)
        all[n++] = &d->history[i];
    for (int i = 0; i < n; i++)
        HR_TRY(hr_arena_tensor(d->worker->arena, HR_F32,
                               HR_DIMS(p->latent_frames, p->latent_channels,
                                       p->latent_height, p->latent_width),
                               all[i]));
    return hr_rope_create(&hr_model_get_config(d->worker->model)->transformer,
                          d->worker->stream, p->latent_frames, p->latent_height,
                          p->latent_width, &d->rope);
}

/* To the host, where numbers that went wrong end the render at once. */
static hr_status take_latents(denoise *d, int step, float *latents)
{
    size_t n = (size_t)hr_tensor_count(&d->latents);

    HR_TRY(hr_copy_to_host(d->worker->stream, latents, &d->latents));
    HR_TRY(hr_stream_sync(d->worker->stream));
    if (hr_dtype_first_not_finite(latents, HR_F32, n) == n)
        return HR_OK;
    return hr_fail(
        HR_ERR_MODEL,
        "step %d: the latents are not finite numbers any more: the model overflows "
        "on this job",
        step + 1);
}

static hr_status run_steps(denoise *d, float *latents, hr_render_times *times)
{
    const hr_plan *plan = d->render->plan;
    int n_steps =
        d->render->stop_after_step > 0 ? d->render->stop_after_step : plan->n_steps;
    hr_stage_clock clock = hr_stage_begin(d->render->hooks, HR_STAGE_DENOISE, n_steps);
    double load_before = d->worker->load_seconds;

    HR_TRY(open_sampler(d));
    HR_TRY(make_tensors(d));
    HR_TRY(hr_noise_make(d->worker, d->render, latents));
    HR_TRY(hr_copy_to_device(d->worker->stream, &d->latents, latents));
    HR_TRY(select_expert(d, hr_sampler_timestep(d->sampler, 0)));
    HR_TRY(hr_stream_sync(d->worker->stream));
    times->start_seconds = hr_clock_process_seconds();
    for (int step = 0; step < n_steps; step++) {
        HR_TRY(hr_stage_next(&clock));
        HR_TRY(run_step(d, step));
        HR_TRY(take_latents(d, step, latents));
        hr_stage_done(&clock, step + 1);
    }
    times->seconds[HR_STAGE_DENOISE] = hr_stage_seconds(&clock);
    times->step_seconds = (hr_clock_seconds() - clock.work_began) / n_steps;
    times->load_seconds += d->worker->load_seconds - load_before;
    return HR_OK;
}

hr_status hr_denoise_stage(hr_worker *worker, const hr_render *render, float *latents,
                           hr_render_times *times)
{
    denoise d = {.worker = worker, .render = render, .expert = -1};
    hr_arena_mark mark = hr_arena_get_mark(worker->arena);
    hr_status status = run_steps(&d, latents, times);
    hr_status after = hr_stream_sync(worker->stream); /* nothing uses what is freed now */

    drop_contexts(&d);
    hr_rope_destroy(d.rope);
    hr_sampler_destroy(d.sampler);
    hr_arena_rewind(worker->arena, mark);
    return status != HR_OK ? status : after;
}
