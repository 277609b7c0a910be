/* HR_TEST_RANKS: groups, collectives and exchanges. */
#include "support/ranks.h"

#include "base/memory.h"

#include <string.h>

/* Byte `i` of what `from` sends to `to`. */
static unsigned char letter_of(int from, int to, size_t i)
{
    return (unsigned char)(31 * (size_t)from + 7 * (size_t)to + i);
}

static void all_gather_is_in_rank_order(hr_group *all)
{
    int size = hr_group_size(all), mine[3] = {hr_group_rank(all), -1, 7};
    int *got = hr_alloc((size_t)size * sizeof mine);

    hr_test_ok(hr_group_all_gather(all, mine, sizeof mine, got));
    for (int i = 0; i < size; i++) {
        assert_int_equal(got[3 * i], i);
        assert_int_equal(got[3 * i + 1], -1);
        assert_int_equal(got[3 * i + 2], 7);
    }
    hr_free(got);
}

static void a_broadcast_reaches_all_from_any_root(hr_group *all)
{
    const size_t sizes[] = {0, 1, 5000, 1 << 20};

    for (int root = 0; root < hr_group_size(all); root++)
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            unsigned char *data = hr_alloc(sizes[k]);
            size_t n_wrong = 0;

            for (size_t i = 0; i < sizes[k] && hr_group_rank(all) == root; i++)
                data[i] = letter_of(root, 0, i);
            hr_test_ok(hr_group_broadcast(all, root, data, sizes[k]));
            for (size_t i = 0; i < sizes[k]; i++)
                n_wrong += data[i] != letter_of(root, 0, i);
            hr_free(data);
            assert_int_equal(n_wrong, 0);
        }
}

/* Everybody sends two messages of different length to everybody, itself included. */
static void exchanges_match_in_the_order_of_the_list(hr_group *all)
{
    enum { SHORT = 100, LONG = 70000 };
    int size = hr_group_size(all), rank = hr_group_rank(all);
    size_t n = 0, n_wrong = 0, bytes = SHORT + LONG;
    hr_exchange *list = hr_alloc(4 * (size_t)size * sizeof *list);
    unsigned char *in = hr_alloc((size_t)size * bytes);
    unsigned char *out = hr_alloc((size_t)size * bytes);

    for (int peer = 0; peer < size; peer++) {
        unsigned char *to = out + (size_t)peer * bytes, *from = in + (size_t)peer * bytes;

        for (size_t i = 0; i < bytes; i++)
            to[i] = letter_of(rank, peer, i);
        list[n++] = (hr_exchange){peer, true, to, SHORT};
        list[n++] = (hr_exchange){peer, true, to + SHORT, LONG};
        list[n++] = (hr_exchange){peer, false, from, SHORT};
        list[n++] = (hr_exchange){peer, false, from + SHORT, LONG};
    }
    hr_test_ok(hr_group_exchange(all, list, n));
    for (int peer = 0; peer < size; peer++)
        for (size_t i = 0; i < bytes; i++)
            n_wrong += in[(size_t)peer * bytes + i] != letter_of(peer, rank, i);
    hr_free(list);
    hr_free(in);
    hr_free(out);
    hr_test_on_all(all, n_wrong == 0);
}

static void a_split_orders_by_key(hr_group *all)
{
    int size = hr_group_size(all), rank = hr_group_rank(all), n_even = (size + 1) / 2;
    int members = rank % 2 == 0 ? n_even : size / 2;
    /* Descending: the highest rank comes first. */
    const hr_group_split_args args = {.color = rank % 2,
                                      .key = -rank,
                                      .members = members,
                                      .my_rank = members - 1 - rank / 2,
                                      .traffic = HR_TRAFFIC_TENSOR};
    hr_group *group = NULL;
    int mine = rank, got[64];

    hr_test_ok(hr_group_split(all, &args, &group));
    assert_int_equal(hr_group_size(group), members);
    assert_int_equal(hr_group_rank(group), args.my_rank);
    hr_test_ok(hr_group_all_gather(group, &mine, sizeof mine, got));
    for (int i = 0; i < members; i++) {
        assert_int_equal(got[i], 2 * (members - 1 - i) + rank % 2);
        assert_int_equal(hr_group_world_rank(group, i), got[i]);
    }
    hr_group_destroy(group);
}

static void a_split_may_leave_ranks_out(hr_group *all)
{
    int rank = hr_group_rank(all), size = hr_group_size(all);
    const hr_group_split_args args = {.color = rank == size - 1 ? 0 : -1, .members = 1};
    hr_group *group = NULL;

    hr_test_ok(hr_group_split(all, &args, &group));
    assert_int_equal(group != NULL, rank == size - 1);
    hr_group_destroy(group);
}

