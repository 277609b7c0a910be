#include "worker/denoise.h"

#include "base/clock.h"
#include "base/memory.h"
#include "worker/fuse.h"
#include "worker/noise.h"
#include "worker/unit.h"
#include "worker/watch.h"

/* The way of the data, on every rank in the static order of its units:
 *
 *   leader        gathers the frames that the window sees, from its own states and from
 *                 other leaders, and shares them with the first stages of its group;
 *   all           run their stage of the forward, hidden states go from stage to stage;
 *   last stage    sends the velocity, frame by frame, to the leaders that own the frames;
 *   leader        steps each own frame when all its predictions are there, and passes it
 *                 on to the leaders whose windows see it next.
 *
 * Nothing else orders the ranks: a window of the next step starts when its frames are
 * there. */
typedef struct denoise {
    const hr_run *run;
    hr_worker *worker;
    hr_states *states;
    hr_halo *halo;
    hr_units *units; /* NULL on an idle rank */
    hr_fuser *fuser; /* NULL where this rank leads no group */
    hr_watch *watch;
    float *frames, *velocity; /* host, [length, C, h, w] */
    int step;                 /* of the window gathered last; -1 before the first */
    hr_range read;            /* the windows of that step that have been gathered */
    hr_range changed; /* own frames that may be ready to be stepped; frame 0 too */
} denoise;

static bool is_leader(const denoise *d)
{
    return d->fuser != NULL;
}

static bool owns(const denoise *d, int64_t frame)
{
    return hr_range_has(hr_states_owned(d->states), frame);
}

/* Windows of this group that read the frame's sample of this step are still to come. */
static bool is_still_read(const denoise *d, int64_t frame, int step)
{
    const hr_schedule *s = &d->run->schedule;
    hr_range mine, ours;

    if (step < d->step)
        return false;
    mine = hr_schedule_windows(s, step, d->worker->place.windows);
    ours = hr_range_cut(mine, hr_windows_seeing(&s->windows, step, frame));
    if (ours.n == 0)
        return false;
    return step > d->step || !hr_range_has(d->read, ours.first) ||
           !hr_range_has(d->read, ours.first + ours.n - 1);
}

/* A frame can be stepped when its predictions are there and nobody reads the sample of
 * the step before any more, whose place it takes. */
static bool can_step(const denoise *d, int64_t frame)
{
    int step = hr_states_step(d->states, frame);

    return step < d->run->schedule.n_steps && hr_halo_is_complete(d->halo, frame, step) &&
           (step == 0 || !is_still_read(d, frame, step - 1));
}

/* Steps an own frame as often as it can be, and passes it on. */
static hr_status step_frame(denoise *d, int64_t frame)
{
    const float *x;

    while (can_step(d, frame)) {
        HR_TRY(hr_fuser_step(d->fuser, frame, &x));
        HR_TRY(hr_halo_send_frame(d->halo, frame, hr_states_step(d->states, frame), x));
    }
    return HR_OK;
}

/* Takes in what has arrived, and does what can be done with it and with what was computed
 * here. Looks only at frames that something has happened to: a video has many. */
static hr_status settle(denoise *d)
{
    hr_range news;

    HR_TRY(hr_halo_receive(d->halo));
    news = hr_range_join(hr_halo_take_news(d->halo), d->changed);
    d->changed = (hr_range){0};
    if (owns(d, 0))
        HR_TRY(step_frame(d, 0));
    for (int64_t f = news.first; f < news.first + news.n; f++)
        HR_TRY(step_frame(d, f));
    return HR_OK;
}

/* In the middle of a forward, so that others need not wait for its end. */
static hr_status tick(void *user)
{
    return settle(user);
}

static bool is_here(const denoise *d, int64_t frame, int step)
{
    return owns(d, frame) ? hr_states_step(d->states, frame) >= step
                          : hr_halo_has_frame(d->halo, frame, step);
}

/* Whom this rank waits for when it misses the sample of a frame. */
static int whom_to_wait_for(const denoise *d, int64_t frame)
{
    if (!owns(d, frame))
        return hr_run_owner(d->run, frame);
    return hr_halo_missing(d->halo, frame, hr_states_step(d->states, frame));
}

static hr_status wait_for_frame(denoise *d, int64_t frame, int step)
{
    while (!is_here(d, frame, step)) {
        HR_TRY(settle(d));
        if (!is_here(d, frame, step))
            HR_TRY(hr_halo_wait(d->halo, whom_to_wait_for(d, frame)));
    }
    return HR_OK;
}

static hr_status take_frames(denoise *d, const hr_unit *unit)
{
    const hr_windows *w = &d->run->schedule.windows;

    for (int64_t i = 0; i < w->length; i++) {
        int64_t frame = hr_windows_shown(w, unit->step, unit->window, i);
        float *place = d->frames + (size_t)i * d->run->frame_floats;

        HR_TRY(wait_for_frame(d, frame, unit->step));
        if (owns(d, frame))
            HR_TRY(hr_states_read(d->states, frame, unit->step, place));
        else
            hr_halo_read_frame(d->halo, frame, unit->step, place);
    }
    return HR_OK;
}

/* Windows of a step come one beside the other. */
static void note_window(denoise *d, const hr_unit *unit)
{
    const hr_windows *w = &d->run->schedule.windows;
    hr_range owned = hr_states_owned(d->states), changed;

    if (unit->step > d->step)
        d->read = (hr_range){.first = unit->window};
    d->step = unit->step;
    if (unit->window < d->read.first)
        d->read.first = unit->window;
    d->read.n++;
    changed = (hr_range){.first = hr_windows_start(w, unit->step, unit->window),
                         .n = w->length};
    d->changed = hr_range_join(d->changed, hr_range_cut(changed, owned));
}

