#include "worker/resume.h"

#include "base/log.h"
#include "base/memory.h"
#include "worker/text.h"

#include <inttypes.h>

const char *hr_resume_path(const hr_worker *worker, const hr_render *render)
{
    return hr_device_is_dry(worker->device) ? NULL : render->checkpointing.resume;
}

static hr_status put_text(hr_worker *worker, const hr_render *render, const char *text,
                          const hr_checkpoint_embeds *from)
{
    const hr_embeds embeds = {
        .text_length = render->job->text_length, .n = from->n, .width = from->width};
    int64_t width = hr_model_get_config(worker->model)->text.d_model;

    if (from->n < 1 || from->n > embeds.text_length || from->width != width)
        return hr_fail(HR_ERR_CHECKPOINT,
                       "%s: text embeddings of %" PRId64 " x %" PRId64
                       " do not fit the job: up to %" PRId64 " x %" PRId64,
                       hr_resume_path(worker, render), from->n, from->width,
                       embeds.text_length, width);
    return hr_text_put(worker, text, &embeds, from->data);
}

hr_status hr_resume_texts(hr_worker *worker, const hr_render *render)
{
    hr_checkpoint *file;
    const hr_checkpoint_head *head;
    hr_status status;

    HR_TRY(hr_checkpoint_open(hr_resume_path(worker, render), &file));
    head = hr_checkpoint_get_head(file);
    status = put_text(worker, render, render->prompt, &head->prompt);
    if (status == HR_OK && render->plan->use_guidance)
        status =
            put_text(worker, render, render->negative_prompt, &head->negative_prompt);
    hr_checkpoint_close(file);
    return status;
}

/* A file on its way into the parts. */
typedef struct reading {
    const hr_stepper_parts *parts;
    const hr_run *run;
    const char *path;
    hr_checkpoint *file;
    const hr_checkpoint_head *head;
    int *steps; /* [n_frames] that each frame has been through */
    hr_checkpoint_frame room;
} reading;

static hr_status bad(const reading *r, const char *what)
{
    return hr_fail(HR_ERR_CHECKPOINT, "%s: does not fit together: %s", r->path, what);
}

static hr_status check_sizes(const reading *r)
{
    const hr_checkpoint_head *h = r->head;
    const hr_plan *p = r->run->render->plan;

    if (h->n_frames == p->latent_frames && h->channels == p->latent_channels &&
        h->height == p->latent_height && h->width == p->latent_width &&
        h->n_steps == p->n_steps && h->n_history == hr_sampler_n_history(r->run->sampler))
        return HR_OK;
    return hr_fail(HR_ERR_CHECKPOINT,
                   "%s: %" PRId64 " frames of %" PRId64 " x %" PRId64 " x %" PRId64
                   ", %d steps, %d tensors of history; the job has %" PRId64
                   " of %" PRId64 " x %" PRId64 " x %" PRId64 ", %d, %d",
                   r->path, h->n_frames, h->channels, h->height, h->width, h->n_steps,
                   h->n_history, p->latent_frames, p->latent_channels, p->latent_height,
                   p->latent_width, p->n_steps, hr_sampler_n_history(r->run->sampler));
}

static hr_status check_rounds(const reading *r)
{
    const hr_checkpoint_head *h = r->head;
    const hr_windows *w = &r->run->schedule.windows;

    if (h->steps_done < 0 || h->steps_done > h->n_steps)
        return bad(r, "steps done");
    for (int64_t i = 0; i < h->n_rounds; i++) {
        const hr_round *one = &h->rounds[i], *before = i > 0 ? one - 1 : NULL;

        if (one->step < h->steps_done || one->step >= h->n_steps || one->window < 0 ||
            one->window >= hr_windows_count(w, one->step))
            return bad(r, "a round that is done");
        if (before != NULL &&
            (one->step < before->step ||
             (one->step == before->step && one->window <= before->window)))
            return bad(r, "the order of rounds");
    }
    return HR_OK;
}

static bool are_done(const reading *r, int step, hr_range windows)
{
    for (int64_t i = windows.first; i < windows.first + windows.n; i++)
        if (!hr_rounds_is_done(r->parts->rounds, step, i))
            return false;
    return true;
}

