#include "worker/unit.h"

#include "base/memory.h"
#include "comm/link.h"
#include "worker/text.h"

enum { N_EXPERTS = 2 };

struct hr_units {
    const hr_run *run;
    hr_tick tick;
    hr_rope *rope;
    hr_tensor latents;       /* [length, C, h, w], of the first stage */
    hr_tensor velocity;      /* the same, of the last stage */
    hr_tensor hidden;        /* [tokens, width], of all other ends of stages */
    hr_link *before, *after; /* to the stages around; NULL at the ends */
    int expert;              /* that the contexts belong to; -1 at first */
    const hr_transformer *transformer;
    hr_text_context *context[HR_BRANCH_COUNT]; /* of the branches that this rank runs */
    /* On a dry device: what a unit that has run took. */
    hr_figures seen[N_EXPERTS][HR_BRANCH_COUNT];
    bool is_seen[N_EXPERTS][HR_BRANCH_COUNT];
};

bool hr_units_is_first_stage(const hr_units *units)
{
    return units->run->worker->place.stage == 0;
}

static bool is_last_stage(const hr_units *units)
{
    return units->run->worker->place.stage == units->run->worker->layout.stages - 1;
}

bool hr_units_is_predictor(const hr_units *units)
{
    return is_last_stage(units) && units->run->worker->place.tensor == 0;
}

static hr_status make_tensors(hr_units *units)
{
    const hr_run *run = units->run;
    const hr_transformer_config *config =
        &hr_model_get_config(run->worker->model)->transformer;
    const hr_plan *p = run->render->plan;
    int64_t length = run->schedule.windows.length;
    int64_t n_tokens = length / config->patch[0] * (p->latent_height / config->patch[1]) *
                       (p->latent_width / config->patch[2]);

    if (hr_units_is_first_stage(units))
        HR_TRY(hr_run_tensor(run, length, &units->latents));
    if (is_last_stage(units))
        HR_TRY(hr_run_tensor(run, length, &units->velocity));
    if (run->worker->layout.stages > 1)
        HR_TRY(hr_arena_tensor(run->worker->arena, HR_F32,
                               HR_DIMS(n_tokens, hr_transformer_width(config)),
                               &units->hidden));
    return hr_rope_create(config, run->worker->stream, length, p->latent_height,
                          p->latent_width, &units->rope);
}

/* From the same tensor rank of stage `from` to that of the next one. */
static hr_status open_link(const hr_units *units, int from, hr_link **out)
{
    const hr_worker *w = units->run->worker;
    hr_place place = w->place;
    int sender;

    place.stage = from;
    sender = hr_layout_rank(&w->layout, &place);
    place.stage = from + 1;
    return hr_link_open(w->group, sender, hr_layout_rank(&w->layout, &place),
                        hr_tensor_bytes(&units->hidden), out);
}

static hr_status open_links(hr_units *units)
{
    int stage = units->run->worker->place.stage;

    if (!hr_units_is_first_stage(units))
        HR_TRY(open_link(units, stage - 1, &units->before));
    if (!is_last_stage(units))
        HR_TRY(open_link(units, stage, &units->after));
    return HR_OK;
}

hr_status hr_units_open(const hr_run *run, const hr_tick *tick, hr_units **out)
{
    hr_units *units;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *units, "the units", &memory));
    units = memory;
    units->run = run;
    units->tick = *tick;
    units->expert = -1;
    status = make_tensors(units);
    if (status == HR_OK)
        status = open_links(units);
    if (status != HR_OK) {
        hr_units_close(units);
        return status;
    }
    *out = units;
    return HR_OK;
}

static void drop_contexts(hr_units *units)
{
    for (int b = 0; b < HR_BRANCH_COUNT; b++) {
        hr_text_context_destroy(units->context[b]);
        units->context[b] = NULL;
    }
}

void hr_units_close(hr_units *units)
{
    if (units == NULL)
        return;
    drop_contexts(units);
    hr_link_close(units->after);
    hr_link_close(units->before);
    hr_rope_destroy(units->rope);
    hr_free(units);
}