/* Messages of one group are not those of another with the same ranks. */
static void groups_do_not_mix(hr_group *all)
{
    int rank = hr_group_rank(all), size = hr_group_size(all), got[2] = {0};
    const hr_group_split_args args = {.members = size, .my_rank = rank};
    hr_group *group[2] = {0};
    hr_exchange to[2], from[2];
    const int sent[2] = {10 + rank, 20 + rank}, next = (rank + 1) % size;
    const int last = (rank + size - 1) % size;

    for (int i = 0; i < 2; i++) {
        hr_test_ok(hr_group_split(all, &args, &group[i]));
        to[i] = (hr_exchange){next, true, (void *)(uintptr_t)&sent[i], sizeof sent[i]};
        from[i] = (hr_exchange){last, false, &got[i], sizeof got[i]};
    }
    if (size > 1) {
        hr_test_ok(hr_group_exchange(group[0], &to[0], 1));
        hr_test_ok(hr_group_exchange(group[1], &to[1], 1));
        hr_test_ok(hr_group_exchange(group[1], &from[1], 1));
        hr_test_ok(hr_group_exchange(group[0], &from[0], 1));
        assert_int_equal(got[0], 10 + last);
        assert_int_equal(got[1], 20 + last);
    }
    hr_group_destroy(group[0]);
    hr_group_destroy(group[1]);
}

static void a_wrong_place_in_a_split_is_noticed(hr_group *all)
{
    const hr_group_split_args args = {.members = hr_group_size(all) + 1,
                                      .my_rank = hr_group_rank(all)};
    hr_group *group = NULL;

    hr_test_fails(HR_ERR_INTERNAL, "was said to be", hr_group_split(all, &args, &group));
    assert_null(group);
}

static void agreement_is_the_worst_of_all(hr_group *all)
{
    hr_world *world = hr_group_world(all);
    int rank = hr_group_rank(all), last = hr_group_size(all) - 1;
    hr_status mine = rank == last ? HR_ERR_NOMEM : rank == 0 ? HR_ERR_ARG : HR_OK;

    hr_test_ok(hr_group_agree(all, HR_OK));
    assert_int_equal(hr_group_agree(all, last == 0 ? HR_ERR_NOMEM : mine), HR_ERR_NOMEM);
    assert_int_equal(hr_group_all_gather(all, &rank, 0, NULL), HR_ERR_NOMEM);
    hr_test_ok(hr_world_recover(world));
    hr_test_ok(hr_group_agree(all, HR_OK));
}

/* The last rank fails on its way to an agreement, and meets the others at the next. */
static void who_fails_misses_no_agreement(hr_group *all)
{
    int size = hr_group_size(all);
    bool is_failing = hr_group_rank(all) == size - 1;
    hr_status status = HR_ERR_NOMEM;

    if (!is_failing)
        status = hr_group_agree(all, HR_OK);
    assert_int_equal(status, HR_ERR_NOMEM);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_NOMEM);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    hr_test_ok(hr_group_agree(all, HR_OK));
}

/* Rank 0 says once what ranks that failed by themselves have logged. */
static void rank_0_tells_the_errors_of_others(hr_group *all)
{
    int rank = hr_group_rank(all), size = hr_group_size(all);
    hr_status mine = rank == 0 ? HR_OK : HR_ERR_IO;

    hr_test_catch_log();
    if (rank == 1)
        mine = hr_fail(HR_ERR_IO, "disk full");
    else if (rank > 1)
        mine = hr_fail(HR_ERR_IO, "no such folder");
    assert_int_equal(hr_group_agree(all, mine), size > 1 ? HR_ERR_IO : HR_OK);
    hr_test_release_log();
    if (rank == 0) {
        assert_int_equal(hr_test_log_lines(), size > 2 ? 2 : size - 1);
        if (size > 1) {
            assert_non_null(strstr(hr_test_log_line(0), "rank 1 (host "));
            assert_non_null(strstr(hr_test_log_line(0), "): disk full"));
        }
        if (size > 2)
            assert_non_null(strstr(hr_test_log_line(1), "rank 2 (host "));
    }
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

/* A line that rank 0 has logged too is not repeated. */
static void equal_errors_are_told_once(hr_group *all)
{
    hr_test_catch_log();
    assert_int_equal(hr_group_agree(all, hr_fail(HR_ERR_ARG, "job.yaml: no prompt")),
                     HR_ERR_ARG);
    hr_test_release_log();
    assert_int_equal(hr_test_log_lines(), 1);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(all_gather_is_in_rank_order),
        HR_RANK_TEST(a_broadcast_reaches_all_from_any_root),
        HR_RANK_TEST(exchanges_match_in_the_order_of_the_list),
        HR_RANK_TEST(a_split_orders_by_key),
        HR_RANK_TEST(a_split_may_leave_ranks_out),
        HR_RANK_TEST(groups_do_not_mix),
        HR_RANK_TEST(a_wrong_place_in_a_split_is_noticed),
        HR_RANK_TEST(agreement_is_the_worst_of_all),
        HR_RANK_TEST(who_fails_misses_no_agreement),
        HR_RANK_TEST(rank_0_tells_the_errors_of_others),
        HR_RANK_TEST(equal_errors_are_told_once),
    };

    return hr_test_run_on_ranks("comm/group", tests, sizeof tests / sizeof tests[0]);
}