/* A frame has been stepped where all that predict it are done, and a round is done only
 * where its frames had come so far. */
static hr_status check_frame(const reading *r, int64_t frame)
{
    const hr_windows *w = &r->run->schedule.windows;
    int step = r->steps[frame];

    if (step < r->head->steps_done || step > r->head->n_steps)
        return bad(r, "the steps of a frame");
    for (int k = r->head->steps_done; k < step; k++)
        if (!are_done(r, k, hr_windows_predicting(w, k, frame)))
            return bad(r, "a frame that is further than its windows");
    return HR_OK;
}

static hr_status check_seen(const reading *r)
{
    const hr_windows *w = &r->run->schedule.windows;

    for (int64_t i = 0; i < r->head->n_rounds; i++) {
        const hr_round *one = &r->head->rounds[i];

        for (int64_t j = 0; j < w->length; j++)
            if (r->steps[hr_windows_shown(w, one->step, one->window, j)] < one->step)
                return bad(r, "a round that is further than its frames");
    }
    return HR_OK;
}

static hr_status read_steps(const reading *r)
{
    for (int64_t f = 0; f < r->head->n_frames; f++) {
        hr_checkpoint_frame frame = {0};

        HR_TRY(hr_checkpoint_read_frame(r->file, f, &frame));
        r->steps[f] = frame.step;
        HR_TRY(check_frame(r, f));
    }
    return check_seen(r);
}

/* A render that stops at a step may find frames that are further, which stay so. */
static hr_status check_stop(const reading *r)
{
    const hr_render *render = r->run->render;

    for (int64_t f = 0; f < r->head->n_frames && render->latents_out != NULL; f++)
        if (r->steps[f] > r->run->schedule.n_steps)
            return hr_fail(HR_ERR_ARG,
                           "%s: frame %" PRId64 " has been through %d steps: its latents "
                           "after step %d cannot be written any more",
                           r->path, f, r->steps[f], r->run->schedule.n_steps);
    return HR_OK;
}

static hr_status restore_frames(reading *r)
{
    hr_range owned = hr_states_owned(r->parts->states);

    for (int64_t f = owned.first; f < owned.first + owned.n; f++) {
        hr_checkpoint_frame *room = &r->room;

        HR_TRY(hr_checkpoint_read_frame(r->file, f, room));
        HR_TRY(hr_states_restore(r->parts->states, f, room));
    }
    return HR_OK;
}

/* Whether this rank waits for it. */
static bool is_mine(const reading *r, const hr_pending *p)
{
    if (p->kind == HR_PENDING_PREDICTION)
        return hr_range_has(hr_states_owned(r->parts->states), p->frame);
    return hr_parts_is_leader(r->run->worker) &&
           hr_rounds_is_read(r->parts->rounds, r->run->worker->place.windows, p->frame,
                             p->step);
}

static bool is_sound(const reading *r, const hr_pending *p)
{
    const hr_schedule *s = &r->run->schedule;

    if (p->frame < 0 || p->frame >= r->head->n_frames || p->step < 0 ||
        p->step >= r->head->n_steps)
        return false;
    if (p->kind == HR_PENDING_SAMPLE)
        return p->step < r->steps[p->frame];
    return p->kind == HR_PENDING_PREDICTION && p->step == r->steps[p->frame] &&
           p->branch >= 0 && p->branch < s->n_branches && p->window >= 0 &&
           hr_range_has(hr_windows_predicting(&s->windows, p->step, p->frame),
                        p->window) &&
           hr_rounds_is_done(r->parts->rounds, p->step, p->window);
}

