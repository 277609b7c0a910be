#include "cli/calibrate.h"

#include "base/text.h"
#include "cli/bench_op.h"
#include "cli/cli.h"
#include "worker/estimate.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_ROWS = 2048, MAX_SIDE = 64, STEPS = 3, CLIP_FRAMES = 3 };

static const uint64_t max_clip_bytes = (uint64_t)1 << 30;
static const double max_clip_flops = 4e10;
static const double budget_seconds = 0.3;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static hr_status measure(hr_device *device, const hr_bench_case *c, double *rate)
{
    hr_bench_result result;

    HR_TRY(hr_bench_run(device, c, &result));
    *rate = result.flops / result.seconds;
    return HR_OK;
}

/* Per token of a window: six square products and two of the feed-forward; attention to
 * all tokens of the window. */
static double mix(const hr_transformer_config *t, int64_t n_tokens, double linear_rate,
                  double attention_rate)
{
    double width = (double)hr_transformer_width(t);
    double linear = 2 * (6 * width * width + 2 * width * (double)t->ffn_dim);
    double attention = 4 * (double)n_tokens * width;

    return (linear + attention) / (linear / linear_rate + attention / attention_rate);
}

static hr_status measure_operators(const hr_worker_options *worker, const hr_plan *plan,
                                   hr_speed *out)
{
    const hr_model_config *config = hr_model_get_config(worker->model);
    const hr_transformer_config *t = &config->transformer;
    hr_dtype dtype = worker->numerics == HR_NUMERICS_F32 ? HR_F32 : HR_BF16;
    int64_t rows = least(plan->n_tokens, MAX_ROWS);
    double linear, attention, conv;

    HR_TRY(measure(worker->device,
                   &(hr_bench_case){.what = "linear",
                                    .dtype = dtype,
                                    .a = rows,
                                    .b = hr_transformer_width(t),
                                    .c = t->ffn_dim,
                                    .budget_seconds = budget_seconds},
                   &linear));
    HR_TRY(measure(worker->device,
                   &(hr_bench_case){.what = "attention",
                                    .dtype = dtype,
                                    .a = rows,
                                    .b = t->n_heads,
                                    .c = t->head_dim,
                                    .budget_seconds = budget_seconds},
                   &attention));
    HR_TRY(measure(worker->device,
                   &(hr_bench_case){.what = "conv",
                                    .dtype = HR_F32,
                                    .a = config->vae.scale_temporal,
                                    .b = least(plan->height, MAX_SIDE),
                                    .c = least(plan->width, MAX_SIDE),
                                    .d = config->vae.base_dim,
                                    .budget_seconds = budget_seconds},
                   &conv));
    out->flops[HR_STAGE_TEXT] = linear;
    out->flops[HR_STAGE_DENOISE] = mix(t, plan->n_tokens, linear, attention);
    out->flops[HR_STAGE_DECODE] = conv;
    snprintf(out->what, sizeof out->what,
             "a product of %" PRId64 " tokens at %.3g, attention at %.3g, a convolution "
             "at %.3g GFLOP/s: a render takes longer",
             rows, linear * 1e-9, attention * 1e-9, conv * 1e-9);
    return HR_OK;
}

/* A clip as long as a window for the denoising, and a shorter one for the decoder. */
typedef struct clip {
    hr_job job;
    hr_plan plan;
    hr_render render;
} clip;

static void make_clip(const hr_render *render, int64_t latent_frames, clip *out)
{
    const hr_plan *whole = render->plan;
    int64_t scale =
        whole->latent_frames > 1 ? (whole->frames - 1) / (whole->latent_frames - 1) : 1;

    *out = (clip){.job = *render->job, .plan = *whole, .render = *render};
    out->plan.latent_frames = out->plan.windows.n_frames = latent_frames;
    out->plan.windows.length = latent_frames;
    out->plan.windows.overlap = 0;
    out->plan.frames = (latent_frames - 1) * scale + 1;
    out->plan.n_tokens = whole->n_tokens / whole->windows.length * latent_frames;
    out->plan.n_steps = STEPS;
    out->job.steps = STEPS;
    out->job.frames = out->plan.frames;
    out->render.preview_folder = NULL;
    out->render.scratch_folder = hr_temporary_folder();
}

static hr_status render_clip(hr_worker *worker, const hr_render *render,
                             int64_t latent_frames, bool decodes, hr_render_times *times)
{
    clip c;

    make_clip(render, latent_frames, &c);
    c.render.job = &c.job;
    c.render.plan = &c.plan;
    c.render.stop_after_step = decodes ? 0 : STEPS;
    return hr_worker_render(worker, &c.render, times);
}

