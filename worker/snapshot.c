#include "worker/snapshot.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/checkpoint_folder.h"
#include "io/disk.h"
#include "worker/text.h"

#include <string.h>
#include <unistd.h>

/* What this rank writes beside its frames. */
typedef struct pages {
    const hr_snapshot *of;
    hr_pending *list;
    int64_t n;
} pages;

/* Of all ranks that have a sample, one writes it: the leader of the next group to read
 * it. A frame's present sample stands with the frame. */
static bool writes_sample(const hr_snapshot *s, int64_t frame, int step)
{
    return step < s->minutes->frame_steps[frame] &&
           hr_rounds_reader(s->rounds, frame, step) == s->run->worker->place.windows;
}

static void add(pages *p, const hr_mail_head *head)
{
    if (p->list != NULL)
        p->list[p->n] =
            (hr_pending){.kind = head->kind == HR_MAIL_FRAME ? HR_PENDING_SAMPLE
                                                             : HR_PENDING_PREDICTION,
                         .step = head->step,
                         .window = head->window,
                         .branch = head->branch,
                         .frame = head->frame};
    p->n++;
}

/* The sample before the last of an own frame, which lies with the states. */
static void add_own_samples(pages *p)
{
    const hr_snapshot *s = p->of;
    hr_range owned = hr_states_owned(s->states);

    for (int64_t f = owned.first; f < owned.first + owned.n; f++) {
        int step = hr_states_step(s->states, f) - 1;

        if (step >= 0 && hr_states_keeps(s->states, f, step) && writes_sample(s, f, step))
            add(p, &(hr_mail_head){
                       .kind = HR_MAIL_FRAME, .step = step, .frame = (int32_t)f});
    }
}

/* Fills the list, or only counts where it is NULL. */
static void fill_list(pages *p)
{
    const hr_inbox *inbox = hr_halo_inbox(p->of->halo);

    p->n = 0;
    if (!hr_parts_is_leader(p->of->run->worker))
        return;
    add_own_samples(p);
    for (size_t i = 0; i < hr_inbox_count(inbox); i++) {
        const hr_mail_head *head = hr_inbox_head(inbox, i);

        if (head->kind == HR_MAIL_PREDICTION ||
            writes_sample(p->of, head->frame, head->step))
            add(p, head);
    }
}

static hr_status make_list(pages *p)
{
    void *memory;

    fill_list(p);
    HR_TRY(hr_alloc_or_fail((size_t)p->n * sizeof *p->list, "a list of frames", &memory));
    p->list = memory;
    fill_list(p);
    return HR_OK;
}

static hr_status give_frame(void *user, int64_t frame, hr_checkpoint_frame *out)
{
    const pages *p = user;

    return hr_states_save(p->of->states, frame, out);
}

static hr_status give_pending(void *user, int64_t i, hr_pending *head, float *data)
{
    const pages *p = user;
    const hr_pending *one = &p->list[i];
    const hr_mail_head mail = {
        .kind = one->kind == HR_PENDING_SAMPLE ? HR_MAIL_FRAME : HR_MAIL_PREDICTION,
        .step = one->step,
        .window = one->window,
        .branch = one->branch,
        .frame = one->frame};
    const float *kept = hr_inbox_find(hr_halo_inbox(p->of->halo), &mail);

    *head = *one;
    if (kept == NULL)
        return hr_states_read(p->of->states, one->frame, one->step, data);
    memcpy(data, kept, p->of->run->frame_floats * sizeof(float));
    return HR_OK;
}

static hr_checkpoint_embeds embeds_of(const hr_run *run, const char *text)
{
    const hr_embeds *e = hr_text_find(run->worker, text, run->render->job->text_length);

    return (hr_checkpoint_embeds){.n = e->n, .width = e->width, .data = e->data};
}

