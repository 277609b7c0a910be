#include "coordinator/plan.h"

#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Refuses a size that is not a positive multiple of `unit` and names the neighbours that
 * are. */
static hr_status check_multiple(const char *key, int64_t value, int64_t unit)
{
    int64_t below = value / unit * unit;

    if (value >= unit && value % unit == 0)
        return HR_OK;
    if (below < unit)
        return hr_fail(HR_ERR_ARG,
                       "%s: %" PRId64 " is not a multiple of %" PRId64
                       "; nearest: %" PRId64,
                       key, value, unit, unit);
    return hr_fail(HR_ERR_ARG,
                   "%s: %" PRId64 " is not a multiple of %" PRId64 "; nearest: %" PRId64
                   " or %" PRId64,
                   key, value, unit, below, below + unit);
}

/* frames = scale * n + 1. `origin` says where the number comes from. */
static hr_status check_frames(const char *origin, int64_t frames, int64_t scale)
{
    int64_t below = (frames - 1) / scale * scale + 1;

    if (frames >= 1 && (frames - 1) % scale == 0)
        return HR_OK;
    if (frames < 1)
        return hr_fail(HR_ERR_ARG, "%s: %" PRId64 " frames; at least 1 is needed", origin,
                       frames);
    return hr_fail(HR_ERR_ARG,
                   "%s: %" PRId64 " frames; the model makes %" PRId64
                   "n+1 frames; nearest: %" PRId64 " or %" PRId64,
                   origin, frames, scale, below, below + scale);
}

/* The number of frames that comes nearest to `seconds`. */
static int64_t frames_of_seconds(double seconds, double fps, int64_t scale)
{
    return llround(seconds * fps / (double)scale) * scale + 1;
}

static hr_status check_positions(const char *axis, int64_t n, int64_t max)
{
    if (n <= max)
        return HR_OK;
    return hr_fail(HR_ERR_ARG,
                   "video: %" PRId64 " token positions in %s; the model has %" PRId64, n,
                   axis, max);
}

/* The window has to be what the model can make of its own accord. */
static hr_status plan_window_length(const hr_job *job, const hr_model_facts *facts,
                                    hr_plan *plan)
{
    int64_t scale = facts->scale_temporal, length = plan->latent_frames;

    if (job->window_frames > 0) {
        HR_TRY(check_frames("windows.frames", job->window_frames, scale));
        if ((job->window_frames - 1) / scale + 1 < length)
            length = (job->window_frames - 1) / scale + 1;
    }
    HR_TRY(check_multiple("latent frames", length, facts->patch_time));
    plan->windows.length = length;
    return check_positions("time", length / facts->patch_time, facts->rope_max);
}

/* With an anchor the first frame of a later window is context only: the window before has
 * to predict it. */
static hr_status check_anchor(const hr_windows *w, int64_t overlap, int64_t scale)
{
    const char *name = w->anchor == HR_ANCHOR_FIRST ? "first" : "previous";

    if (w->anchor == HR_ANCHOR_NONE)
        return HR_OK;
    if (w->length < 2)
        return hr_fail(HR_ERR_ARG,
                       "windows.frames: 1 is all context with windows.anchor %s; "
                       "nearest: %" PRId64,
                       name, scale + 1);
    if (overlap == 0)
        return hr_fail(HR_ERR_ARG,
                       "windows.overlap: 0 leaves frames that no window predicts with "
                       "windows.anchor %s; nearest: %" PRId64,
                       name, scale);
    return HR_OK;
}

static hr_status check_overlap(const hr_windows *w, int64_t overlap, int64_t scale)
{
    int64_t most = (w->length - 1) * scale, below = overlap / scale * scale;

    HR_TRY(check_anchor(w, overlap, scale));
    if (overlap > most)
        return hr_fail(HR_ERR_ARG,
                       "windows.overlap: %" PRId64
                       " is not less than windows.frames, %" PRId64 "; nearest: %" PRId64,
                       overlap, most + 1, most);
    if (overlap == below)
        return HR_OK;
    /* check_multiple does not offer 0. */
    if (below > 0 || w->anchor != HR_ANCHOR_NONE)
        return check_multiple("windows.overlap", overlap, scale);
    return hr_fail(HR_ERR_ARG,
                   "windows.overlap: %" PRId64 " is not a multiple of %" PRId64
                   "; nearest: 0 or %" PRId64,
                   overlap, scale, scale);
}

