/* HR_TEST_RANKS: the world, failures in every kind of wait, reports. */
#include "support/ranks.h"

#include "base/clock.h"
#include "base/memory.h"
#include "comm/mailbox.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static void rest(double seconds)
{
    const struct timespec pause = {(time_t)seconds,
                                   (long)(1e9 * (seconds - (double)(time_t)seconds))};

    nanosleep(&pause, NULL);
}

static void all_know_all(hr_group *all)
{
    hr_world *world = hr_group_world(all);
    int size = hr_group_size(all), rank = hr_group_rank(all);
    const hr_rank_info *mine = hr_world_rank_info(world, rank);
    int64_t pid = getpid();
    int64_t *pids = hr_alloc((size_t)size * sizeof pid);

    hr_test_ok(hr_group_all_gather(all, &pid, sizeof pid, pids));
    assert_int_equal(hr_world_n_hosts(world), 1);
    assert_false(hr_world_is_pretended(world));
    assert_true(mine->host[0] != '\0');
    for (int i = 0; i < size; i++) {
        const hr_rank_info *info = hr_world_rank_info(world, i);

        assert_int_equal(info->pid, pids[i]);
        assert_string_equal(info->host, mine->host);
        assert_int_equal(info->local_index, i);
        assert_int_equal(info->n_local, size);
    }
    hr_free(pids);
    assert_int_equal(hr_world_find_lost(world), -1);
}

static void a_pretended_world_has_hosts(hr_group *all)
{
    hr_world *world = NULL;
    hr_group *group;
    int mine = 5, got[7];

    (void)all;
    hr_test_ok(hr_world_open_pretended(3, 7, 2, &world));
    group = hr_world_group(world);
    assert_true(hr_world_is_pretended(world));
    assert_int_equal(hr_world_n_hosts(world), 4);
    assert_int_equal(hr_world_rank_info(world, 6)->host_index, 3);
    assert_int_equal(hr_world_rank_info(world, 6)->n_local, 1);
    assert_int_equal(hr_world_rank_info(world, 5)->local_index, 1);
    assert_int_equal(hr_world_rank_info(world, 5)->n_local, 2);
    hr_test_ok(hr_group_all_gather(group, &mine, sizeof mine, got));
    assert_int_equal(got[3], 5);
    assert_int_equal(got[2], 0);
    assert_int_equal(hr_world_traffic(world).bytes[HR_TRAFFIC_OTHER], 6 * sizeof mine);
    assert_int_equal(hr_world_traffic(world).bytes_between_hosts[HR_TRAFFIC_OTHER],
                     5 * sizeof mine);
    hr_test_ok(hr_group_agree(group, HR_OK));
    hr_world_close(world);
}

/* The same calls as real and as pretended ranks: equal counts. */
static hr_traffic_stats traffic_of_calls(hr_world *world)
{
    hr_group *all = hr_world_group(world), *group = NULL;
    int size = hr_group_size(all), rank = hr_group_rank(all);
    const hr_group_split_args args = {
        .members = size, .my_rank = rank, .traffic = HR_TRAFFIC_ROWS};
    char *data = hr_alloc((size_t)size * 3000);
    char in[50];
    const hr_exchange list[] = {{(rank + 1) % size, true, data, 50},
                                {(rank + size - 1) % size, false, in, 50}};

    hr_world_reset_traffic(world);
    hr_test_ok(hr_group_split(all, &args, &group));
    for (int root = 0; root < size; root++)
        hr_test_ok(hr_group_broadcast(group, root, data, 777));
    hr_test_ok(hr_group_all_gather(group, in, sizeof in, data));
    hr_test_ok(hr_group_exchange(group, list, 2));
    hr_group_destroy(group);
    hr_free(data);
    return hr_world_traffic(world);
}

static void pretended_counts_are_the_real_ones(hr_group *all)
{
    hr_traffic_stats real = traffic_of_calls(hr_group_world(all)), pretended;
    int size = hr_group_size(all);
    hr_world *world = NULL;

    hr_test_ok(hr_world_open_pretended(hr_group_rank(all), size, size, &world));
    pretended = traffic_of_calls(world);
    hr_world_close(world);
    assert_memory_equal(real.bytes, pretended.bytes, sizeof real.bytes);
    assert_memory_equal(real.messages, pretended.messages, sizeof real.messages);
    assert_memory_equal(real.bytes_between_hosts, pretended.bytes_between_hosts,
                        sizeof real.bytes_between_hosts);
}

/* What a rank may be waiting in when another gives up. */
static hr_status wait_in_gather(hr_group *all)
{
    char mine = 1, got[64];

    return hr_group_all_gather(all, &mine, 1, got);
}

static hr_status wait_in_broadcast(hr_group *all)
{
    char data[10];

    return hr_group_broadcast(all, hr_group_size(all) - 1, data, sizeof data);
}

