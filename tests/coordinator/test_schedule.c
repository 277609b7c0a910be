/* The schedule: everybody's lists fit together, nothing waits for ever, stages stay full.
 */
#include "support/test_util.h"

#include "base/memory.h"
#include "coordinator/schedule.h"
#include "draw.h"

#include <string.h>

static const hr_schedule_times unit_times = {.unit_seconds = 1};

static hr_schedule draw_schedule(uint64_t *random)
{
    hr_schedule s = {.windows = draw_windows(random, 8),
                     .n_steps = 1 + draw_below(random, 6),
                     .n_branches = 1 + draw_below(random, 2)};

    s.layout = (hr_layout){.windows = 1 + draw_below(random, 9),
                           .stages = 1 + draw_below(random, 4),
                           .tensor = 1 << draw_below(random, 2),
                           .cfg = 1 + draw_below(random, s.n_branches)};
    return s;
}

/* Owners and groups are shares: in order, whole, their sizes one apart at most. */
static void check_shares(const hr_schedule *s)
{
    int64_t at = 0, n, least;
    hr_range r;

    for (int g = 0; g < s->layout.windows; g++, at += r.n) {
        r = hr_schedule_owned(s, g);
        assert_int_equal(r.first, at);
        least = s->windows.n_frames / s->layout.windows;
        assert_in_range(r.n, least, least + 1);
        for (int64_t f = r.first; f < r.first + r.n; f++)
            assert_int_equal(hr_schedule_owner(s, f), g);
    }
    assert_int_equal(at, s->windows.n_frames);
    for (int k = 0; k < s->n_steps; k++) {
        n = hr_windows_count(&s->windows, k);
        at = 0;
        for (int g = 0; g < s->layout.windows; g++, at += r.n) {
            r = hr_schedule_windows(s, k, g);
            assert_int_equal(r.first, at);
            assert_in_range(r.n, n / s->layout.windows, n / s->layout.windows + 1);
            for (int64_t i = r.first; i < r.first + r.n; i++)
                assert_int_equal(hr_schedule_group(s, k, i), g);
        }
        assert_int_equal(at, n);
    }
}

/* Each unit is in the list of exactly one place of each stage, and steps ascend. */
static int64_t check_lists(const hr_schedule *s)
{
    hr_place place;
    hr_unit unit, before;
    int64_t n_units = 0;

    for (int rank = 0; rank < hr_layout_size(&s->layout); rank++) {
        place = hr_layout_place(&s->layout, rank);
        if (place.stage > 0 || place.tensor > 0)
            continue;
        before = unit = (hr_unit){.step = -1};
        while (hr_schedule_next(s, &place, &unit)) {
            assert_in_range(unit.step, before.step < 0 ? 0 : before.step, s->n_steps - 1);
            assert_int_equal(hr_schedule_group(s, unit.step, unit.window), place.windows);
            assert_int_equal(unit.branch % s->layout.cfg, place.cfg);
            assert_false(unit.step == before.step && unit.window == before.window &&
                         unit.branch <= before.branch && n_units > 0);
            before = unit;
            n_units++;
        }
    }
    place.is_idle = true;
    unit.step = -1;
    assert_false(hr_schedule_next(s, &place, &unit));
    return n_units;
}

/* Ranks as they are, in any order of events: a second account of the rules, beside the
 * simulator. A stage hands a unit on when the next stage has one of its two buffers free;
 * a frame steps when all its predictions are there. */
enum { MAX_LANES = 18, MAX_STAGES = 4, MAX_FRAMES = 72, BUFFERS = 2 };

typedef struct runner {
    const hr_schedule *s;
    int n_lanes;
    hr_unit unit[MAX_LANES][MAX_STAGES]; /* the next one of each stage */
    bool is_done[MAX_LANES][MAX_STAGES];
    int n_handed[MAX_LANES][MAX_STAGES]; /* waiting before the stage */
    int n_stepped[MAX_FRAMES];
    int n_received[MAX_FRAMES][8]; /* predictions at each step */
} runner;

static void advance(runner *r, int lane, int stage)
{
    hr_place place = {.windows = lane / r->s->layout.cfg,
                      .cfg = lane % r->s->layout.cfg,
                      .stage = stage};

    r->is_done[lane][stage] = !hr_schedule_next(r->s, &place, &r->unit[lane][stage]);
}

static bool can_run(const runner *r, int lane, int stage)
{
    const hr_unit *unit = &r->unit[lane][stage];
    const hr_windows *w = &r->s->windows;

    if (r->is_done[lane][stage])
        return false;
    if (stage + 1 < r->s->layout.stages && r->n_handed[lane][stage + 1] == BUFFERS)
        return false;
    if (stage > 0)
        return r->n_handed[lane][stage] > 0;
    for (int64_t i = 0; i < w->length; i++)
        if (r->n_stepped[hr_windows_shown(w, unit->step, unit->window, i)] < unit->step)
            return false;
    return true;
}

