/* HR_TEST_RANKS: checkpoints written by 1 to 4 ranks and read by each of them. */
#include "io/checkpoint_case.h"

#include "base/memory.h"

#include <string.h>
#include <unistd.h>

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

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(all_that_was_saved_is_read),
    };

    return hr_test_run_on_ranks("checkpoint", tests, sizeof tests / sizeof tests[0]);
}
