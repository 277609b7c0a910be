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
    HR_TRY(check_multiple("latent frames", plan->latent_frames, facts->patch_time));
    HR_TRY(check_positions("time", plan->latent_frames / facts->patch_time,
                           facts->rope_max));
    HR_TRY(check_positions("height", plan->latent_height / facts->patch_height,
                           facts->rope_max));
    return check_positions("width", plan->latent_width / facts->patch_width,
                           facts->rope_max);
}

hr_status hr_plan_make(const hr_job *job, const hr_model_facts *facts, hr_plan *out)
{
    hr_plan plan = {0};

    HR_TRY(plan_sizes(job, facts, &plan));
    plan.n_tokens = plan.latent_frames / facts->patch_time *
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