static hr_checkpoint_head head_of(const hr_snapshot *s)
{
    const hr_render *render = s->run->render;
    const hr_plan *p = render->plan;
    hr_checkpoint_head head = {
        .n_frames = p->latent_frames,
        .channels = p->latent_channels,
        .height = p->latent_height,
        .width = p->latent_width,
        .n_history = hr_sampler_n_history(s->run->sampler),
        .n_steps = p->n_steps,
        .job = render->checkpointing.job,
        .model = render->checkpointing.model,
        .job_yaml = render->checkpointing.job_yaml,
        .prompt = embeds_of(s->run, render->prompt),
        .steps_done = s->minutes->steps_done,
    };

    if (p->use_guidance)
        head.negative_prompt = embeds_of(s->run, render->negative_prompt);
    return head;
}

static hr_status write_file(const pages *p, const hr_checkpoint_head *head,
                            const char *path)
{
    hr_range owned = hr_states_owned(p->of->states);
    const hr_checkpoint_source source = {.first_frame = owned.first,
                                         .n_frames = owned.n,
                                         .n_pending = p->n,
                                         .frame = give_frame,
                                         .pending = give_pending,
                                         .user = (void *)(uintptr_t)p};

    return hr_checkpoint_save(p->of->run->worker->group, path, head, &source);
}

/* The latents of the video, which are decoded or handed on. */
static bool is_latents(const hr_snapshot *s)
{
    const hr_render *render = s->run->render;

    return s->is_last && s->run->schedule.n_steps == render->plan->n_steps &&
           render->checkpointing.latents != NULL;
}

/* Rank 0: what is not needed any more, and telling the user. `name` is that of a
 * checkpoint of this moment. */
static void tidy(const hr_snapshot *s, const char *name, const char *path,
                 hr_status status)
{
    const hr_render *render = s->run->render;
    const hr_checkpointing *c = &render->checkpointing;
    size_t n_kept = c->keep > 1 ? (size_t)c->keep : 1;

    if (hr_group_rank(s->run->worker->group) != 0)
        return;
    if (status == HR_OK && name != NULL &&
        hr_checkpoint_prune(c->folder, name, is_latents(s) ? 0 : n_kept) != HR_OK)
        hr_warn("older checkpoints stay in %s", c->folder);
    if (render->hooks != NULL && render->hooks->on_saved != NULL)
        render->hooks->on_saved(render->hooks->user, path, status);
}

static bool is_wanted(const hr_snapshot *s)
{
    const hr_render *render = s->run->render;

    if (hr_device_is_dry(s->run->worker->device))
        return false;
    return is_latents(s) || (render->checkpointing.folder != NULL &&
                             (!s->is_last || render->stop_after_step > 0));
}

/* No room or no right to write: a render may do without. */
static bool is_bearable(hr_status status)
{
    return status == HR_ERR_IO || status == HR_ERR_NOMEM;
}

/* Local: what goes into the file beside the frames, and the name of a checkpoint. */
static hr_status prepare(pages *p, hr_checkpoint_head *head, hr_round **rounds,
                         char **name)
{
    const hr_snapshot *s = p->of;
    const char *folder = s->run->render->checkpointing.folder;

    HR_TRY(hr_rounds_list(s->rounds, head->steps_done, rounds, &head->n_rounds));
    head->rounds = *rounds;
    head->rounds_done =
        hr_rounds_of_steps(&s->run->schedule, head->steps_done) + head->n_rounds;
    HR_TRY(make_list(p));
    if (folder == NULL)
        return HR_OK;
    return hr_checkpoint_path(folder, head->steps_done, head->rounds_done, name);
}

/* What becomes of a render whose latents could not be written. */
enum { SAVE_AGAIN = 0, DECODE_UNSAVED, GIVE_UP };

/* The newest checkpoint that is whole stays: it is all that a resume needs. */
static bool make_room(const hr_checkpointing *c, const char *whole)
{
    if (hr_checkpoint_prune(c->folder, whole, 1) != HR_OK)
        return false;
    hr_warn("no room for %s: removed all checkpoints but %s, trying again", c->latents,
            whole);
    return true;
}

/* Rank 0: where a checkpoint is there, an end costs the work since then; a decode that
 * fails without anything on the disk costs all of it. */
