#include "worker/fuse.h"

#include "base/log.h"
#include "base/memory.h"
#include "worker/preview.h"

#include <inttypes.h>
#include <stdio.h>

struct hr_fuser {
    const hr_run *run;
    hr_states *states;
    hr_halo *halo;
    float *x, *history[HR_SAMPLER_MAX_HISTORY]; /* host, one frame each */
    bool no_previews;                           /* one could not be written */
};

hr_status hr_fuser_open(const hr_run *run, hr_states *states, hr_halo *halo,
                        hr_fuser **out)
{
    size_t bytes = run->frame_floats * sizeof(float);
    hr_fuser *fuser;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *fuser, "the fuser", &memory));
    fuser = memory;
    fuser->run = run;
    fuser->states = states;
    fuser->halo = halo;
    HR_TRY_GOTO(hr_alloc_or_fail(bytes, "a frame", (void **)&fuser->x), fail);
    for (int i = 0; i < hr_sampler_n_history(run->sampler); i++)
        HR_TRY_GOTO(hr_alloc_or_fail(bytes, "a frame", (void **)&fuser->history[i]),
                    fail);
    *out = fuser;
    return HR_OK;
fail:
    hr_fuser_close(fuser);
    return status;
}

void hr_fuser_close(hr_fuser *fuser)
{
    if (fuser == NULL)
        return;
    for (int i = 0; i < HR_SAMPLER_MAX_HISTORY; i++)
        hr_free(fuser->history[i]);
    hr_free(fuser->x);
    hr_free(fuser);
}

static hr_status upload(const hr_fuser *fuser, const float *host, hr_tensor *out)
{
    HR_TRY(hr_run_tensor(fuser->run, 1, out));
    return hr_copy_to_device(fuser->run->worker->stream, out, host);
}

/* The window's velocity of the frame: uncond + guidance (cond - uncond). */
static hr_status guide(const hr_fuser *fuser, hr_unit unit, int64_t frame, hr_tensor *out)
{
    const hr_run *run = fuser->run;
    const hr_plan *plan = run->render->plan;
    double g = hr_run_expert(run, unit.step) == 0 ? plan->guidance : plan->guidance_2;
    hr_tensor uncond;

    unit.branch = HR_BRANCH_COND;
    HR_TRY(upload(fuser, hr_halo_prediction(fuser->halo, &unit, frame), out));
    if (!plan->use_guidance)
        return HR_OK;
    unit.branch = HR_BRANCH_UNCOND;
    HR_TRY(upload(fuser, hr_halo_prediction(fuser->halo, &unit, frame), &uncond));
    return hr_op_lincomb(
        run->worker->stream,
        &(hr_lincomb_args){
            .x = {uncond, *out}, .c = {(float)(1 - g), (float)g}, .n = 2, .out = *out});
}

/* sum += weight v; the first one is sum = weight v. */
static hr_status add_window(const hr_fuser *fuser, float weight, const hr_tensor *v,
                            bool is_first, const hr_tensor *sum)
{
    hr_lincomb_args args = {.x = {*v}, .c = {weight}, .n = 1, .out = *sum};

    if (!is_first) {
        args.x[0] = *sum;
        args.c[0] = 1;
        args.x[1] = *v;
        args.c[1] = weight;
        args.n = 2;
    }
    return hr_op_lincomb(fuser->run->worker->stream, &args);
}

static hr_status sum_windows(const hr_fuser *fuser, int64_t frame, int step,
                             hr_tensor *sum)
{
    const hr_windows *w = &fuser->run->schedule.windows;
    hr_arena *arena = fuser->run->worker->arena;
    hr_range who = hr_windows_predicting(w, step, frame);

    HR_TRY(hr_run_tensor(fuser->run, 1, sum));
    for (int64_t i = who.first; i < who.first + who.n; i++) {
        hr_arena_mark mark = hr_arena_get_mark(arena);
        hr_tensor v;

        HR_TRY(guide(fuser, (hr_unit){.step = step, .window = i}, frame, &v));
        HR_TRY(add_window(fuser, hr_windows_weight(w, step, i, frame), &v, i == who.first,
                          sum));
        hr_arena_rewind(arena, mark);
    }
    return HR_OK;
}

static hr_status trace(const hr_fuser *fuser, int step, int64_t frame, const char *what,
                       const hr_tensor *t)
{
    char name[64];

    snprintf(name, sizeof name, "step%d/frame%" PRId64 "/%s", step, frame, what);
    return hr_trace_tensor(fuser->run->render->trace, fuser->run->worker->stream, name,
                           t);
}