static void drop_frames(const denoise *d, const hr_unit *unit)
{
    const hr_windows *w = &d->run->schedule.windows;

    for (int64_t i = 0; i < w->length; i++) {
        int64_t frame = hr_windows_shown(w, unit->step, unit->window, i);

        if (!owns(d, frame) && !is_still_read(d, frame, unit->step))
            hr_halo_drop_frame(d->halo, frame, unit->step);
    }
}

static bool is_gathered(const denoise *d, const hr_unit *unit)
{
    return unit->step == d->step && hr_range_has(d->read, unit->window);
}

/* The frames that a window sees, once for all its branches. */
static hr_status gather(denoise *d, const hr_unit *unit)
{
    size_t bytes =
        (size_t)d->run->schedule.windows.length * d->run->frame_floats * sizeof(float);

    if (!hr_units_is_first_stage(d->units) || is_gathered(d, unit))
        return HR_OK;
    if (is_leader(d))
        HR_TRY(take_frames(d, unit));
    note_window(d, unit);
    if (is_leader(d))
        drop_frames(d, unit);
    if (d->worker->branches != NULL)
        HR_TRY(hr_group_broadcast(d->worker->branches, 0, d->frames, bytes));
    return hr_group_broadcast(d->worker->tensor, 0, d->frames, bytes);
}

static hr_status run_unit(denoise *d, const hr_unit *unit)
{
    HR_TRY(hr_watch_begin(d->watch, unit));
    HR_TRY(gather(d, unit));
    HR_TRY(hr_units_run(d->units, unit, d->frames, d->velocity));
    if (hr_units_is_predictor(d->units))
        HR_TRY(hr_halo_send_predictions(d->halo, unit, d->velocity));
    HR_TRY(settle(d));
    return hr_watch_done(d->watch);
}

/* The own frames, from noise. */
static hr_status start_frames(denoise *d)
{
    hr_range owned = hr_states_owned(d->states);
    hr_noise *noise;
    hr_status status = HR_OK;

    d->changed = owned;
    HR_TRY(hr_noise_open(d->run, &noise));
    for (int64_t f = owned.first; f < owned.first + owned.n && status == HR_OK; f++) {
        status = hr_noise_read(noise, f, d->frames);
        if (status == HR_OK)
            status = hr_states_write(d->states, f, 0, d->frames);
        if (status == HR_OK)
            status = hr_halo_send_frame(d->halo, f, 0, d->frames);
    }
    hr_noise_close(noise);
    return status;
}

/* Until all own frames have been through all steps. */
static hr_status finish_frames(denoise *d)
{
    hr_range owned = hr_states_owned(d->states);

    d->step = d->run->schedule.n_steps; /* nothing is read any more */
    d->changed = owned;
    HR_TRY(settle(d));
    for (int64_t f = owned.first; f < owned.first + owned.n; f++)
        HR_TRY(wait_for_frame(d, f, d->run->schedule.n_steps));
    return HR_OK;
}

static hr_status run_units(denoise *d, hr_render_times *times)
{
    hr_unit unit = {.step = -1};

    if (is_leader(d))
        HR_TRY(start_frames(d));
    if (d->units != NULL)
        HR_TRY(hr_units_load(d->units, 0));
    HR_TRY(hr_stream_sync(d->worker->stream));
    times->start_seconds = hr_clock_process_seconds();
    while (hr_schedule_next(&d->run->schedule, &d->worker->place, &unit))
        HR_TRY(run_unit(d, &unit));
    HR_TRY(finish_frames(d));
    hr_watch_end(d->watch);
    return HR_OK;
}

static hr_status open_all(denoise *d, hr_stage_clock *clock)
{
    size_t bytes =
        (size_t)d->run->schedule.windows.length * d->run->frame_floats * sizeof(float);

    HR_TRY(hr_halo_open(d->run, &d->halo));
    HR_TRY(hr_watch_open(d->run, clock, &d->watch));
    if (d->worker->place.is_idle)
        return HR_OK;
    HR_TRY(hr_alloc_or_fail(bytes, "the frames of a window", (void **)&d->frames));
    HR_TRY(hr_alloc_or_fail(bytes, "the predictions of a window", (void **)&d->velocity));
    HR_TRY(hr_units_open(d->run, &(hr_tick){.run = tick, .user = d}, &d->units));
    if (!hr_parts_is_leader(d->worker))
        return HR_OK;
    return hr_fuser_open(d->run, d->states, d->halo, &d->fuser);
}

static void close_all(denoise *d)
{
    hr_fuser_close(d->fuser);
    hr_units_close(d->units);
    hr_free(d->velocity);
    hr_free(d->frames);
    hr_watch_close(d->watch);
    hr_halo_close(d->halo);
}

hr_status hr_denoise_stage(const hr_run *run, hr_states *states, hr_stage_clock *clock,
                           hr_render_times *times)
{
    denoise d = {.run = run, .worker = run->worker, .states = states, .step = -1};
    hr_arena_mark mark = hr_arena_get_mark(run->worker->arena);
    hr_status status = open_all(&d, clock), after;

    if (status == HR_OK)
        status = run_units(&d, times);
    after = hr_stream_sync(run->worker->stream); /* nothing uses what is freed now */
    close_all(&d);
    hr_arena_rewind(run->worker->arena, mark);
    return status != HR_OK ? status : after;
}