static int32_t judge_unsaved(const hr_render *render, hr_status status, bool may_try)
{
    const hr_checkpointing *c = &render->checkpointing;
    int32_t verdict = GIVE_UP;
    char *whole = NULL;
    size_t n = 0;

    if (c->folder != NULL)
        (void)hr_checkpoint_find_whole(c->folder, &whole, &n); /* has said why */
    if (whole != NULL && render->hooks != NULL && render->hooks->on_left != NULL)
        render->hooks->on_left(render->hooks->user, whole);
    if (whole != NULL && status == HR_ERR_NOMEM && may_try && n > 1 &&
        make_room(c, whole))
        verdict = SAVE_AGAIN;
    else if (whole == NULL && render->stop_after_step == 0)
        verdict = DECODE_UNSAVED;
    if (verdict == DECODE_UNSAVED)
        hr_warn("the latents are not saved, and there is no checkpoint: should the "
                "decode fail, all steps have to be done again");
    hr_free(whole);
    return verdict;
}

/* Rank 0: the checkpoint `name` is of this moment, and so has the latents. */
static bool take_checkpoint(const hr_snapshot *s, const char *name)
{
    const char *path = s->run->render->checkpointing.latents;

    return access(name, F_OK) == 0 && hr_path_move(name, path) == HR_OK;
}

/* Collective. */
static hr_status make_latents(const pages *p, const hr_checkpoint_head *head,
                              const char *name)
{
    const hr_snapshot *s = p->of;
    hr_group *group = s->run->worker->group;
    int32_t is_there = 0;

    if (head->rounds_done == *s->rounds_saved) {
        if (hr_group_rank(group) == 0)
            is_there = take_checkpoint(s, name);
        HR_TRY(hr_group_broadcast(group, 0, &is_there, sizeof is_there));
    }
    return is_there != 0 ? HR_OK
                         : write_file(p, head, s->run->render->checkpointing.latents);
}

/* Collective; *is_borne: the decode begins without them. */
static hr_status save_latents(const pages *p, const hr_checkpoint_head *head,
                              const char *name, bool *is_borne)
{
    const hr_render *render = p->of->run->render;
    hr_group *group = p->of->run->worker->group;
    hr_status status = make_latents(p, head, name);
    int32_t verdict = SAVE_AGAIN;

    for (int tries = 1; is_bearable(status) && verdict == SAVE_AGAIN; tries++) {
        if (hr_group_rank(group) == 0)
            verdict = judge_unsaved(render, status, tries == 1);
        HR_TRY(hr_group_broadcast(group, 0, &verdict, sizeof verdict));
        if (verdict == SAVE_AGAIN)
            status = write_file(p, head, render->checkpointing.latents);
    }
    *is_borne = verdict == DECODE_UNSAVED;
    return status;
}

static hr_status save(const pages *p, const hr_checkpoint_head *head, const char *name,
                      bool *is_saved)
{
    const hr_snapshot *s = p->of;
    bool latents = is_latents(s), is_borne = !s->is_last;
    hr_status status =
        latents ? save_latents(p, head, name, &is_borne) : write_file(p, head, name);

    *is_saved = status == HR_OK;
    if (*is_saved)
        *s->rounds_saved = head->rounds_done;
    tidy(s, name, latents ? s->run->render->checkpointing.latents : name, status);
    /* A rank that could not even say that it failed has given up. */
    if (!is_borne || !is_bearable(status) ||
        hr_world_progress(s->run->worker->world) != HR_OK)
        return status;
    hr_log_forget_error(); /* that is not why a later end comes */
    return HR_OK;
}

hr_status hr_snapshot_save(const hr_snapshot *snapshot, bool *is_saved)
{
    pages p = {.of = snapshot};
    hr_checkpoint_head head;
    hr_round *rounds = NULL;
    char *name = NULL;
    hr_status status;

    *is_saved = false;
    if (!is_wanted(snapshot))
        return HR_OK;
    head = head_of(snapshot);
    /* Nobody is left alone in the save, which all ranks have to call. */
    status = prepare(&p, &head, &rounds, &name);
    status = hr_group_agree(snapshot->run->worker->group, status);
    if (status == HR_OK &&
        (is_latents(snapshot) || head.rounds_done != *snapshot->rounds_saved))
        status = save(&p, &head, name, is_saved);
    hr_free(name);
    hr_free(p.list);
    hr_free(rounds);
    return status;
}