/* Rank 0, which alone writes, looks at the middle of its own frames: with one window
 * group that is the middle of the video. A draft ends with a look. */
static bool is_preview(const hr_fuser *fuser, int step, int64_t frame)
{
    const hr_render *render = fuser->run->render;
    hr_range owned = hr_states_owned(fuser->states);
    int64_t every = render->job->preview_every;
    bool is_due =
        every > 0 && ((step + 1) % every == 0 || step + 1 == render->stop_after_step);

    return hr_group_rank(fuser->run->worker->group) == 0 && !fuser->no_previews &&
           render->preview_folder != NULL && is_due && step + 1 < render->plan->n_steps &&
           frame == owned.first + owned.n / 2;
}

/* A preview that cannot be written is no reason to end the render. */
static hr_status preview(hr_fuser *fuser, int step, int64_t frame, const hr_tensor *x,
                         const hr_tensor *velocity)
{
    hr_status status;

    if (!is_preview(fuser, step, frame))
        return HR_OK;
    status = hr_preview_write(
        fuser->run->worker, fuser->run->render,
        &(hr_preview){.latents = *x,
                      .velocity = *velocity,
                      .sigma = hr_sampler_sigmas(fuser->run->sampler)[step],
                      .step = step + 1});
    if (status != HR_ERR_IO)
        return status;
    hr_warn("going on without previews");
    fuser->no_previews = true;
    return HR_OK;
}

/* The sampler's step on the device, with the frame's history from where it lies. */
static hr_status step_sample(const hr_fuser *fuser, int64_t frame,
                             hr_sampler_step_args *args)
{
    const hr_run *run = fuser->run;
    hr_stream *stream = run->worker->stream;
    int n = hr_sampler_n_history(run->sampler);

    for (int i = 0; i < n; i++) {
        HR_TRY(hr_states_read_history(fuser->states, frame, i, fuser->history[i]));
        HR_TRY(upload(fuser, fuser->history[i], &args->history[i]));
    }
    HR_TRY(hr_sampler_step(run->sampler, stream, args));
    HR_TRY(trace(fuser, args->step, frame, "latents", &args->x));
    HR_TRY(hr_stream_sync(stream)); /* the host's buffers have been read now */
    for (int i = 0; i < n; i++)
        HR_TRY(hr_copy_to_host(stream, fuser->history[i], &args->history[i]));
    HR_TRY(hr_copy_to_host(stream, fuser->x, &args->x));
    return hr_stream_sync(stream);
}

/* Numbers that went wrong end the render at once. */
static hr_status check_finite(const hr_fuser *fuser, int step)
{
    size_t n = fuser->run->frame_floats;

    if (hr_dtype_first_not_finite(fuser->x, HR_F32, n) == n)
        return HR_OK;
    return hr_fail(
        HR_ERR_MODEL,
        "step %d: the latents are not finite numbers any more: the model overflows "
        "on this job",
        step + 1);
}

static hr_status run_step(hr_fuser *fuser, int64_t frame, int step)
{
    hr_sampler_step_args args = {.step = step};

    HR_TRY(hr_states_read(fuser->states, frame, step, fuser->x));
    HR_TRY(upload(fuser, fuser->x, &args.x));
    HR_TRY(sum_windows(fuser, frame, step, &args.velocity));
    HR_TRY(trace(fuser, step, frame, "noise_pred", &args.velocity));
    HR_TRY(preview(fuser, step, frame, &args.x, &args.velocity));
    HR_TRY(step_sample(fuser, frame, &args));
    HR_TRY(check_finite(fuser, step));
    for (int i = 0; i < hr_sampler_n_history(fuser->run->sampler); i++)
        HR_TRY(hr_states_write_history(fuser->states, frame, i, fuser->history[i]));
    return hr_states_write(fuser->states, frame, step + 1, fuser->x);
}

hr_status hr_fuser_step(hr_fuser *fuser, int64_t frame, const float **x)
{
    hr_arena *arena = fuser->run->worker->arena;
    hr_arena_mark mark = hr_arena_get_mark(arena);
    int step = hr_states_step(fuser->states, frame);

    hr_status status = run_step(fuser, frame, step);

    hr_arena_rewind(arena, mark);
    HR_TRY(status);
    hr_halo_drop_predictions(fuser->halo, frame, step);
    *x = fuser->x;
    return HR_OK;
}
