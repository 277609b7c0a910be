#include "worker/noise.h"

#include "base/memory.h"
#include "base/rng.h"
#include "io/latents.h"

#include <string.h>

static void draw_philox(const hr_plan *p, uint64_t seed, float *latents)
{
    int64_t per_frame = p->latent_channels * p->latent_height * p->latent_width;

    for (int64_t f = 0; f < p->latent_frames; f++)
        hr_rng_latent_frame(seed, (uint32_t)f, p->latent_channels, p->latent_height,
                            p->latent_width, latents + f * per_frame);
}

/* torch.randn draws (1, C, F, h, w); ours is frames first. */
static hr_status draw_torch(const hr_plan *p, uint64_t seed, float *latents)
{
    size_t area = (size_t)(p->latent_height * p->latent_width);
    size_t n_frames = (size_t)p->latent_frames, n_channels = (size_t)p->latent_channels;
    size_t count = n_frames * n_channels * area;
    hr_torch_rng rng;
    void *memory;
    float *drawn;

    HR_TRY(hr_alloc_or_fail(count * sizeof(float), "noise", &memory));
    drawn = memory;
    hr_torch_rng_seed(&rng, seed);
    hr_torch_randn(&rng, drawn, count);
    for (size_t f = 0; f < n_frames; f++)
        for (size_t c = 0; c < n_channels; c++)
            memcpy(latents + (f * n_channels + c) * area,
                   drawn + (c * n_frames + f) * area, area * sizeof(float));
    hr_free(memory);
    return HR_OK;
}

hr_status hr_noise_make(const hr_worker *worker, const hr_render *render, float *latents)
{
    const hr_plan *p = render->plan;
    const int64_t shape[4] = {p->latent_frames, p->latent_channels, p->latent_height,
                              p->latent_width};

    if (hr_device_is_dry(worker->device))
        return HR_OK;
    if (render->latents_in != NULL)
        return hr_latents_read(render->latents_in, shape, latents);
    if (render->job->rng == HR_JOB_TORCH)
        return draw_torch(p, render->job->seed, latents);
    draw_philox(p, render->job->seed, latents);
    return HR_OK;
}
