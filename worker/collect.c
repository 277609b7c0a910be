#include "worker/collect.h"

#include "base/memory.h"
#include "io/latents.h"

static hr_status fetch(void *user, int64_t frame, float *latent)
{
    const hr_denoised *denoised = user;
    const hr_run *run = denoised->run;
    hr_group *group = run->worker->group;
    int owner = hr_run_owner(run, frame);

    if (hr_group_rank(group) == owner)
        HR_TRY(hr_states_read(denoised->states, frame, run->schedule.n_steps, latent));
    return hr_group_broadcast(group, owner, latent, run->frame_floats * sizeof(float));
}

hr_frame_source hr_collect_source(const hr_denoised *denoised)
{
    return (hr_frame_source){.fetch = fetch,
                             .user = (void *)(uintptr_t)denoised,
                             .is_saved = denoised->is_saved};
}

/* `data` of `bytes` from rank `from` to rank 0; the others are not concerned. */
static hr_status bring(hr_group *group, int from, void *data, size_t bytes)
{
    int me = hr_group_rank(group);
    hr_exchange exchange = {.data = data, .bytes = bytes};

    if (from == 0 || (me != 0 && me != from))
        return HR_OK;
    exchange.is_send = me == from;
    exchange.peer = me == from ? 0 : from;
    return hr_group_exchange(group, &exchange, 1);
}

static hr_status write_latents(const hr_frame_source *source, int64_t n_frames,
                               float *latent, hr_latents_writer *writer)
{
    for (int64_t f = 0; f < n_frames; f++) {
        HR_TRY(source->fetch(source->user, f, latent));
        if (writer != NULL)
            HR_TRY(hr_latents_write_frame(writer, f, latent));
    }
    return HR_OK;
}

hr_status hr_collect_latents(hr_worker *worker, const hr_render *render,
                             const hr_frame_source *source)
{
    const hr_plan *p = render->plan;
    const int64_t shape[4] = {p->latent_frames, p->latent_channels, p->latent_height,
                              p->latent_width};
    hr_latents_writer *writer = NULL;
    void *latent = NULL;
    hr_status status;

    if (render->latents_out == NULL)
        return HR_OK;
    HR_TRY_GOTO(hr_alloc_or_fail((size_t)(shape[1] * shape[2] * shape[3]) * sizeof(float),
                                 "a latent frame", &latent),
                done);
    if (hr_group_rank(worker->group) == 0 && !hr_device_is_dry(worker->device))
        HR_TRY_GOTO(hr_latents_begin(render->latents_out, shape, &writer), done);
    HR_TRY_GOTO(write_latents(source, shape[0], latent, writer), done);
    if (writer != NULL) {
        hr_latents_writer *finished = writer;

        writer = NULL;
        status = hr_latents_finish(finished);
    }
done:
    hr_latents_abandon(writer);
    hr_free(latent);
    return status;
}

/* One group's hashes: [own frames, steps]. */
static hr_status collect_group(const hr_denoised *denoised, int group, hr_hash *hashes)
{
    const hr_run *run = denoised->run;
    hr_receipt *receipt = run->render->receipt;
    hr_range owned = hr_schedule_owned(&run->schedule, group);
    int n_steps = run->schedule.n_steps, leader = hr_run_leader(run, group);
    int me = hr_group_rank(run->worker->group);

    for (int64_t i = 0; i < owned.n && me == leader; i++)
        for (int k = 0; k < n_steps; k++)
            hashes[i * n_steps + k] =
                hr_states_hash(denoised->states, owned.first + i, k + 1);
    HR_TRY(bring(run->worker->group, leader, hashes,
                 (size_t)owned.n * (size_t)n_steps * sizeof *hashes));
    for (int64_t i = 0; i < owned.n && me == 0 && receipt != NULL; i++)
        for (int k = 0; k < n_steps; k++)
            hr_receipt_set_latent(receipt, k, owned.first + i, hashes[i * n_steps + k]);
    return HR_OK;
}

hr_status hr_collect_hashes(const hr_denoised *denoised)
{
    const hr_run *run = denoised->run;
    int64_t n_groups = run->schedule.layout.windows;
    size_t most = (size_t)(run->schedule.windows.n_frames / n_groups + 1);
    void *hashes;
    hr_status status = HR_OK;

    HR_TRY(hr_alloc_or_fail(most * (size_t)run->schedule.n_steps * sizeof(hr_hash),
                            "hashes of frames", &hashes));
    for (int g = 0; g < n_groups && status == HR_OK; g++)
        status = collect_group(denoised, g, hashes);
    hr_free(hashes);
    return status;
}