static void receive(runner *r, const hr_unit *unit, int64_t frame)
{
    const hr_windows *w = &r->s->windows;
    hr_range who = hr_windows_predicting(w, unit->step, frame);

    if (unit->window < who.first || unit->window >= who.first + who.n)
        return;
    assert_int_equal(r->n_stepped[frame], unit->step); /* never late, never early */
    if (++r->n_received[frame][unit->step] == who.n * r->s->n_branches)
        r->n_stepped[frame]++;
}

static void run_one(runner *r, int lane, int stage)
{
    hr_unit unit = r->unit[lane][stage];

    if (stage > 0)
        r->n_handed[lane][stage]--;
    if (stage + 1 < r->s->layout.stages)
        r->n_handed[lane][stage + 1]++;
    else
        for (int64_t f = 0; f < r->s->windows.n_frames; f++)
            receive(r, &unit, f);
    advance(r, lane, stage);
}

/* Runs whatever can run, in random order, until nothing can. */
static void run_all(runner *r, uint64_t *random)
{
    int n_stages = r->s->layout.stages, n = r->n_lanes * n_stages, first, i;

    do {
        first = draw_below(random, n);
        for (i = 0; i < n; i++)
            if (can_run(r, (first + i) % n / n_stages, (first + i) % n_stages))
                break;
        if (i < n)
            run_one(r, (first + i) % n / n_stages, (first + i) % n_stages);
    } while (i < n);
}

static void check_ends(const hr_schedule *s, uint64_t *random)
{
    runner r = {.s = s, .n_lanes = s->layout.windows * s->layout.cfg};

    assert_true(r.n_lanes <= MAX_LANES && s->windows.n_frames <= MAX_FRAMES);
    for (int lane = 0; lane < r.n_lanes; lane++)
        for (int stage = 0; stage < s->layout.stages; stage++) {
            r.unit[lane][stage].step = -1;
            advance(&r, lane, stage);
        }
    run_all(&r, random);
    for (int64_t f = 0; f < s->windows.n_frames; f++)
        assert_int_equal(r.n_stepped[f], s->n_steps);
    for (int lane = 0; lane < r.n_lanes; lane++)
        for (int stage = 0; stage < s->layout.stages; stage++)
            assert_true(r.is_done[lane][stage]);
}

static void test_any_layout(void **state)
{
    uint64_t random = 3;
    hr_schedule s;
    hr_schedule_result result;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        s = draw_schedule(&random);
        check_shares(&s);
        assert_int_equal(check_lists(&s), hr_schedule_n_units(&s));
        check_ends(&s, &random);
        hr_test_ok(hr_schedule_simulate(&s, &unit_times, &result));
        assert_false(result.is_deadlocked);
        assert_true(result.utilisation > 0 && result.utilisation <= 1 + 1e-9);
        assert_true(result.least_utilisation <= result.utilisation + 1e-9);
    }
}

/* The odd windows move: over the steps every group does as much as any other. */
static void test_odd_windows_go_round(void **state)
{
    hr_schedule s = {
        .windows = {.n_frames = 41, .length = 6, .overlap = 2, .grid = HR_GRID_FIXED},
        .layout = {3, 1, 1, 1},
        .n_steps = 32,
        .n_branches = 2};
    int64_t n_done[3] = {0};

    (void)state;
    for (int k = 0; k < s.n_steps; k++)
        for (int g = 0; g < 3; g++)
            n_done[g] += hr_schedule_windows(&s, k, g).n; /* 10 a step */
    for (int g = 0; g < 3; g++)
        assert_in_range(n_done[g], 105, 108);
}

/* How many windows further on the last window is that some window waits for. */
static int lag_of(const hr_windows *w, int n_steps)
{
    int64_t n, lag = 0, start;

    for (int k = 0; k + 1 < n_steps; k++) {
        n = hr_windows_count(w, k);
        for (int64_t i = 0; i < hr_windows_count(w, k + 1); i++) {
            start = hr_windows_start(w, k + 1, i);
            while (i + lag + 1 < n &&
                   hr_windows_start(w, k, i + lag + 1) < start + w->length)
                lag++;
        }
    }
    return (int)lag;
}

static int64_t fewest_windows(const hr_schedule *s)
{
    int64_t fewest = INT64_MAX, n;

    for (int k = 0; k < s->n_steps; k++) {
        n = hr_windows_count(&s->windows, k);
        fewest = n < fewest ? n : fewest;
    }
    return fewest;
}

/* The first unit of step k+1 waits for the units of its own window and of `lag` more, all
 * branches, and for the last of these to pass all stages: a step takes
 * branches x (lag + 1) - 1 + stages units at least. With two branches and neighbours only
 * (lag 1) that is W >= (stages + 3) / 2. Where three windows share a frame (overlap more
 * than half, or the last window moved back onto the one before) no order can do with
 * fewer than W >= (stages + 5) / 2. */
