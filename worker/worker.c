#include "worker/worker.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/latents.h"
#include "worker/decode.h"
#include "worker/denoise.h"
#include "worker/parts.h"
#include "worker/progress.h"
#include "worker/text.h"

hr_status hr_worker_open(const hr_group *group, const hr_worker_options *options,
                         hr_worker **out)
{
    void *memory;
    hr_worker *worker;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *worker, "a worker", &memory));
    worker = memory;
    worker->group = *group;
    worker->model = options->model;
    worker->device = options->device;
    worker->numerics = options->numerics;
    worker->keep_parts = options->keep_parts;
    status = hr_stream_create(worker->device, &worker->stream);
    if (status == HR_OK)
        status = hr_arena_create(worker->device, &worker->arena);
    status = hr_group_agree(group, status);
    if (status != HR_OK) {
        hr_worker_close(worker);
        return status;
    }
    *out = worker;
    return HR_OK;
}

void hr_worker_close(hr_worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->stream != NULL) {
        hr_parts_drop_text_encoder(worker);
        hr_parts_drop_experts(worker);
        hr_parts_drop_vae(worker);
    }
    for (size_t i = 0; i < worker->n_embeds; i++) {
        hr_free(worker->embeds[i].text);
        hr_free(worker->embeds[i].data);
    }
    hr_free(worker->embeds);
    hr_arena_destroy(worker->arena);
    hr_stream_destroy(worker->stream);
    hr_free(worker);
}

hr_status hr_worker_encode(hr_worker *worker, const hr_render *renders, size_t n)
{
    hr_status status = HR_OK;

    for (size_t i = 0; i < n && status == HR_OK; i++)
        status = hr_text_stage(worker, &renders[i]);
    hr_parts_drop_text_encoder(worker);
    return hr_group_agree(&worker->group, status);
}

static hr_status text_stage(hr_worker *worker, const hr_render *render,
                            hr_render_times *times)
{
    int64_t n_texts = render->plan->use_guidance ? 2 : 1;
    hr_stage_clock clock = hr_stage_begin(render->hooks, HR_STAGE_TEXT, n_texts);
    double load_before = worker->load_seconds;

    HR_TRY(hr_stage_next(&clock));
    HR_TRY(hr_text_stage(worker, render));
    hr_parts_drop_text_encoder(worker);
    times->seconds[HR_STAGE_TEXT] = hr_stage_seconds(&clock);
    times->load_seconds += worker->load_seconds - load_before;
    hr_stage_done(&clock, n_texts);
    return HR_OK;
}

static hr_status write_latents(const hr_worker *worker, const hr_render *render,
                               const float *latents)
{
    const hr_plan *p = render->plan;
    const int64_t shape[4] = {p->latent_frames, p->latent_channels, p->latent_height,
                              p->latent_width};

    if (render->latents_out == NULL || hr_device_is_dry(worker->device))
        return HR_OK;
    return hr_latents_write(render->latents_out, shape, latents);
}

static hr_status run_stages(hr_worker *worker, const hr_render *render, float *latents,
                            hr_render_times *times)
{
    HR_TRY(hr_parts_check_values(worker));
    HR_TRY(text_stage(worker, render, times));
    HR_TRY(hr_denoise_stage(worker, render, latents, times));
    HR_TRY(write_latents(worker, render, latents));
    if (render->stop_after_step > 0)
        return HR_OK;
    if (!worker->keep_parts)
        hr_parts_drop_experts(worker);
    return hr_decode_stage(worker, render, latents, times);
}

hr_status hr_worker_render(hr_worker *worker, const hr_render *render,
                           hr_render_times *times)
{
    const hr_plan *p = render->plan;
    hr_render_times own = {0};
    size_t bytes;
    void *latents = NULL;
    hr_status status;

    HR_TRY_GOTO(hr_size_mul((size_t)(p->latent_frames * p->latent_channels),
                            (size_t)(p->latent_height * p->latent_width) * sizeof(float),
                            &bytes),
                done);
    HR_TRY_GOTO(hr_alloc_or_fail(bytes, "latents", &latents), done);
    status = run_stages(worker, render, latents, &own);
    if (!worker->keep_parts) {
        hr_parts_drop_experts(worker);
        hr_parts_drop_vae(worker);
    }
    if (times != NULL)
        *times = own;
done:
    hr_free(latents);
    return hr_group_agree(&worker->group, status);
}
