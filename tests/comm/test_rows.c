/* Bands of rows, their halos and the whole map, on HR_TEST_RANKS ranks and each
 * HR_TEST_DEVICE. */
#include "support/device.h"
#include "support/ranks.h"

#include "base/memory.h"
#include "comm/rows.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 3, CHANNELS = 2, ROW = WIDTH * CHANNELS };

/* The value at `i` of row `row` of frame `t`: all differ. */
static float value_at(int64_t t, int64_t row, int64_t i)
{
    return (float)(t * 10000 + row * 100 + i);
}

static void fill_rows(float *to, int64_t t, int64_t first, int64_t n)
{
    for (int64_t row = 0; row < n; row++)
        for (int64_t i = 0; i < ROW; i++)
            to[row * ROW + i] = value_at(t, first + row, i);
}

static void test_bands_share_all_rows_evenly(hr_group *all)
{
    (void)all;
    for (int64_t height = 1; height < 40; height++)
        for (int size = 1; size <= height; size++) {
            int64_t next = 0;

            for (int rank = 0; rank < size; rank++) {
                hr_band band = hr_rows_band(height, rank, size);

                assert_int_equal(band.first, next);
                assert_in_range(band.n, height / size, (height + size - 1) / size);
                next += band.n;
            }
            assert_int_equal(next, height);
        }
}

/* A band with NaN in its halo rows becomes a piece of the whole map. */
static void check_exchange(const hr_test_device *on, hr_group *all, int64_t height,
                           int64_t scale, int64_t frames)
{
    hr_rows *rows;
    hr_band band;
    int64_t above, n, first;
    float *x, *got, *want;
    hr_tensor t;
    size_t count;

    hr_test_ok(hr_rows_open(all, height, &rows));
    band = hr_rows_mine(rows);
    above = hr_rows_above(rows);
    n = above + band.n * scale + hr_rows_below(rows);
    first = band.first * scale - above;
    count = (size_t)(frames * n * ROW);
    x = hr_alloc(count * sizeof(float));
    want = hr_alloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        x[i] = NAN;
    for (int64_t f = 0; f < frames; f++) {
        fill_rows(x + (f * n + above) * ROW, f, band.first * scale, band.n * scale);
        fill_rows(want + f * n * ROW, f, first, n);
    }
    t = hr_test_upload(on->stream, HR_F32, HR_DIMS(frames, n, WIDTH, CHANNELS), x);
    hr_test_ok(hr_rows_exchange(rows, on->stream, &t));
    got = hr_test_download(on->stream, &t);
    assert_memory_equal(got, want, count * sizeof(float));
    hr_tensor_free(&t);
    hr_free(got);
    hr_free(want);
    hr_free(x);
    hr_rows_close(rows);
}

static void check_gather(const hr_test_device *on, hr_group *group, int64_t height)
{
    hr_rows *rows;
    hr_band band;
    size_t count = (size_t)(height * ROW);
    float *want = hr_alloc(count * sizeof(float)), *got;
    hr_tensor mine, all;

    hr_test_ok(hr_rows_open(group, height, &rows));
    band = hr_rows_mine(rows);
    fill_rows(want, 0, 0, height);
    mine = hr_test_upload(on->stream, HR_F32, HR_DIMS(band.n, WIDTH, CHANNELS),
                          want + band.first * ROW);
    hr_test_ok(
        hr_tensor_create(on->device, HR_F32, HR_DIMS(height, WIDTH, CHANNELS), &all));
    hr_test_ok(hr_rows_gather(rows, on->stream, &mine, &all));
    got = hr_test_download(on->stream, &all);
    assert_memory_equal(got, want, count * sizeof(float));
    hr_free(got);
    hr_tensor_free(&mine);
    hr_tensor_free(&all);
    hr_free(want);
    hr_rows_close(rows);
}

static void test_halos_and_maps(hr_group *all)
{
    hr_test_device on = hr_test_device_start(1);
    int size = hr_group_size(all);

    for (int64_t height = size; height < size + 4; height++) {
        for (int64_t frames = 1; frames <= 3; frames++) {
            check_exchange(&on, all, height, 1, frames);
            check_exchange(&on, all, height, 4, frames);
        }
        check_gather(&on, all, height);
    }
    hr_test_device_stop(&on);
}

static void test_more_ranks_than_rows(hr_group *all)
{
    hr_world *five;
    hr_rows *rows;

    (void)all;
    hr_test_ok(hr_world_open_pretended(3, 5, 5, &five));
    hr_test_fails(HR_ERR_INTERNAL, "4 rows cannot be shared by 5 ranks",
                  hr_rows_open(hr_world_group(five), 4, &rows));
    hr_world_close(five);
}

/* Rank 1 of 3: to each side one message of all frames; its band to both others. */
static void test_a_pretended_world_counts(hr_group *all)
{
    hr_test_device on = hr_test_device_start(1);
    hr_world *three;
    hr_rows *rows;
    hr_tensor band, map;
    const hr_group_split_args args = {
        .members = 3, .my_rank = 1, .key = 1, .traffic = HR_TRAFFIC_ROWS};
    hr_group *group;
    hr_traffic_stats traffic;

    (void)all;
    hr_test_ok(hr_world_open_pretended(1, 3, 3, &three));
    hr_test_ok(hr_group_split(hr_world_group(three), &args, &group));
    hr_test_ok(hr_rows_open(group, 7, &rows));
    hr_test_ok(hr_tensor_create(on.device, HR_F32, HR_DIMS(2, 1 + 2 + 1, WIDTH, CHANNELS),
                                &band));
    hr_world_reset_traffic(three);
    hr_test_ok(hr_rows_exchange(rows, on.stream, &band));
    traffic = hr_world_traffic(three);
    assert_int_equal(traffic.messages[HR_TRAFFIC_ROWS], 2);
    assert_int_equal(traffic.bytes[HR_TRAFFIC_ROWS], 2 * 2 * ROW * sizeof(float));
    hr_tensor_free(&band);

    hr_test_ok(hr_tensor_create(on.device, HR_F32, HR_DIMS(2, WIDTH, CHANNELS), &band));
    hr_test_ok(hr_tensor_create(on.device, HR_F32, HR_DIMS(7, WIDTH, CHANNELS), &map));
    hr_world_reset_traffic(three);
    hr_test_ok(hr_rows_gather(rows, on.stream, &band, &map));
    traffic = hr_world_traffic(three);
    assert_int_equal(traffic.bytes[HR_TRAFFIC_ROWS], 2 * 2 * ROW * sizeof(float));
    hr_tensor_free(&map);
    hr_tensor_free(&band);
    hr_rows_close(rows);
    hr_group_destroy(group);
    hr_world_close(three);
    hr_test_device_stop(&on);
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(test_bands_share_all_rows_evenly),
        HR_RANK_TEST(test_halos_and_maps),
        HR_RANK_TEST(test_more_ranks_than_rows),
        HR_RANK_TEST(test_a_pretended_world_counts),
    };

    return hr_test_run_on_ranks("comm/rows", tests, sizeof tests / sizeof tests[0]);
}
