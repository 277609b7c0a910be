/* HR_TEST_RANKS: what is lent to libraries that speak MPI themselves. */
#include "comm/native.h"
#include "support/ranks.h"

#include <stdlib.h>
#include <unistd.h>

static void there_is_a_communicator_where_mpi_is(hr_group *all)
{
    const hr_world *world = hr_group_world(all);

    assert_int_equal(hr_world_native_comm(world) != NULL,
                     getenv("OMPI_COMM_WORLD_SIZE") != NULL);
}

/* Also where a rank has given up, so that it cannot agree in our way any more. */
static void the_worst_is_known_to_all(hr_group *all)
{
    hr_world *world = hr_group_world(all);
    const int last = hr_group_size(all) - 1;
    const bool is_last = hr_group_rank(all) == last;

    assert_int_equal(hr_world_native_agree(world, HR_OK), HR_OK);
    assert_int_equal(hr_world_native_agree(world, is_last ? HR_ERR_NOMEM : HR_OK),
                     HR_ERR_NOMEM);
    assert_int_equal(hr_world_native_agree(world, is_last ? HR_ERR_ARG : HR_ERR_IO),
                     last == 0 ? HR_ERR_ARG : HR_ERR_IO);
    if (is_last)
        hr_world_give_up(world, HR_ERR_IO);
    assert_int_equal(hr_world_native_agree(world, is_last ? HR_ERR_IO : HR_OK),
                     HR_ERR_IO);
    hr_test_catch_log();
    assert_int_equal(hr_group_agree(all, is_last ? HR_ERR_IO : HR_OK), HR_ERR_IO);
    hr_test_ok(hr_world_recover(world));
    hr_test_release_log();
}

static void a_call_that_lasts_is_stuck(hr_group *all)
{
    hr_world *world = hr_group_world(all);
    int rank = -2;

    assert_false(hr_world_native_is_stuck(world, &rank));
    hr_world_native_begin(world);
    assert_false(hr_world_native_is_stuck(world, &rank));
    usleep(1100 * 1000);
    assert_false(hr_world_native_is_stuck(world, &rank)); /* nobody is lost */
    hr_world_set_deadline(world, 1);
    assert_true(hr_world_native_is_stuck(world, &rank));
    assert_int_equal(rank, -1);
    hr_world_native_end(world);
    assert_false(hr_world_native_is_stuck(world, &rank));
    hr_world_set_deadline(world, 30);
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(there_is_a_communicator_where_mpi_is),
        HR_RANK_TEST(the_worst_is_known_to_all),
        HR_RANK_TEST(a_call_that_lasts_is_stuck),
    };

    return hr_test_run_on_ranks("native", tests, sizeof tests / sizeof tests[0]);
}