static void check_full(const hr_schedule *s, double bar, unsigned n_checked[4])
{
    int lag = lag_of(&s->windows, s->n_steps < 20 ? s->n_steps : 20);
    int64_t enough = (s->layout.stages + 2 * lag + 2) / 2;
    hr_schedule_result result;

    if (lag > 3 || fewest_windows(s) < enough || fewest_windows(s) > enough + 1)
        return;
    hr_test_ok(hr_schedule_simulate(s, &unit_times, &result));
    assert_false(result.is_deadlocked);
    if (result.utilisation < bar || result.least_utilisation < bar)
        fail_msg("%d stages, %d steps, %ld frames in windows of %ld, overlap %ld: %.4f",
                 s->layout.stages, s->n_steps, (long)s->windows.n_frames,
                 (long)s->windows.length, (long)s->windows.overlap, result.utilisation);
    n_checked[lag]++;
}

static void test_stages_stay_full(void **state)
{
    static const int64_t lengths[] = {6, 8, 21};
    static const int all_stages[] = {2, 4, 8, 16};
    hr_schedule s = {.layout = {1, 1, 1, 1}, .n_branches = 2};
    unsigned n_checked[4] = {0};
    int64_t stride;

    (void)state;
    for (unsigned i = 0; i < 3 * 4 * 2 * 2 * 2; i++) {
        s.windows = (hr_windows){.length = lengths[i % 3],
                                 .grid = (hr_job_grid)(i / 12 % 2),
                                 .anchor = i / 24 % 2 ? HR_ANCHOR_FIRST : HR_ANCHOR_NONE};
        s.layout.stages = all_stages[i / 3 % 4];
        s.n_steps = i / 48 % 2 ? 50 : 20;
        for (s.windows.overlap = 1; s.windows.overlap < s.windows.length;
             s.windows.overlap += 1 + s.windows.length / 8) {
            stride = s.windows.length - s.windows.overlap;
            for (int64_t n = 1; n < 2 + all_stages[i / 3 % 4]; n++)
                for (int64_t rest = 0; rest < stride; rest += 1 + stride / 4) {
                    s.windows.n_frames = s.windows.length + n * stride + rest;
                    check_full(&s, s.n_steps == 20 ? 0.96 : 0.98, n_checked);
                }
        }
    }
    assert_true(n_checked[1] > 500 && n_checked[2] > 500);
}

/* Groups fill their stages at the same time, not one after the other. */
static void test_groups_do_not_queue(void **state)
{
    hr_schedule s = {.windows = {.length = 6,
                                 .overlap = 2,
                                 .grid = HR_GRID_FIXED,
                                 .anchor = HR_ANCHOR_FIRST},
                     .n_steps = 20,
                     .n_branches = 2};
    hr_schedule_result one, many;

    (void)state;
    for (int groups = 2; groups <= 4; groups++) {
        s.layout = (hr_layout){1, 8, 1, 1};
        s.windows.n_frames = 6 + 7 * 4; /* 8 windows a group */
        hr_test_ok(hr_schedule_simulate(&s, &unit_times, &one));
        s.layout.windows = groups;
        s.windows.n_frames = 6 + (8 * groups - 1) * 4;
        hr_test_ok(hr_schedule_simulate(&s, &unit_times, &many));
        assert_true(one.utilisation >= 0.96);
        assert_true(many.utilisation >= one.utilisation - 0.01);
    }
}

/* By hand: 3 windows that share nothing, 2 steps. */
static void test_simulated_times(void **state)
{
    hr_schedule s = {
        .windows = {.n_frames = 9, .length = 3, .overlap = 0, .grid = HR_GRID_FIXED},
        .layout = {1, 1, 1, 1},
        .n_steps = 2,
        .n_branches = 1};
    hr_schedule_times times = {.unit_seconds = 2};
    hr_schedule_result r;

    (void)state;
    hr_test_ok(hr_schedule_simulate(&s, &times, &r));
    assert_true(r.seconds == 12 && r.utilisation == 1 && r.least_utilisation == 1);
    times.link_seconds = 5; /* no link, no other rank */
    times.halo_seconds = 7;
    hr_test_ok(hr_schedule_simulate(&s, &times, &r));
    assert_true(r.seconds == 12);
    s.layout.stages = 2; /* frames to the first stage 0.5, units 2 + 1 + 2, back 0.5 */
    times.link_seconds = 1;
    times.halo_seconds = 0.5;
    hr_test_ok(hr_schedule_simulate(&s, &times, &r));
    assert_true(r.seconds == 15.5); /* 6 units of 2; 1 + 2 for the second stage, 0.5 */
    assert_true(r.utilisation == 12 / 15.5);
    s.layout =
        (hr_layout){2, 1, 1, 1}; /* 0 and 2, 1; then 0, 1 and 2: the odd one moves */
    times.halo_seconds = 0;
    hr_test_ok(hr_schedule_simulate(&s, &times, &r));
    assert_true(r.seconds == 6 && r.utilisation == 1);
    s.layout = (hr_layout){1, 1, 1, 2};
    s.n_branches = 2;
    times.halo_seconds = 0.25; /* the second branch: there and back, each step */
    hr_test_ok(hr_schedule_simulate(&s, &times, &r));
    assert_true(r.seconds == 12.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_any_layout, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_odd_windows_go_round, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_stages_stay_full, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_groups_do_not_queue, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_simulated_times, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("coordinator/schedule", tests, NULL, NULL);
}
