/* Which noise each frame starts from. */
#include "support/test_util.h"

#include "coordinator/noise_map.h"
#include "draw.h"

#include <string.h>

enum { MAX_FRAMES = 512 };

static void test_known_blocks(void **state)
{
    hr_windows w = {.n_frames = 15, .length = 6, .overlap = 2};
    uint32_t base[15];
    bool moved = false;

    (void)state;
    hr_noise_map_fill(&w, HR_NOISE_RESCHEDULED, 7, base);
    for (uint32_t f = 0; f < 6; f++)
        assert_int_equal(base[f], f);
    for (int block = 6; block < 14; block += 4) { /* 6..9 from 0..3, 10..13 from 4..7 */
        for (int i = 0; i < 4; i++) {
            int n_found = 0;

            for (int j = 0; j < 4; j++)
                n_found += base[block + j] == base[block - 6 + i];
            assert_int_equal(n_found, 1);
            moved = moved || base[block + i] != base[block - 6 + i];
        }
    }
    assert_int_equal(base[14], base[8]); /* a block of one has nothing to exchange */
    assert_true(moved);
}

static void test_independent(void **state)
{
    hr_windows w = {.n_frames = 100, .length = 6, .overlap = 2};
    uint32_t base[100];

    (void)state;
    hr_noise_map_fill(&w, HR_NOISE_INDEPENDENT, 7, base);
    for (uint32_t f = 0; f < 100; f++)
        assert_int_equal(base[f], f);
}

/* FreeNoise's point: a window of the fixed grid holds each of the first window's noises
 * once, so every window starts from noise of its own kind, all different. */
static void test_windows_hold_each_noise_once(void **state)
{
    uint64_t random = 11;
    uint32_t base[MAX_FRAMES];
    int n_found[64];
    hr_windows w;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        w = draw_windows(&random, 40);
        assert_true(w.n_frames <= MAX_FRAMES);
        hr_noise_map_fill(&w, HR_NOISE_RESCHEDULED, random, base);
        for (int64_t s = 0; s + w.length <= w.n_frames; s += w.length - w.overlap) {
            memset(n_found, 0, sizeof n_found);
            for (int64_t f = s; f < s + w.length; f++) {
                assert_true(base[f] < w.length);
                assert_int_equal(++n_found[base[f]], 1);
            }
        }
    }
}

/* Golden only in kind: the same seed, the same map; another seed, another map. */
static void test_seed(void **state)
{
    hr_windows w = {.n_frames = 400, .length = 21, .overlap = 8};
    uint32_t a[400], b[400];

    (void)state;
    hr_noise_map_fill(&w, HR_NOISE_RESCHEDULED, 1, a);
    hr_noise_map_fill(&w, HR_NOISE_RESCHEDULED, 1, b);
    assert_memory_equal(a, b, sizeof a);
    hr_noise_map_fill(&w, HR_NOISE_RESCHEDULED, 1ULL << 32 | 1, b);
    assert_memory_not_equal(a, b, sizeof a);
    w.n_frames = 200; /* a shorter video begins like the longer one, whole blocks */
    hr_noise_map_fill(&w, HR_NOISE_RESCHEDULED, 1, b);
    assert_memory_equal(a, b, (21 + 13 * 13) * sizeof *a);
}

/* Every order of a block is as likely as any other: 24 of four, 2,400 draws. */
static void test_shuffles_are_even(void **state)
{
    hr_windows w = {.n_frames = 8, .length = 4, .overlap = 0};
    int n_order[256] = {0}, n_orders = 0;
    uint32_t base[8];

    (void)state;
    for (uint64_t seed = 0; seed < 2400; seed++) {
        hr_noise_map_fill(&w, HR_NOISE_RESCHEDULED, seed, base);
        n_order[base[4] << 6 | base[5] << 4 | base[6] << 2 | base[7]]++;
    }
    for (int i = 0; i < 256; i++) {
        n_orders += n_order[i] > 0;
        if (n_order[i] > 0)
            assert_in_range(n_order[i], 60, 140); /* 100 and four deviations */
    }
    assert_int_equal(n_orders, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_blocks),
        cmocka_unit_test(test_independent),
        cmocka_unit_test(test_windows_hold_each_noise_once),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_shuffles_are_even),
    };

    return cmocka_run_group_tests_name("coordinator/noise_map", tests, NULL, NULL);
}
