#include "worker/worker.h"

#include "base/clock.h"
#include "base/memory.h"
#include "worker/collect.h"
#include "worker/decode.h"
#include "worker/denoise.h"
#include "worker/resume.h"
#include "worker/text.h"

static hr_status open_parts(hr_worker *worker)
{
    HR_TRY(hr_stream_create(worker->device, &worker->stream));
    HR_TRY(hr_arena_create(worker->device, &worker->arena));
    return hr_parts_make_groups(worker);
}

/* The end of a collective function: every rank leaves by the same door, also those that
 * waited for one that failed. */
static hr_status leave(hr_worker *worker, hr_status mine)
{
    if (mine != HR_OK)
        hr_world_give_up(worker->world, mine);
    return hr_group_agree(worker->group, mine);
}

hr_status hr_worker_open(hr_group *group, const hr_worker_options *options,
                         hr_worker **out)
{
    void *memory = NULL;
    hr_worker *worker;
    hr_status status;

    status = hr_group_agree(group, hr_alloc_or_fail(sizeof *worker, "a worker", &memory));
    if (status != HR_OK) {
        hr_free(memory);
        return status;
    }
    worker = memory;
    worker->group = group;
    worker->world = hr_group_world(group);
    worker->layout = options->layout;
    worker->place = hr_layout_place(&options->layout, hr_group_rank(group));
    worker->model = options->model;
    worker->device = options->device;
    worker->numerics = options->numerics;
    worker->keep_parts = options->keep_parts;
    status = leave(worker, open_parts(worker));
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
    hr_parts_drop_groups(worker);
    hr_arena_destroy(worker->arena);
    hr_stream_destroy(worker->stream);
    hr_free(worker);
}

hr_status hr_worker_encode(hr_worker *worker, const hr_render *renders, size_t n)
{
    hr_status status = HR_OK;

    for (size_t i = 0; i < n && status == HR_OK; i++)
        if (hr_resume_path(worker, &renders[i]) == NULL &&
            !renders[i].checkpointing.is_denoised)
            status = hr_text_stage(worker, &renders[i]);
    hr_parts_drop_text_encoder(worker);
    return leave(worker, status);
}

/* What a stage took, for the times of the render. */
typedef struct meter {
    double began, load_before;
    hr_figures before;
} meter;

static meter start_meter(const hr_worker *worker)
{
    return (meter){.began = hr_clock_seconds(),
                   .load_before = worker->load_seconds,
                   .before = hr_figures_now(worker)};
}

static void stop_meter(const hr_worker *worker, const meter *m, hr_stage stage,
                       hr_render_times *times)
{
    hr_figures used = hr_figures_since(worker, &m->before);

    times->seconds[stage] = hr_clock_seconds() - m->began;
    times->load_seconds += worker->load_seconds - m->load_before;
    times->stage_flops[stage] = used.flops;
    times->stage_traffic[stage] = used.traffic;
    if (stage == HR_STAGE_DENOISE)
        times->wait_seconds = hr_figures_wait_seconds(&used);
}

static hr_status text_stage(hr_worker *worker, const hr_render *render,
                            hr_render_times *times)
{
    int64_t n_texts = hr_plan_n_branches(render->plan);
    meter m = start_meter(worker);
    hr_stage_clock clock = hr_stage_begin(render->hooks, HR_STAGE_TEXT, n_texts);

    HR_TRY(hr_stage_next(&clock));
    HR_TRY(hr_resume_path(worker, render) != NULL ? hr_resume_texts(worker, render)
                                                  : hr_text_stage(worker, render));
    hr_parts_drop_text_encoder(worker);
    stop_meter(worker, &m, HR_STAGE_TEXT, times);
    hr_stage_done(&clock, n_texts);
    return HR_OK;
}

/* Ends when rank 0 has on disk what is wanted of the latents. */
static hr_status denoise_stage(hr_denoised *denoised, hr_states *states,
                               hr_render_times *times)
{
    hr_worker *worker = denoised->run->worker;
    int n_steps = denoised->run->schedule.n_steps;
    hr_frame_source source = hr_collect_source(denoised);
    meter m = start_meter(worker);
    hr_stage_clock clock =
        hr_stage_begin(denoised->run->render->hooks, HR_STAGE_DENOISE, n_steps);

    HR_TRY(hr_denoise_stage(denoised->run, states, &clock, times, &denoised->is_saved));
    HR_TRY(hr_collect_hashes(denoised));
    HR_TRY(hr_collect_latents(worker, denoised->run->render, &source));
    stop_meter(worker, &m, HR_STAGE_DENOISE, times);
    hr_stage_done(&clock, n_steps);
    return HR_OK;
}

static hr_status decode_stage(const hr_denoised *denoised, hr_render_times *times)
{
    hr_worker *worker = denoised->run->worker;
    hr_frame_source source = hr_collect_source(denoised);
    meter m = start_meter(worker);

    if (!worker->keep_parts)
        hr_parts_drop_experts(worker);
    HR_TRY(hr_decode_stage(worker, denoised->run->render, &source));
    stop_meter(worker, &m, HR_STAGE_DECODE, times);
    return HR_OK;
}

/* All steps were done by an earlier run: no text, no transformer, no states. */
static hr_status stored_stage(hr_worker *worker, const hr_render *render,
                              hr_render_times *times)
{
    meter m = start_meter(worker);

    HR_TRY(hr_decode_stored(worker, render));
    stop_meter(worker, &m, HR_STAGE_DECODE, times);
    return HR_OK;
}

static hr_status run_stages(hr_worker *worker, const hr_render *render,
                            hr_render_times *times)
{
    hr_run run = {0};
    hr_states *states = NULL;
    hr_denoised denoised = {.run = &run};
    hr_status status;

    if (render->checkpointing.is_denoised)
        return stored_stage(worker, render, times);
    HR_TRY(hr_parts_check_values(worker));
    HR_TRY(text_stage(worker, render, times));
    HR_TRY_GOTO(hr_run_open(worker, render, &run), done);
    HR_TRY_GOTO(hr_states_open(&run, &states), done);
    denoised.states = states;
    HR_TRY_GOTO(denoise_stage(&denoised, states, times), done);
    if (render->stop_after_step == 0)
        status = decode_stage(&denoised, times);
done:
    hr_states_close(states);
    hr_run_close(&run);
    return status;
}

/* At one time. */
static uint64_t most_transformer_bytes(const hr_worker *worker)
{
    size_t a = worker->expert_bytes[0], b = worker->expert_bytes[1];

    if (worker->keep_parts)
        return a + b;
    return a > b ? a : b;
}

hr_status hr_worker_render(hr_worker *worker, const hr_render *render,
                           hr_render_times *times)
{
    hr_worker_hooks hooks = render->hooks != NULL ? *render->hooks : (hr_worker_hooks){0};
    hr_render mine = *render;
    hr_render_times own = {0};
    uint64_t read_before = hr_parts_bytes_read(worker);
    hr_status status;

    if (hr_group_rank(worker->group) != 0)
        hooks.on_progress = NULL;
    mine.hooks = &hooks;
    status = run_stages(worker, &mine, &own);
    if (!worker->keep_parts) {
        hr_parts_drop_experts(worker);
        hr_parts_drop_vae(worker);
    }
    own.weight_bytes_read = hr_parts_bytes_read(worker) - read_before;
    own.transformer_bytes = most_transformer_bytes(worker);
    if (times != NULL)
        *times = own;
    return leave(worker, status);
}
