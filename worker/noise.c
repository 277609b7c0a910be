#include "worker/noise.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/rng.h"
#include "coordinator/noise_map.h"
#include "io/latents.h"

#include <string.h>

struct hr_noise {
    const hr_run *run;
    hr_latents_reader *reader; /* of latents_in */
    uint32_t *base;            /* of each frame: the frame whose noise it gets */
    float *clip; /* what torch.randn gave for the first window: (1, C, n, h, w) */
};

static bool is_dry(const hr_noise *noise)
{
    return hr_device_is_dry(noise->run->worker->device);
}

static hr_status make_map(hr_noise *noise)
{
    const hr_windows *w = &noise->run->schedule.windows;
    const hr_job *job = noise->run->render->job;
    void *memory;

    HR_TRY(hr_alloc_or_fail((size_t)w->n_frames * sizeof *noise->base, "the noise map",
                            &memory));
    noise->base = memory;
    hr_noise_map_fill(w, job->noise, job->seed, noise->base);
    return HR_OK;
}

static hr_status open_source(hr_noise *noise)
{
    const hr_render *render = noise->run->render;
    const hr_plan *p = render->plan;
    const int64_t shape[4] = {p->latent_frames, p->latent_channels, p->latent_height,
                              p->latent_width};

    if (is_dry(noise))
        return HR_OK;
    if (render->latents_in != NULL)
        return hr_latents_open(render->latents_in, shape, &noise->reader);
    return make_map(noise);
}

hr_status hr_noise_open(const hr_run *run, hr_noise **out)
{
    hr_noise *noise;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *noise, "the noise", &memory));
    noise = memory;
    noise->run = run;
    status = open_source(noise);
    if (status != HR_OK) {
        hr_noise_close(noise);
        return status;
    }
    *out = noise;
    return HR_OK;
}

void hr_noise_close(hr_noise *noise)
{
    if (noise == NULL)
        return;
    hr_latents_close(noise->reader);
    hr_free(noise->base);
    hr_free(noise->clip);
    hr_free(noise);
}

/* torch.randn draws a whole clip, channels before frames. */
static hr_status draw_clip(hr_noise *noise)
{
    size_t count = noise->run->frame_floats * (size_t)noise->run->schedule.windows.length;
    hr_torch_rng rng;

    HR_TRY(hr_alloc_or_fail(count * sizeof(float), "noise", (void **)&noise->clip));
    hr_torch_rng_seed(&rng, noise->run->render->job->seed);
    hr_torch_randn(&rng, noise->clip, count);
    return HR_OK;
}

/* The plan sees to it that no frame has noise from beyond the first window. */
static hr_status take_from_clip(hr_noise *noise, int64_t base, float *out)
{
    const hr_plan *p = noise->run->render->plan;
    int64_t n_frames = noise->run->schedule.windows.length;
    size_t area = (size_t)(p->latent_height * p->latent_width);

    HR_ASSERT(base < n_frames);
    if (noise->clip == NULL)
        HR_TRY(draw_clip(noise));
    for (int64_t c = 0; c < p->latent_channels; c++)
        memcpy(out + (size_t)c * area, noise->clip + (size_t)(c * n_frames + base) * area,
               area * sizeof(float));
    return HR_OK;
}

hr_status hr_noise_read(hr_noise *noise, int64_t frame, float *out)
{
    const hr_render *render = noise->run->render;
    const hr_plan *p = render->plan;

    if (is_dry(noise))
        return HR_OK;
    if (noise->reader != NULL)
        return hr_latents_read_frame(noise->reader, frame, out);
    if (render->job->rng == HR_JOB_TORCH)
        return take_from_clip(noise, noise->base[frame], out);
    hr_rng_latent_frame(render->job->seed, noise->base[frame], p->latent_channels,
                        p->latent_height, p->latent_width, out);
    return HR_OK;
}
