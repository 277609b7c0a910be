/* Windows: every frame is covered, exactly and in order, whatever the sizes. */
#include "support/test_util.h"

#include "coordinator/windows.h"
#include "draw.h"

#include <math.h>
#include <string.h>

enum { N_CASES = 4000, N_STEPS = 4 };

static void assert_starts(const hr_windows *w, int step, int64_t n, const int64_t *starts)
{
    assert_int_equal(hr_windows_count(w, step), n);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(hr_windows_start(w, step, i), starts[i]);
}

static void test_known_grids(void **state)
{
    static const int64_t fixed[] = {0, 4, 8, 11}, step2[] = {0, 1, 5, 9, 11},
                         step1[] = {0, 2, 6, 10, 11}, step3[] = {0, 3, 7, 11};
    hr_windows w = {.n_frames = 17, .length = 6, .overlap = 2, .grid = HR_GRID_FIXED};

    (void)state;
    assert_starts(&w, 0, 4, fixed);
    assert_starts(&w, 3, 4, fixed);
    w.grid = HR_GRID_MOVING; /* bits mirrored, of a stride of 4: 0, 2, 1, 3 */
    assert_starts(&w, 0, 4, fixed);
    assert_starts(&w, 1, 5, step1);
    assert_starts(&w, 2, 5, step2);
    assert_starts(&w, 3, 4, step3);
    assert_starts(&w, 4, 4, fixed); /* 1/8 of 4 rounded down */
}

/* The sequence of van der Corput: 0, 1/2, 1/4, 3/4, 1/8, 5/8, ... */
static void test_spread(void **state)
{
    static const int64_t eighths[] = {0, 4, 2, 6, 1, 5, 3, 7};

    (void)state;
    for (int k = 0; k < 8; k++)
        assert_int_equal(hr_windows_spread(k, 8), eighths[k]);
    assert_int_equal(hr_windows_spread(1, 5), 2);
    assert_int_equal(hr_windows_spread(999, 1), 0);
    for (int k = 0; k < 5000; k++) {
        double sum = 0, part = 0.5;

        for (int bits = k; bits > 0; bits >>= 1, part /= 2)
            sum += (bits & 1) * part;
        assert_int_equal(hr_windows_spread(k, 1000), (int64_t)(sum * 1000));
    }
}

static void test_known_weights(void **state)
{
    hr_windows w = {.n_frames = 10, .length = 6, .overlap = 2, .grid = HR_GRID_FIXED};

    (void)state;
    for (int64_t f = 0; f < 4; f++) { /* windows 0..5 and 4..9 */
        assert_true(hr_windows_weight(&w, 0, 0, f) == 1);
        assert_true(hr_windows_weight(&w, 0, 1, f) == 0);
        assert_true(hr_windows_weight(&w, 0, 1, f + 6) == 1);
    }
    assert_true(hr_windows_weight(&w, 0, 0, 4) == (float)(2.0 / 3));
    assert_true(hr_windows_weight(&w, 0, 1, 4) == (float)(1.0 / 3));
    assert_true(hr_windows_weight(&w, 0, 0, 5) == (float)(1.0 / 3));
    w.anchor = HR_ANCHOR_FIRST; /* frame 4 is window 0's alone, 5 is shared evenly */
    assert_true(hr_windows_weight(&w, 0, 0, 4) == 1);
    assert_true(hr_windows_weight(&w, 0, 1, 4) == 0);
    assert_true(hr_windows_weight(&w, 0, 0, 5) == 0.5F);
    assert_int_equal(hr_windows_shown(&w, 0, 1, 0), 0);
    assert_int_equal(hr_windows_shown(&w, 0, 1, 1), 5);
    w.anchor = HR_ANCHOR_PREVIOUS;
    assert_true(hr_windows_weight(&w, 0, 1, 4) == 0);
    assert_int_equal(hr_windows_shown(&w, 0, 1, 0), 4);
    w.anchor = HR_ANCHOR_NONE;
    w.blend = HR_BLEND_TRIANGLE; /* frame 4: 2 from the end of the left, 1 of the right */
    assert_true(hr_windows_weight(&w, 0, 0, 4) == (float)(2.0 / 3));
    assert_true(hr_windows_weight(&w, 0, 0, 1) == 1);
    w.overlap = 4; /* 0..5, 2..7, 4..9: frame 4 has distances 2, 3, 1 */
    assert_true(hr_windows_weight(&w, 0, 0, 4) == (float)(2.0 / 6));
    assert_true(hr_windows_weight(&w, 0, 1, 4) == (float)(3.0 / 6));
    assert_true(hr_windows_weight(&w, 0, 2, 4) == (float)(1.0 / 6));
    w.blend = HR_BLEND_RAMP; /* 2/5, 3/5, 1/5 */
    assert_true(fabsf(hr_windows_weight(&w, 0, 1, 4) - 0.5F) < 1e-7F);
    w.overlap = 2; /* 0..5, 4..9, 5..10: frame 5 has 1/3, 2/3, 1/6 */
    w.n_frames = 11;
    assert_true(fabsf(hr_windows_weight(&w, 0, 0, 5) - 2.0F / 7) < 1e-7F);
    assert_true(fabsf(hr_windows_weight(&w, 0, 1, 5) - 4.0F / 7) < 1e-7F);
    assert_true(fabsf(hr_windows_weight(&w, 0, 2, 5) - 1.0F / 7) < 1e-7F);
}