static hr_status make_context(hr_units *units, int branch)
{
    const hr_render *render = units->run->render;
    hr_worker *w = units->run->worker;
    const char *text =
        branch == HR_BRANCH_COND ? render->prompt : render->negative_prompt;
    int64_t text_length = render->job->text_length;
    const hr_embeds *embeds = hr_text_find(w, text, text_length);
    hr_arena_mark mark = hr_arena_get_mark(w->arena);
    hr_text_rows rows = {.text_length = text_length, .trace = render->trace};
    hr_status status;

    HR_TRY_GOTO(hr_arena_tensor(w->arena, HR_F32, HR_DIMS(embeds->n, embeds->width),
                                &rows.embeds),
                rewind);
    HR_TRY_GOTO(hr_copy_to_device(w->stream, &rows.embeds, embeds->data), rewind);
    status = hr_text_context_create(units->transformer, w->stream, w->arena, &rows,
                                    &units->context[branch]);
rewind:
    hr_arena_rewind(w->arena, mark);
    return status;
}

hr_status hr_units_load(hr_units *units, int step)
{
    const hr_run *run = units->run;
    int expert = hr_run_expert(run, step);

    if (expert == units->expert)
        return HR_OK;
    drop_contexts(units);
    units->expert = -1;
    HR_TRY(hr_parts_expert(run->worker, expert, &units->transformer));
    for (int b = run->worker->place.cfg; b < run->schedule.n_branches;
         b += run->worker->layout.cfg)
        HR_TRY(make_context(units, b));
    units->expert = expert;
    return HR_OK;
}

hr_status hr_units_wait(hr_units *units, uint8_t *note)
{
    return hr_link_wait(units->before, note);
}

hr_status hr_units_tell(hr_units *units, uint8_t note)
{
    return is_last_stage(units) ? HR_OK : hr_link_send_note(units->after, note);
}

/* The forward with what goes in and out of this rank. */
static hr_status run_stage(hr_units *units, const hr_unit *unit, const float *frames,
                           float *velocity)
{
    const hr_run *run = units->run;
    hr_worker *w = run->worker;
    hr_forward forward = {.rope = units->rope,
                          .context = units->context[unit->branch],
                          .latents = units->latents,
                          .out = units->velocity,
                          .timestep = hr_sampler_timestep(run->sampler, unit->step)};

    if (!hr_device_is_dry(w->device)) { /* there, what others do would count as its own */
        forward.tick = units->tick.run;
        forward.user = units->tick.user;
    }
    if (hr_units_is_first_stage(units)) {
        HR_TRY(hr_copy_to_device(w->stream, &units->latents, frames));
    } else {
        HR_TRY(hr_link_receive(units->before, w->stream, &units->hidden));
        forward.hidden_in = units->hidden;
    }
    if (!is_last_stage(units))
        forward.hidden_out = units->hidden;
    HR_TRY(hr_transformer_run(units->transformer, w->stream, w->arena, &forward));
    if (!is_last_stage(units))
        return hr_link_send(units->after, w->stream, &units->hidden);
    if (hr_units_is_predictor(units))
        HR_TRY(hr_copy_to_host(w->stream, velocity, &units->velocity));
    return hr_stream_sync(w->stream);
}

hr_status hr_units_run(hr_units *units, const hr_unit *unit, const float *frames,
                       float *velocity)
{
    hr_worker *w = units->run->worker;
    hr_arena_mark mark = hr_arena_get_mark(w->arena);
    hr_figures before;
    hr_status status;

    HR_TRY(hr_units_load(units, unit->step));
    if (units->is_seen[units->expert][unit->branch]) {
        hr_figures_add(&w->skipped, &units->seen[units->expert][unit->branch]);
        return HR_OK;
    }
    before = hr_figures_now(w);
    status = run_stage(units, unit, frames, velocity);
    hr_arena_rewind(w->arena, mark);
    if (hr_device_is_dry(w->device)) {
        units->seen[units->expert][unit->branch] = hr_figures_since(w, &before);
        units->is_seen[units->expert][unit->branch] = true;
    }
    return status;
}
