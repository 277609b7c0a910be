#include "coordinator/schedule.h"

#include "base/assert.h"
#include "base/memory.h"

/* The ranks that do one branch index of one window group: a pipeline of stages. */
typedef struct lane {
    hr_place place;
    hr_unit unit; /* its next one */
    hr_range own; /* frames that the first rank of the first stage owns */
    bool is_done;
    double *free_at; /* [stages], when the stage is done with its units so far */
    double busy;     /* of each stage: they do the same units */
} lane;

typedef struct play {
    const hr_schedule *s;
    const hr_schedule_times *times;
    lane *lanes; /* [n_lanes] */
    int n_lanes;
    double *free_at;     /* [n_lanes, stages] */
    double *at, *after;  /* [frames], when the frame is at this step and at the next */
    int64_t *n_received; /* [frames], predictions in this step */
} play;

static void close_play(play *p)
{
    hr_free(p->lanes);
    hr_free(p->free_at);
    hr_free(p->at);
    hr_free(p->after);
    hr_free(p->n_received);
}

static void take_next(play *p, lane *l)
{
    l->is_done = !hr_schedule_next(p->s, &l->place, &l->unit);
}

static hr_status allocate(size_t n, size_t size, void **out)
{
    size_t bytes;

    HR_TRY(hr_size_mul(n, size, &bytes));
    return hr_alloc_or_fail(bytes, "the simulated schedule", out);
}

static hr_status open_play(play *p)
{
    const hr_layout *layout = &p->s->layout;
    size_t frames = (size_t)p->s->windows.n_frames, lanes, times;
    lane *l;

    p->n_lanes = layout->windows * layout->cfg;
    lanes = (size_t)p->n_lanes;
    HR_TRY(hr_size_mul(lanes, (size_t)layout->stages, &times));
    HR_TRY(allocate(lanes, sizeof *p->lanes, (void **)&p->lanes));
    HR_TRY(allocate(times, sizeof *p->free_at, (void **)&p->free_at));
    HR_TRY(allocate(frames, sizeof *p->at, (void **)&p->at));
    HR_TRY(allocate(frames, sizeof *p->after, (void **)&p->after));
    HR_TRY(allocate(frames, sizeof *p->n_received, (void **)&p->n_received));
    for (int i = 0; i < p->n_lanes; i++) {
        l = &p->lanes[i];
        l->place = (hr_place){.windows = i / layout->cfg, .cfg = i % layout->cfg};
        l->unit.step = -1;
        l->own = hr_schedule_owned(p->s, l->place.windows);
        l->free_at = p->free_at + i * layout->stages;
        take_next(p, l);
    }
    return HR_OK;
}

static double latest(double a, double b)
{
    return a > b ? a : b;
}

/* How long the frame is under way between its owner and this rank of the lane. */
static double way_of(const play *p, const lane *l, int64_t frame, bool is_first_rank)
{
    bool is_owner = is_first_rank && l->place.cfg == 0 && hr_range_has(l->own, frame);

    return is_owner ? 0 : p->times->halo_seconds;
}

/* When all frames that the unit sees are there. */
static double ready_at(const play *p, const lane *l)
{
    const hr_windows *w = &p->s->windows;
    int64_t start = hr_windows_start(w, l->unit.step, l->unit.window);
    int64_t frame = hr_windows_shown(w, l->unit.step, l->unit.window, 0);
    double ready = p->at[frame] + way_of(p, l, frame, true);

    for (frame = start + 1; frame < start + w->length; frame++)
        ready = latest(ready, p->at[frame] + way_of(p, l, frame, true));
    return ready;
}

/* The last stage sends a prediction to the owner of each frame that has weight. */
static void send_predictions(play *p, const lane *l, double done)
{
    const hr_windows *w = &p->s->windows;
    int64_t start = hr_windows_start(w, l->unit.step, l->unit.window);
    int64_t dropped = hr_windows_is_anchored(w, l->unit.step, l->unit.window);
    bool is_first_rank = p->s->layout.stages == 1;

    for (int64_t f = start + dropped; f < start + w->length; f++) {
        p->after[f] = latest(p->after[f], done + way_of(p, l, f, is_first_rank));
        p->n_received[f]++;
    }
}

static void do_unit(play *p, lane *l)
{
    double now = ready_at(p, l);

    for (int i = 0; i < p->s->layout.stages; i++) {
        now += i > 0 ? p->times->link_seconds : 0;
        now = latest(now, l->free_at[i]) + p->times->unit_seconds;
        l->free_at[i] = now;
    }
    l->busy += p->times->unit_seconds;
    send_predictions(p, l, now);
    take_next(p, l);
}

/* False when a frame lacks predictions: nobody would ever step it. */
static bool step_frames(play *p, int step)
{
    const hr_windows *w = &p->s->windows;
    double *spare = p->at;

    for (int64_t f = 0; f < w->n_frames; f++) {
        if (p->n_received[f] != hr_windows_predicting(w, step, f).n * p->s->n_branches)
            return false;
        p->n_received[f] = 0;
        p->at[f] = 0;
    }
    p->at = p->after;
    p->after = spare;
    return true;
}

static void sum_up(const play *p, hr_schedule_result *out)
{
    double share;

    for (int64_t f = 0; f < p->s->windows.n_frames; f++)
        out->seconds = latest(out->seconds, p->at[f]);
    out->least_utilisation = 1;
    for (int i = 0; i < p->n_lanes; i++) {
        share = p->lanes[i].busy / out->seconds;
        out->utilisation += share / p->n_lanes;
        if (share < out->least_utilisation)
            out->least_utilisation = share;
    }
}

/* Units of a step wait for the step before only, and every list ascends by step: so the
 * steps can be played one after the other, though their times overlap. */
hr_status hr_schedule_simulate(const hr_schedule *s, const hr_schedule_times *times,
                               hr_schedule_result *out)
{
    play p = {.s = s, .times = times};
    hr_schedule_result result = {0};
    hr_status status;

    HR_ASSERT(times->unit_seconds > 0 && s->n_steps > 0);
    HR_TRY_GOTO(open_play(&p), done);
    for (int k = 0; k < s->n_steps && !result.is_deadlocked; k++) {
        for (int i = 0; i < p.n_lanes; i++)
            while (!p.lanes[i].is_done && p.lanes[i].unit.step == k)
                do_unit(&p, &p.lanes[i]);
        result.is_deadlocked = !step_frames(&p, k);
    }
    if (!result.is_deadlocked)
        sum_up(&p, &result);
    *out = result;
done:
    close_play(&p);
    return status;
}