/* Ascending, exact, overlapping by `overlap` at least, both ends. */
static void check_grid(const hr_windows *w, int step)
{
    int64_t n = hr_windows_count(w, step), start, before = 0;

    assert_true(n >= 1);
    for (int64_t i = 0; i < n; i++) {
        start = hr_windows_start(w, step, i);
        if (i == 0)
            assert_int_equal(start, 0);
        else
            assert_in_range(start, before + 1, before + w->length - w->overlap);
        assert_int_equal(hr_windows_is_anchored(w, step, i),
                         start > 0 && w->anchor != HR_ANCHOR_NONE);
        before = start;
    }
    assert_int_equal(before + w->length, w->n_frames);
}

static bool sees(const hr_windows *w, int step, int64_t window, int64_t frame)
{
    for (int64_t i = 0; i < w->length; i++)
        if (hr_windows_shown(w, step, window, i) == frame)
            return true;
    return false;
}

/* By definition: its own frames, position 0 only where it is no anchor. */
static bool predicts(const hr_windows *w, int step, int64_t window, int64_t frame)
{
    int64_t position = frame - hr_windows_start(w, step, window);

    return position >= hr_windows_is_anchored(w, step, window) && position < w->length;
}

static bool is_within(hr_range r, int64_t i)
{
    return i >= r.first && i < r.first + r.n;
}

static void check_frame(const hr_windows *w, int step, int64_t frame)
{
    hr_range predicting = hr_windows_predicting(w, step, frame);
    hr_range seeing = hr_windows_seeing(w, step, frame);
    int64_t n = hr_windows_count(w, step);
    double sum = 0;
    float weight;

    assert_true(predicting.n >= 1);
    for (int64_t i = 0; i < n; i++) {
        weight = hr_windows_weight(w, step, i, frame);
        assert_true(weight >= 0 && weight <= 1);
        assert_int_equal(weight > 0, is_within(predicting, i));
        assert_int_equal(predicts(w, step, i, frame), is_within(predicting, i));
        assert_int_equal(sees(w, step, i, frame), is_within(seeing, i));
        assert_true(!is_within(predicting, i) || is_within(seeing, i));
        if (predicting.n == 1 && weight > 0)
            assert_true(weight == 1);
        sum += (double)weight;
    }
    assert_true(fabs(sum - 1) < 4e-7); /* each rounded to 6e-8 of itself */
}

static void test_any_sizes(void **state)
{
    uint64_t random = 6;
    hr_windows w;
    int step;

    (void)state;
    for (int i = 0; i < N_CASES; i++) {
        w = draw_windows(&random, i % 50 == 0 ? 40 : 9);
        for (int j = 0; j < N_STEPS; j++) {
            step = draw_below(&random, j == 0 ? 1000 : 16);
            check_grid(&w, step);
            for (int64_t f = 0; f < w.n_frames; f++)
                check_frame(&w, step, f);
        }
    }
}

static void test_clip_is_one_window(void **state)
{
    hr_windows w = {.anchor = HR_ANCHOR_FIRST};

    (void)state;
    for (int64_t n = 1; n < 30; n++)
        for (int step = 0; step < 10; step++) {
            w.n_frames = w.length = n;
            assert_int_equal(hr_windows_count(&w, step), 1);
            assert_false(hr_windows_is_anchored(&w, step, 0));
            for (int64_t f = 0; f < n; f++) {
                assert_true(hr_windows_weight(&w, step, 0, f) == 1);
                assert_int_equal(hr_windows_shown(&w, step, 0, f), f);
            }
        }
}

/* The grid moves: over a few steps no frame beside a border stays beside one. */
static void test_borders_move(void **state)
{
    hr_windows w = {.n_frames = 41, .length = 6, .overlap = 2};
    int n_starts[41] = {0};

    (void)state;
    for (int step = 0; step < 16; step++)
        for (int64_t i = 1; i < hr_windows_count(&w, step) - 1; i++)
            n_starts[hr_windows_start(&w, step, i)]++;
    for (int64_t f = 4; f < 32; f++)
        assert_int_equal(n_starts[f], 4);
}

static void test_a_quarter_of_a_million_frames(void **state)
{
    hr_windows w = {
        .n_frames = 250000, .length = 21, .overlap = 8, .grid = HR_GRID_FIXED};
    hr_range r;

    (void)state;
    assert_int_equal(hr_windows_count(&w, 0), 19231); /* 249979 / 13, up, and one */
    r = hr_windows_predicting(&w, 0, 13 * 10000);
    assert_true(r.first == 9999 && r.n == 2);
    r = hr_windows_seeing(&w, 0, 249999);
    assert_true(r.first == 19230 && r.n == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_grids),
        cmocka_unit_test(test_spread),
        cmocka_unit_test(test_known_weights),
        cmocka_unit_test(test_any_sizes),
        cmocka_unit_test(test_clip_is_one_window),
        cmocka_unit_test(test_borders_move),
        cmocka_unit_test(test_a_quarter_of_a_million_frames),
    };

    return cmocka_run_group_tests_name("coordinator/windows", tests, NULL, NULL);
}