static hr_status restore_pending(const reading *r)
{
    const hr_pending *list = hr_checkpoint_get_pending(r->file);

    for (int64_t i = 0; i < r->head->n_pending; i++) {
        const hr_mail_head mail = {.kind = list[i].kind == HR_PENDING_SAMPLE
                                               ? HR_MAIL_FRAME
                                               : HR_MAIL_PREDICTION,
                                   .step = list[i].step,
                                   .window = list[i].window,
                                   .branch = list[i].branch,
                                   .frame = list[i].frame};

        if (!is_sound(r, &list[i]))
            return bad(r, "something that waits");
        if (!is_mine(r, &list[i]))
            continue;
        if (hr_inbox_find(hr_halo_inbox(r->parts->halo), &mail) != NULL)
            return bad(r, "something that waits twice");
        HR_TRY(hr_checkpoint_read_pending(r->file, i, r->room.x));
        HR_TRY(hr_halo_restore(r->parts->halo, &mail, r->room.x));
    }
    return HR_OK;
}

/* Nobody would ever send what is missing now. */
static hr_status check_predictions(const reading *r, int64_t frame)
{
    const hr_schedule *s = &r->run->schedule;
    int step = r->steps[frame];
    hr_range who;

    if (step >= r->head->n_steps)
        return HR_OK;
    who = hr_windows_predicting(&s->windows, step, frame);
    for (int64_t i = who.first; i < who.first + who.n; i++)
        for (int b = 0; b < s->n_branches; b++) {
            const hr_unit unit = {.step = step, .window = i, .branch = b};

            if (hr_rounds_is_done(r->parts->rounds, step, i) &&
                hr_halo_prediction(r->parts->halo, &unit, frame) == NULL)
                return bad(r, "a prediction is missing");
        }
    return HR_OK;
}

static hr_status check_samples(const reading *r, int64_t frame)
{
    int group = r->run->worker->place.windows;

    for (int k = r->head->steps_done; k < r->steps[frame]; k++)
        if (hr_rounds_is_read(r->parts->rounds, group, frame, k) &&
            !hr_halo_has_frame(r->parts->halo, frame, k))
            return bad(r, "a sample is missing");
    return HR_OK;
}

static hr_status check_all(const reading *r)
{
    hr_range owned = hr_states_owned(r->parts->states);

    if (!hr_parts_is_leader(r->run->worker))
        return HR_OK;
    for (int64_t f = owned.first; f < owned.first + owned.n; f++)
        HR_TRY(check_predictions(r, f));
    for (int64_t f = 0; f < r->head->n_frames; f++)
        HR_TRY(check_samples(r, f));
    return HR_OK;
}

static hr_status make_room(reading *r)
{
    size_t bytes = r->run->frame_floats * sizeof(float);

    HR_TRY(hr_alloc_or_fail((size_t)r->head->n_frames * sizeof *r->steps,
                            "the steps of all frames", (void **)&r->steps));
    HR_TRY(hr_alloc_or_fail(bytes, "a frame", (void **)&r->room.x));
    for (int i = 0; i < r->head->n_history; i++)
        HR_TRY(hr_alloc_or_fail(bytes, "a frame", (void **)&r->room.history[i]));
    return hr_alloc_or_fail((size_t)r->head->n_steps * sizeof *r->room.hashes,
                            "the hashes of a frame", (void **)&r->room.hashes);
}

static void free_room(reading *r)
{
    hr_free(r->steps);
    hr_free(r->room.x);
    hr_free(r->room.hashes);
    for (int i = 0; i < HR_CHECKPOINT_MAX_HISTORY; i++)
        hr_free(r->room.history[i]);
}

static hr_status read_all(reading *r)
{
    HR_TRY(check_sizes(r));
    HR_TRY(check_rounds(r));
    HR_TRY(make_room(r));
    HR_TRY(hr_rounds_begin(r->parts->rounds, r->head->steps_done, r->head->rounds,
                           r->head->n_rounds));
    HR_TRY(read_steps(r));
    HR_TRY(check_stop(r));
    HR_TRY(restore_frames(r));
    HR_TRY(restore_pending(r));
    return check_all(r);
}

hr_status hr_resume_frames(const hr_stepper_parts *parts)
{
    reading r = {.parts = parts,
                 .run = parts->run,
                 .path = hr_resume_path(parts->run->worker, parts->run->render)};
    hr_status status;

    HR_TRY(hr_checkpoint_open(r.path, &r.file));
    r.head = hr_checkpoint_get_head(r.file);
    status = read_all(&r);
    free_room(&r);
    hr_checkpoint_close(r.file);
    return status;
}
