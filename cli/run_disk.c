#include "cli/run_disk.h"

#include "base/text.h"
#include "io/checkpoint.h"
#include "io/checkpoint_folder.h"
#include "io/segments.h"
#include "model/sampler.h"

#include <stdio.h>

/* The save itself goes by what is really there. */
uint64_t hr_run_disk_checkpoint(const hr_render_call *call, const hr_job *job)
{
    const hr_plan *p = &call->plan;
    const hr_checkpoint_embeds embeds = {
        .n = job->text_length, .width = hr_model_get_config(call->model)->text.d_model};
    const hr_checkpoint_head head = {
        .n_frames = p->latent_frames,
        .channels = p->latent_channels,
        .height = p->latent_height,
        .width = p->latent_width,
        .n_history = HR_SAMPLER_MAX_HISTORY,
        .n_steps = p->n_steps,
        .job = "",
        .model = "",
        .job_yaml = "",
        .prompt = embeds,
        .negative_prompt = embeds,
        .n_rounds = p->latent_frames,
        .n_pending = p->latent_frames,
    };

    return hr_checkpoint_bytes(&head);
}

/* Checkpoints that are there already are replaced by and by. */
static size_t checkpoints_to_come(const hr_render_call *call, const hr_job *job,
                                  const hr_run_place *place)
{
    const hr_interval *every = &job->checkpoint_every;
    size_t n = (size_t)job->checkpoint_keep + 1, n_there = 0;
    char **paths = NULL;

    if (place->found.kind == HR_FOUND_LATENTS)
        return 0;
    if (every->seconds <= 0 && every->steps == 0)
        return call->options.stop_after_step > 0 ? 1 : 0;
    if (hr_checkpoint_list(place->folder.checkpoint_folder, &paths, &n_there) == HR_OK)
        hr_checkpoint_list_free(paths, n_there);
    return n_there < n ? n - n_there : 1;
}

/* Of the result, while it is made. */
static uint64_t film_bytes(const hr_render_call *call, const hr_job *job)
{
    const hr_plan *plan = &call->plan;
    const hr_film film = {.n_pictures = plan->frames,
                          .height = plan->height,
                          .width = plan->width,
                          .per_latent =
                              hr_model_get_config(call->model)->vae.scale_temporal,
                          .fps = job->fps,
                          .kind = job->video};

    if (plan->frames == 1)
        return job->video != HR_JOB_NO_VIDEO ? (uint64_t)(3 * plan->height * plan->width)
                                             : 0;
    return hr_film_bytes(&film);
}

hr_status hr_run_disk_check(const hr_render_call *call, const hr_job *job,
                            const hr_run_place *place)
{
    const hr_plan *plan = &call->plan;
    uint64_t pixels = (uint64_t)(plan->frames * plan->height * plan->width);
    uint64_t film = film_bytes(call, job), bytes = film;
    size_t n = checkpoints_to_come(call, job, place);
    char what[128], each[16], size[16];

    if (call->options.frames_out != NULL)
        bytes += pixels * 3 * sizeof(float);
    bytes += n * place->checkpoint_bytes;
    if (place->found.kind != HR_FOUND_LATENTS)
        bytes += place->checkpoint_bytes;
    snprintf(what, sizeof what, "the run (%zu checkpoints of up to %s, latents, film %s)",
             n, hr_format_bytes(place->checkpoint_bytes, each),
             hr_format_bytes(film, size));
    return hr_disk_require(place->folder.folder, bytes, what);
}
