#include "base/log.h"
#include "base/memory.h"
#include "io/checkpoint.h"
#include "worker/collect.h"

#include <inttypes.h>

/* The file is open on rank 0 only. */
typedef struct stored {
    hr_group *group;
    hr_checkpoint *file;
    size_t frame_bytes; /* of a latent frame */
} stored;

static hr_status fetch(void *user, int64_t frame, float *latent)
{
    const stored *s = user;
    hr_checkpoint_frame into = {.x = latent};

    if (s->file != NULL)
        HR_TRY(hr_checkpoint_read_frame(s->file, frame, &into));
    return hr_group_broadcast(s->group, 0, latent, s->frame_bytes);
}

static hr_status check(const hr_checkpoint_head *head, const hr_render *render)
{
    const hr_plan *p = render->plan;

    if (head->n_frames != p->latent_frames || head->channels != p->latent_channels ||
        head->height != p->latent_height || head->width != p->latent_width)
        return hr_fail(HR_ERR_CHECKPOINT,
                       "%s: found %" PRId64 " latent frames of %" PRId64 " x %" PRId64
                       " x %" PRId64 ", expected %" PRId64 " of %" PRId64 " x %" PRId64
                       " x %" PRId64,
                       render->checkpointing.latents, head->n_frames, head->channels,
                       head->height, head->width, p->latent_frames, p->latent_channels,
                       p->latent_height, p->latent_width);
    if (head->steps_done != head->n_steps)
        return hr_fail(HR_ERR_CHECKPOINT,
                       "%s: found latents after %d of %d steps, expected denoised ones",
                       render->checkpointing.latents, head->steps_done, head->n_steps);
    return HR_OK;
}

/* The hashes of its steps. A receipt with room for others keeps zeros: "never made". */
static hr_status fill_receipt(hr_checkpoint *file, hr_receipt *receipt)
{
    const hr_checkpoint_head *head = hr_checkpoint_get_head(file);
    int64_t n_steps, n_latent_frames, n_frames;
    hr_checkpoint_frame frame = {0};
    hr_status status = HR_OK;

    hr_receipt_sizes(receipt, &n_steps, &n_latent_frames, &n_frames);
    if (n_steps != head->n_steps)
        return HR_OK;
    HR_TRY(hr_alloc_or_fail((size_t)n_steps * sizeof(hr_hash), "hashes of a frame",
                            (void **)&frame.hashes));
    for (int64_t f = 0; f < n_latent_frames && status == HR_OK; f++) {
        status = hr_checkpoint_read_frame(file, f, &frame);
        for (int64_t k = 0; k < n_steps && status == HR_OK; k++)
            hr_receipt_set_latent(receipt, k, f, frame.hashes[k]);
    }
    hr_free(frame.hashes);
    return status;
}

static hr_status open_file(const hr_render *render, hr_checkpoint **out)
{
    HR_TRY(hr_checkpoint_open(render->checkpointing.latents, out));
    HR_TRY(check(hr_checkpoint_get_head(*out), render));
    return render->receipt != NULL ? fill_receipt(*out, render->receipt) : HR_OK;
}

hr_status hr_decode_stored(hr_worker *worker, const hr_render *render)
{
    const hr_plan *p = render->plan;
    stored s = {.group = worker->group,
                .frame_bytes =
                    (size_t)(p->latent_channels * p->latent_height * p->latent_width) *
                    sizeof(float)};
    const hr_frame_source source = {.fetch = fetch, .user = &s, .is_saved = true};
    hr_status status = HR_OK;

    if (hr_group_rank(worker->group) == 0 && !hr_device_is_dry(worker->device))
        status = open_file(render, &s.file);
    if (status == HR_OK)
        status = hr_collect_latents(worker, render, &source);
    if (status == HR_OK && render->stop_after_step == 0)
        status = hr_decode_stage(worker, render, &source);
    hr_checkpoint_close(s.file);
    return status;
}
