#include "worker/preview.h"

#include "base/memory.h"
#include "base/text.h"
#include "io/picture.h"

static hr_status write_picture(const hr_worker *worker, const hr_render *render, int step,
                               const float *rgb)
{
    hr_text path = {0};
    hr_status status;

    if (hr_device_is_dry(worker->device))
        return HR_OK;
    status = hr_text_printf(&path, "%s/step-%04d.png", render->preview_folder, step);
    if (status == HR_OK)
        status =
            hr_picture_write_png(path.s, rgb, render->plan->width, render->plan->height);
    hr_text_free(&path);
    return status;
}

/* Enqueues the decoding and waits for the picture. */
static hr_status decode_still(hr_worker *worker, const hr_preview *preview,
                              hr_vae_decoder *decoder, float *rgb, const hr_plan *plan)
{
    const int64_t frame[3] = {plan->latent_channels, plan->latent_height,
                              plan->latent_width};
    hr_tensor x = hr_tensor_reshape(&preview->latents, 3, frame);
    hr_tensor v = hr_tensor_reshape(&preview->velocity, 3, frame);
    hr_tensor clean, picture;

    HR_TRY(hr_arena_tensor(worker->arena, HR_F32, x.n_dims, x.dim, &clean));
    HR_TRY(hr_op_lincomb(worker->stream, &(hr_lincomb_args){.x = {x, v},
                                                            .c = {1, -preview->sigma},
                                                            .n = 2,
                                                            .out = clean}));
    HR_TRY(hr_arena_tensor(worker->arena, HR_F32,
                           HR_DIMS(1, plan->height, plan->width, 3), &picture));
    HR_TRY(hr_vae_decoder_run(decoder, worker->stream, worker->arena, &clean, &picture,
                              NULL));
    HR_TRY(hr_copy_to_host(worker->stream, rgb, &picture));
    return hr_stream_sync(worker->stream);
}

hr_status hr_preview_write(hr_worker *worker, const hr_render *render,
                           const hr_preview *preview)
{
    const hr_plan *plan = render->plan;
    hr_arena_mark mark = hr_arena_get_mark(worker->arena);
    const hr_vae_decoder_options options = {.height = plan->latent_height,
                                            .width = plan->latent_width};
    hr_vae_decoder *decoder = NULL;
    const hr_vae *vae;
    void *rgb = NULL;
    hr_status status;

    HR_TRY_GOTO(hr_parts_vae(worker, &vae), done);
    HR_TRY_GOTO(hr_alloc_or_fail((size_t)(plan->width * plan->height * 3) * sizeof(float),
                                 "a preview", &rgb),
                done);
    HR_TRY_GOTO(hr_vae_decoder_create(vae, worker->stream, &options, &decoder), done);
    HR_TRY_GOTO(decode_still(worker, preview, decoder, rgb, plan), done);
    status = write_picture(worker, render, preview->step, rgb);
done:
    hr_vae_decoder_destroy(decoder);
    hr_arena_rewind(worker->arena, mark);
    hr_free(rgb);
    return status;
}