/* The first time loads and warms up. */
static hr_status time_clips(hr_worker *worker, const hr_render *render, hr_speed *out)
{
    int64_t window = render->plan->windows.length;
    hr_render_times cold, steps, frames;
    double text = 0;

    HR_TRY(render_clip(worker, render, least(window, CLIP_FRAMES), true, &cold));
    HR_TRY(render_clip(worker, render, window, false, &steps));
    HR_TRY(render_clip(worker, render, least(window, CLIP_FRAMES), true, &frames));
    text = cold.stage_flops[HR_STAGE_TEXT] / cold.seconds[HR_STAGE_TEXT];
    out->flops[HR_STAGE_TEXT] = text;
    out->flops[HR_STAGE_DENOISE] =
        steps.stage_flops[HR_STAGE_DENOISE] / (steps.step_seconds * STEPS);
    out->flops[HR_STAGE_DECODE] =
        frames.stage_flops[HR_STAGE_DECODE] / frames.seconds[HR_STAGE_DECODE];
    snprintf(
        out->what, sizeof out->what,
        "a step of one window took %.3g s, decoding of %" PRId64 " latent frames %.3g s",
        steps.step_seconds, least(window, CLIP_FRAMES), frames.seconds[HR_STAGE_DECODE]);
    return HR_OK;
}

static hr_status measure_clips(const hr_worker_options *options, const hr_render *render,
                               hr_speed *out)
{
    hr_worker_options alone = *options;
    hr_world *world;
    hr_worker *worker;
    hr_status status;

    alone.keep_parts = true;
    alone.layout = (hr_layout){1, 1, 1, 1};
    HR_TRY(hr_world_open_alone(&world));
    status = hr_worker_open(hr_world_group(world), &alone, &worker);
    if (status == HR_OK) {
        status = time_clips(worker, render, out);
        hr_worker_close(worker);
    }
    hr_world_close(world);
    return status;
}

/* Whether a clip is worth a second or two, and its memory. */
static hr_status is_small(const hr_worker_options *options, const hr_render *render,
                          bool *out)
{
    hr_estimate_options whole = {.worker = *options, .n_ranks = 1, .ranks_per_host = 1};
    hr_estimate need;
    clip c;

    make_clip(render, render->plan->windows.length, &c);
    c.render.job = &c.job;
    c.render.plan = &c.plan;
    c.render.stop_after_step = STEPS;
    whole.worker.keep_parts = true;
    whole.worker.layout = (hr_layout){1, 1, 1, 1};
    HR_TRY(hr_estimate_render(&whole, &c.render, &need));
    *out = need.flops <= max_clip_flops && hr_estimate_bytes(&need) <= max_clip_bytes;
    return HR_OK;
}

hr_status hr_speed_measure(const hr_worker_options *worker, const hr_render *render,
                           hr_speed *out)
{
    hr_speed speed = {0};
    bool small;

    HR_TRY(is_small(worker, render, &small));
    if (small)
        HR_TRY(measure_clips(worker, render, &speed));
    else
        HR_TRY(measure_operators(worker, render->plan, &speed));
    *out = speed;
    return HR_OK;
}

static double most_flops(const hr_outlook *outlook, hr_stage stage)
{
    double most = 0;

    for (int i = 0; i < outlook->n_estimates; i++)
        if (outlook->estimates[i].stage_flops[stage] > most)
            most = outlook->estimates[i].stage_flops[stage];
    return most;
}

void hr_speed_seconds(const hr_speed *speed, const hr_outlook *outlook,
                      const hr_schedule_result *played, double seconds[HR_STAGE_COUNT])
{
    const hr_layout *layout = &outlook->layout;
    const hr_schedule schedule = hr_plan_schedule(outlook->plan, layout);
    double units =
        (double)hr_schedule_n_units(&schedule) * layout->stages * layout->tensor;
    double turns = (double)outlook->ranks_per_host / hr_machine_cores();
    double work;

    for (int s = 0; s < HR_STAGE_COUNT; s++) {
        work = s == HR_STAGE_DENOISE
                   ? played->seconds * hr_outlook_flops(outlook, HR_STAGE_DENOISE) / units
                   : most_flops(outlook, (hr_stage)s);
        seconds[s] = work / speed->flops[s] * (turns > 1 ? turns : 1);
    }
}