/* A rendezvous that is never met, in both directions. */
static hr_status wait_in_exchange(hr_group *all)
{
    enum { BYTES = 1 << 20 };
    int failing = hr_group_size(all) - 1;
    char *data = hr_alloc(2 * BYTES);
    const hr_exchange list[] = {{failing, true, data, BYTES},
                                {failing, false, data + BYTES, BYTES}};
    hr_status status = hr_group_exchange(all, list, 2);

    hr_free(data);
    return status;
}

static hr_status wait_in_split(hr_group *all)
{
    const hr_group_split_args args = {.members = hr_group_size(all),
                                      .my_rank = hr_group_rank(all)};
    hr_group *group = NULL;

    return hr_group_split(all, &args, &group);
}

static hr_status wait_in_mailbox(hr_group *all)
{
    hr_mailbox *box = NULL;
    hr_status status = hr_mailbox_open(all, 100, HR_TRAFFIC_HALO, &box);

    if (status == HR_OK)
        status = hr_mailbox_wait(
            box, &(hr_mailbox_wait_args){.waiting_for = hr_group_size(all) - 1});
    hr_mailbox_close(box);
    return status;
}

static hr_status wait_in_progress(hr_group *all)
{
    hr_status status = HR_OK;

    while (status == HR_OK) {
        rest(0.001);
        status = hr_world_progress(hr_group_world(all));
    }
    return status;
}

static hr_status wait_in_agreement(hr_group *all)
{
    (void)all;
    return HR_OK;
}

/* The last rank gives up while the others wait; all agree, recover, and go on. */
static void every_wait_ends_when_a_rank_gives_up(hr_group *all)
{
    hr_status (*const waits[])(hr_group *) = {
        wait_in_gather,  wait_in_broadcast, wait_in_exchange, wait_in_split,
        wait_in_mailbox, wait_in_progress,  wait_in_agreement};
    hr_world *world = hr_group_world(all);
    bool is_failing = hr_group_rank(all) == hr_group_size(all) - 1;

    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        double start = hr_clock_seconds();
        hr_status status = HR_ERR_CANCELLED;

        if (is_failing) {
            rest(0.03);
            hr_world_give_up(world, status);
        } else {
            status = waits[i](all);
        }
        assert_true(status == HR_ERR_CANCELLED || waits[i] == wait_in_agreement);
        assert_int_equal(hr_group_agree(all, status), HR_ERR_CANCELLED);
        assert_true(hr_clock_seconds() - start < 10);
        hr_test_ok(hr_world_recover(world));
        hr_test_ok(wait_in_gather(all));
    }
}

static void old_groups_are_refused_after_a_recovery(hr_group *all)
{
    const hr_group_split_args args = {.members = hr_group_size(all),
                                      .my_rank = hr_group_rank(all)};
    hr_group *group = NULL;

    hr_test_ok(hr_group_split(all, &args, &group));
    hr_test_ok(hr_group_agree(all, HR_OK)); /* nobody is still in the split */
    assert_int_equal(hr_group_agree(all, HR_ERR_CANCELLED), HR_ERR_CANCELLED);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    hr_test_fails(HR_ERR_INTERNAL, "from before the recovery",
                  hr_group_broadcast(group, 0, NULL, 0));
    hr_group_destroy(group);
}

static void rank_0_gets_the_latest_report(hr_group *all)
{
    hr_world *world = hr_group_world(all);
    int rank = hr_group_rank(all), size = hr_group_size(all);
    double start = hr_clock_seconds(), age = 0;
    hr_report report = {.phase = "denoise step 3 window 2"}, got = {0};

    for (int i = 1; i <= 5; i++) {
        report.units_done = 100 * rank + i;
        hr_world_report(world, &report);
    }
    for (int i = 0; i < size && rank == 0; i++) {
        while (hr_clock_seconds() < start + 10 &&
               (!hr_world_latest_report(world, i, &got, &age) ||
                got.units_done != 100 * i + 5))
            hr_test_ok(hr_world_progress(world));
        assert_int_equal(got.units_done, 100 * i + 5);
        assert_string_equal(got.phase, "denoise step 3 window 2");
        assert_true(age >= 0 && age < 10);
    }
    if (rank == 0)
        hr_test_ok(hr_world_check_silence(world));
    hr_test_ok(hr_group_agree(all, HR_OK));
}

static void traffic_has_names(hr_group *all)
{
    (void)all;
    for (int i = 0; i < HR_TRAFFIC_COUNT; i++)
        assert_string_not_equal(hr_traffic_name((hr_traffic)i), "unknown");
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(all_know_all),
        HR_RANK_TEST(a_pretended_world_has_hosts),
        HR_RANK_TEST(pretended_counts_are_the_real_ones),
        HR_RANK_TEST(every_wait_ends_when_a_rank_gives_up),
        HR_RANK_TEST(old_groups_are_refused_after_a_recovery),
        HR_RANK_TEST(rank_0_gets_the_latest_report),
        HR_RANK_TEST(traffic_has_names),
    };

    return hr_test_run_on_ranks("comm/world", tests, sizeof tests / sizeof tests[0]);
}