static hr_status plan_windows(const hr_job *job, const hr_model_facts *facts,
                              hr_plan *plan)
{
    hr_windows *w = &plan->windows;

    plan->noise = job->noise;
    plan->decode = job->decode;
    *w = (hr_windows){.n_frames = plan->latent_frames,
                      .grid = job->grid,
                      .blend = job->blend,
                      .anchor = job->anchor};
    HR_TRY(plan_window_length(job, facts, plan));
    if (w->length == w->n_frames)
        return HR_OK;
    HR_TRY(check_overlap(w, job->window_overlap, facts->scale_temporal));
    w->overlap = job->window_overlap / facts->scale_temporal;
    if (job->rng == HR_JOB_TORCH && job->noise == HR_NOISE_INDEPENDENT)
        return hr_fail(HR_ERR_ARG, "sampler.rng: torch is the noise of one window; a "
                                   "longer video takes windows.noise rescheduled, or "
                                   "sampler.rng philox");
    return HR_OK;
}

static hr_status plan_sizes(const hr_job *job, const hr_model_facts *facts, hr_plan *plan)
{
    bool by_seconds = job->is_set[HR_KEY_SECONDS];

    plan->frames = by_seconds
                       ? frames_of_seconds(job->seconds, job->fps, facts->scale_temporal)
                       : job->frames;
    plan->width = job->width;
    plan->height = job->height;
    HR_TRY(check_multiple("video.width", plan->width,
                          facts->scale_spatial * facts->patch_width));
    HR_TRY(check_multiple("video.height", plan->height,
                          facts->scale_spatial * facts->patch_height));
    HR_TRY(check_frames(by_seconds ? "video.seconds" : "video.frames", plan->frames,
                        facts->scale_temporal));
    plan->latent_channels = facts->latent_channels;
    plan->latent_frames = (plan->frames - 1) / facts->scale_temporal + 1;
    plan->latent_height = plan->height / facts->scale_spatial;
    plan->latent_width = plan->width / facts->scale_spatial;
    HR_TRY(check_positions("height", plan->latent_height / facts->patch_height,
                           facts->rope_max));
    return check_positions("width", plan->latent_width / facts->patch_width,
                           facts->rope_max);
}

hr_status hr_plan_make(const hr_job *job, const hr_model_facts *facts, hr_plan *out)
{
    hr_plan plan = {0};

    HR_TRY(plan_sizes(job, facts, &plan));
    HR_TRY(plan_windows(job, facts, &plan));
    plan.n_tokens = plan.windows.length / facts->patch_time *
                    (plan.latent_height / facts->patch_height) *
                    (plan.latent_width / facts->patch_width);
    plan.n_steps = (int)job->steps;
    plan.guidance = job->guidance;
    plan.guidance_2 = job->is_set[HR_KEY_GUIDANCE_2] ? job->guidance_2 : job->guidance;
    plan.use_guidance = plan.guidance > 1;
    plan.shift = job->shift;
    *out = plan;
    return HR_OK;
}

void hr_plan_count_windows(const hr_plan *plan, int64_t *fewest, int64_t *most)
{
    int64_t n;

    *fewest = *most = hr_windows_count(&plan->windows, 0);
    for (int k = 1; k < plan->n_steps; k++) {
        n = hr_windows_count(&plan->windows, k);
        *fewest = n < *fewest ? n : *fewest;
        *most = n > *most ? n : *most;
    }
}

int hr_plan_n_branches(const hr_plan *plan)
{
    return plan->use_guidance ? 2 : 1;
}

hr_schedule hr_plan_schedule(const hr_plan *plan, const hr_layout *layout)
{
    return (hr_schedule){.windows = plan->windows,
                         .layout = *layout,
                         .n_steps = plan->n_steps,
                         .n_branches = hr_plan_n_branches(plan)};
}
