/* HR_TEST_RANKS: checkpoints written by 1 to 4 ranks and read by each of them. */
#include "io/checkpoint_case.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const checkpoint_case plain = {.n_frames = 7,
                                      .channels = 3,
                                      .height = 5,
                                      .width = 4,
                                      .n_history = 2,
                                      .n_steps = 6,
                                      .n_pending = 5,
                                      .n_rounds = 3,
                                      .bad_frame = -1,
                                      .bad_pending = -1};

static void goes_round(hr_group *all, checkpoint_case c)
{
    const char *folder = checkpoint_case_folder(all);
    const char *path = hr_test_path(folder, "step-0003-00034.h5");

    checkpoint_case_begin(&c, all);
    hr_test_ok(hr_checkpoint_save(all, path, &c.head, &c.source));
    assert_int_equal(hr_test_count_entries(folder), 1);
    hr_test_ok(hr_checkpoint_verify(all, path));
    hr_test_ok(hr_checkpoint_verify(NULL, path));
    checkpoint_case_check(&c, path);
    hr_test_on_all(all, true); /* before rank 0 removes the folder */
    checkpoint_case_end(&c);
}

static void all_that_was_saved_is_read(hr_group *all)
{
    goes_round(all, plain);
}

static void one_frame_and_nothing_else(hr_group *all)
{
    checkpoint_case c = plain;

    c.n_frames = 1;
    c.n_history = 0;
    c.n_pending = c.n_rounds = 0;
    c.is_bare = true;
    goes_round(all, c);
}

static void a_rank_without_frames(hr_group *all)
{
    checkpoint_case c = plain;

    c.leaves_out_first = true;
    goes_round(all, c);
    c.n_frames = 2; /* fewer than some have ranks */
    goes_round(all, c);
}

/* More than are written at once, and another number of pieces on each rank. */
static void many_small_frames(hr_group *all)
{
    checkpoint_case c = plain;

    c.n_frames = 1301;
    c.channels = c.height = c.width = 1;
    c.n_pending = 777;
    c.n_rounds = 500;
    goes_round(all, c);
}

/* Larger than the rooms for them: memory does not grow with the frames. */
static void large_frames(hr_group *all)
{
    const size_t most = 24 << 20;
    checkpoint_case c = plain;

    c.n_frames = 9;
    c.channels = 8;
    c.height = 90;
    c.width = 1000;
    c.n_pending = 3;
    goes_round(all, c);
    hr_test_on_all(all, hr_mem_peak_bytes() < most);
}

static void equal_states_are_equal_files(hr_group *all)
{
    const char *folder = checkpoint_case_folder(all);
    const char *first = hr_test_path(folder, "a.h5"),
               *other = hr_test_path(folder, "b.h5");
    checkpoint_case c = plain;
    char *one, *two;
    size_t n, m;

    checkpoint_case_begin(&c, all);
    hr_test_ok(hr_checkpoint_save(all, first, &c.head, &c.source));
    hr_test_ok(hr_checkpoint_save(all, other, &c.head, &c.source));
    one = hr_test_read(first, &n);
    two = hr_test_read(other, &m);
    assert_int_equal(n, m);
    assert_memory_equal(one, two, n);
    c.head.n_pending = c.n_pending;
    assert_true(n <= hr_checkpoint_bytes(&c.head));
    hr_free(one);
    hr_free(two);
    hr_test_on_all(all, true);
    checkpoint_case_end(&c);
}

/* Damage is told by rank 0 alone, whoever has found it; all know. */
static void damage_is_known_to_all(hr_group *all)
{
    const char *folder = checkpoint_case_folder(all);
    const char *path = hr_test_path(folder, "a.h5");
    checkpoint_case c = plain;
    size_t n_lines;

    c.n_frames = 40;
    c.channels = 8;
    c.height = 90;
    c.width = 100;
    checkpoint_case_begin(&c, all);
    hr_test_ok(hr_checkpoint_save(all, path, &c.head, &c.source));
    hr_test_on_all(all, true);
    if (hr_group_rank(all) == 0) {
        FILE *file = fopen(path, "r+e");

        assert_int_equal(fseek(file, -1000, SEEK_END), 0);
        assert_int_equal(fputc(1, file), 1);
        assert_int_equal(fclose(file), 0);
    }
    hr_test_on_all(all, true);
    hr_test_catch_log();
    assert_int_equal(hr_checkpoint_verify(all, path), HR_ERR_CHECKPOINT);
    n_lines = hr_test_log_lines();
    assert_int_equal(n_lines, hr_group_rank(all) == 0);
    assert_true(n_lines == 0 || strstr(hr_test_log_line(0), path) != NULL);
    hr_test_catch_log();
    assert_int_equal(hr_checkpoint_verify(all, "/nowhere/a.h5"), HR_ERR_IO);
    hr_test_release_log();
    hr_test_on_all(all, true);
    checkpoint_case_end(&c);
}

/* HR_TEST_CHECKPOINT_MB=1000 measures (docs/checkpoint.md): frames of 480p with UniPC's
 * two tensors of history. */
static void speed_is_told(hr_group *all)
{
    const char *wanted = getenv("HR_TEST_CHECKPOINT_MB");
    const double megabytes = wanted == NULL ? 5 : strtod(wanted, NULL);
    const char *folder = checkpoint_case_folder(all);
    const char *path = hr_test_path(folder, "a.h5");
    checkpoint_case c = plain;
    double began, saved;

    c.channels = 16;
    c.height = 60;
    c.width = 104;
    c.n_steps = 50;
    c.n_frames = 1 + (int64_t)(megabytes / 1.2);
    checkpoint_case_begin(&c, all);
    hr_test_on_all(all, true);
    began = hr_clock_seconds();
    hr_test_ok(hr_checkpoint_save(all, path, &c.head, &c.source));
    saved = hr_clock_seconds();
    hr_test_ok(hr_checkpoint_verify(all, path));
    if (hr_group_rank(all) == 0) {
        c.head.n_pending = c.n_pending;
        print_message("%.0f MB: save %.2f s, verify %.2f s, at most %.0f MB of memory\n",
                      (double)hr_checkpoint_bytes(&c.head) / 1e6, saved - began,
                      hr_clock_seconds() - saved, (double)hr_mem_peak_bytes() / 1e6);
    }
    hr_test_on_all(all, true);
    checkpoint_case_end(&c);
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(all_that_was_saved_is_read),
        HR_RANK_TEST(one_frame_and_nothing_else),
        HR_RANK_TEST(a_rank_without_frames),
        HR_RANK_TEST(many_small_frames),
        HR_RANK_TEST(equal_states_are_equal_files),
        HR_RANK_TEST(damage_is_known_to_all),
        HR_RANK_TEST(large_frames),
        HR_RANK_TEST(speed_is_told),
    };

    return hr_test_run_on_ranks("checkpoint", tests, sizeof tests / sizeof tests[0]);
}
