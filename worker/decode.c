#include "worker/decode.h"

#include "base/memory.h"
#include "worker/progress.h"

typedef struct decode {
    hr_worker *worker;
    const hr_render *render;
    hr_vae_decoder *decoder;
    hr_saver *saver; /* NULL on a dry device */
    float *frames;   /* host: the frames of one latent frame */
    int64_t n_saved;
} decode;

static size_t frame_elements(const decode *d)
{
    return (size_t)(d->render->plan->height * d->render->plan->width * 3);
}

static hr_status open_all(decode *d)
{
    const hr_plan *p = d->render->plan;
    const hr_model_config *config = hr_model_get_config(d->worker->model);
    const int64_t shape[3] = {p->frames, p->height, p->width};
    const hr_vae *vae;
    size_t bytes;

    HR_TRY(hr_parts_vae(d->worker, &vae));
    HR_TRY(hr_vae_decoder_create(vae, d->worker->stream, p->latent_height,
                                 p->latent_width, &d->decoder));
    HR_TRY(hr_size_mul(frame_elements(d) * sizeof(float),
                       (size_t)config->vae.scale_temporal, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "decoded frames", (void **)&d->frames));
    if (hr_device_is_dry(d->worker->device))
        return HR_OK;
    return hr_saver_open(&d->render->save, shape, d->render->job->fps, &d->saver);
}

static hr_status save_frames(decode *d, int64_t n)
{
    for (int64_t i = 0; i < n && d->saver != NULL; i++)
        HR_TRY(hr_saver_frame(d->saver, d->frames + (size_t)i * frame_elements(d)));
    d->n_saved += n;
    return HR_OK;
}

static hr_status decode_frame(decode *d, const float *latent)
{
    hr_worker *w = d->worker;
    const hr_plan *p = d->render->plan;
    int64_t n = hr_vae_decoder_next_frames(d->decoder);
    hr_tensor in, out;

    HR_TRY(hr_arena_tensor(w->arena, HR_F32,
                           HR_DIMS(p->latent_channels, p->latent_height, p->latent_width),
                           &in));
    HR_TRY(hr_arena_tensor(w->arena, HR_F32, HR_DIMS(n, p->height, p->width, 3), &out));
    HR_TRY(hr_copy_to_device(w->stream, &in, latent));
    HR_TRY(
        hr_vae_decoder_run(d->decoder, w->stream, w->arena, &in, &out, d->render->trace));
    HR_TRY(hr_copy_to_host(w->stream, d->frames, &out));
    HR_TRY(hr_stream_sync(w->stream));
    return save_frames(d, n);
}

static hr_status decode_all(decode *d, const float *latents, hr_render_times *times)
{
    const hr_plan *p = d->render->plan;
    int64_t per_frame = p->latent_channels * p->latent_height * p->latent_width;
    hr_stage_clock clock = hr_stage_begin(d->render->hooks, HR_STAGE_DECODE, p->frames);
    double load_before = d->worker->load_seconds;
    hr_saver *saver;

    HR_TRY(open_all(d));
    for (int64_t f = 0; f < p->latent_frames; f++) {
        hr_arena_mark mark = hr_arena_get_mark(d->worker->arena);
        hr_status status = hr_stage_next(&clock);

        if (status == HR_OK)
            status = decode_frame(d, latents + f * per_frame);
        hr_arena_rewind(d->worker->arena, mark);
        HR_TRY(status);
        hr_stage_done(&clock, d->n_saved);
    }
    saver = d->saver;
    d->saver = NULL;
    if (saver != NULL)
        HR_TRY(hr_saver_finish(saver));
    times->seconds[HR_STAGE_DECODE] = hr_stage_seconds(&clock);
    times->load_seconds += d->worker->load_seconds - load_before;
    return HR_OK;
}

hr_status hr_decode_stage(hr_worker *worker, const hr_render *render,
                          const float *latents, hr_render_times *times)
{
    decode d = {.worker = worker, .render = render};
    hr_arena_mark mark = hr_arena_get_mark(worker->arena);
    hr_status status = decode_all(&d, latents, times);
    hr_status after = hr_stream_sync(worker->stream);

    hr_saver_abandon(d.saver);
    hr_vae_decoder_destroy(d.decoder);
    hr_arena_rewind(worker->arena, mark);
    hr_free(d.frames);
    return status != HR_OK ? status : after;
}
