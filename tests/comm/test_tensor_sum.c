/* HR_TEST_RANKS, HR_TEST_DEVICE: the ordered sum. */
#include "support/ranks.h"

#include "base/memory.h"
#include "comm/tensor_sum.h"
#include "support/device.h"

#include <stdio.h>
#include <string.h>

enum { N_LEAVES = 8 };

/* The group of the first `size` ranks (a power of two); NULL on the others. */
static hr_group *open_group(hr_group *all, int size)
{
    int rank = hr_group_rank(all);
    const hr_group_split_args args = {.color = rank < size ? 0 : -1,
                                      .members = size,
                                      .my_rank = rank,
                                      .traffic = HR_TRAFFIC_TENSOR};
    hr_group *group = NULL;

    hr_test_ok(hr_group_split(all, &args, &group));
    return group;
}

/* The sum of leaves [first, first + n) as a binary tree, by definition. Leaf k of element
 * i is of random size, so that any other order gives other bits somewhere. */
static void add_tree(const float *leaves, size_t n_elements, int first, int n, float *out)
{
    float *right;

    if (n == 1) {
        memcpy(out, leaves + (size_t)first * n_elements, n_elements * sizeof *out);
        return;
    }
    right = hr_alloc(n_elements * sizeof *right);
    add_tree(leaves, n_elements, first, n / 2, out);
    add_tree(leaves, n_elements, first + n / 2, n / 2, right);
    for (size_t i = 0; i < n_elements; i++)
        out[i] += right[i];
    hr_free(right);
}

/* Each rank holds the sum of its subtree; the result is that of the whole tree. */
static bool sums_to_the_tree(hr_group *group, const hr_test_device *on, int64_t n)
{
    const size_t n_elements = (size_t)n;
    int size = hr_group_size(group), each = N_LEAVES / size;
    float *leaves = hr_alloc(N_LEAVES * n_elements * sizeof *leaves);
    float *want = hr_alloc(n_elements * sizeof *want);
    float *mine = hr_alloc(n_elements * sizeof *mine), *got;
    hr_arena *arena = NULL;
    hr_arena_mark before, after;
    hr_tensor x, taken;
    bool is_equal;

    hr_test_random(7, leaves, N_LEAVES * n_elements);
    add_tree(leaves, n_elements, 0, N_LEAVES, want);
    add_tree(leaves, n_elements, hr_group_rank(group) * each, each, mine);
    hr_test_ok(hr_arena_create(on->device, &arena));
    hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(100), &taken));
    before = hr_arena_get_mark(arena);
    x = hr_test_upload(on->stream, HR_F32, HR_DIMS(n / 4, 4), mine);
    hr_test_ok(hr_tensor_sum(group, on->stream, arena, &x));
    after = hr_arena_get_mark(arena);
    assert_int_equal(after.block, before.block);
    assert_int_equal(after.used, before.used);
    got = hr_test_download(on->stream, &x);
    is_equal = memcmp(got, want, n_elements * sizeof *want) == 0;
    hr_free(got);
    hr_tensor_free(&x);
    hr_arena_destroy(arena);
    hr_free(leaves);
    hr_free(want);
    hr_free(mine);
    return is_equal;
}

static void the_bits_are_those_of_one_rank(hr_group *all)
{
    /* Small, usual, and of more than two pieces. */
    const int64_t sizes[] = {4, 37 * 1024, 2 * (1 << 18) + 4 * 999};

    for (int size = 1; size <= hr_group_size(all); size *= 2) {
        hr_group *group = open_group(all, size);
        bool is_right = true;

        if (group != NULL) {
            hr_test_device on = hr_test_device_start(1);

            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
                is_right = is_right && sums_to_the_tree(group, &on, sizes[i]);
            hr_test_device_stop(&on);
        }
        hr_group_destroy(group);
        hr_test_on_all(all, is_right);
    }
}

static void no_group_is_a_group_of_one(hr_group *all)
{
    hr_test_device on = hr_test_device_start(1);
    const float values[] = {1, 2, 3};
    hr_tensor x = hr_test_upload(on.stream, HR_F32, HR_DIMS(3), values);
    float *got;

    (void)all;
    hr_test_ok(hr_tensor_sum(NULL, on.stream, NULL, &x));
    got = hr_test_download(on.stream, &x);
    assert_memory_equal(got, values, sizeof values);
    hr_free(got);
    hr_tensor_free(&x);
    hr_test_device_stop(&on);
}

/* What rank `rank` of 4 sends in a sum, in a pretended world. */
static hr_traffic_stats pretend(int rank, int ranks_per_host, int64_t n)
{
    const hr_group_split_args args = {
        .members = 4, .my_rank = rank, .traffic = HR_TRAFFIC_TENSOR};
    hr_world *world = NULL;
    hr_group *group = NULL;
    hr_device *device = NULL;
    hr_stream *stream = NULL;
    hr_arena *arena = NULL;
    hr_tensor x;
    hr_traffic_stats stats;

    hr_test_ok(hr_world_open_pretended(rank, 4, ranks_per_host, &world));
    hr_test_ok(hr_group_split(hr_world_group(world), &args, &group));
    hr_world_reset_traffic(world);
    hr_test_ok(hr_device_open(&(hr_device_options){.name = "dry"}, &device));
    hr_test_ok(hr_stream_create(device, &stream));
    hr_test_ok(hr_arena_create(device, &arena));
    hr_test_ok(hr_tensor_create(device, HR_F32, HR_DIMS(n), &x));
    hr_test_ok(hr_tensor_sum(group, stream, arena, &x));
    stats = hr_world_traffic(world);
    hr_tensor_free(&x);
    hr_arena_destroy(arena);
    hr_stream_destroy(stream);
    hr_device_close(device);
    hr_group_destroy(group);
    hr_world_close(world);
    return stats;
}

static void a_pretended_sum_counts_the_same(hr_group *all)
{
    const int64_t n = (1 << 18) + 100;
    hr_traffic_stats real, pretended = pretend(hr_group_rank(all) % 4, 4, n);
    hr_traffic_stats apart = pretend(hr_group_rank(all) % 4, 2, n);
    hr_test_device on = hr_test_device_start(1);
    hr_group *group;

    /* Two rounds of two pieces; with two ranks on a host, the second round goes out. */
    assert_int_equal(pretended.bytes[HR_TRAFFIC_TENSOR], 2 * 4 * n);
    assert_int_equal(pretended.messages[HR_TRAFFIC_TENSOR], 4);
    assert_int_equal(pretended.bytes_between_hosts[HR_TRAFFIC_TENSOR], 0);
    assert_int_equal(apart.bytes_between_hosts[HR_TRAFFIC_TENSOR], 4 * n);
    if (hr_group_size(all) == 4) {
        group = open_group(all, 4);
        hr_world_reset_traffic(hr_group_world(all));
        hr_test_on_all(all, sums_to_the_tree(group, &on, n));
        real = hr_world_traffic(hr_group_world(all));
        assert_memory_equal(real.bytes + HR_TRAFFIC_TENSOR,
                            pretended.bytes + HR_TRAFFIC_TENSOR, sizeof(uint64_t));
        assert_int_equal(real.messages[HR_TRAFFIC_TENSOR],
                         pretended.messages[HR_TRAFFIC_TENSOR]);
        hr_group_destroy(group);
    }
    hr_test_device_stop(&on);
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(the_bits_are_those_of_one_rank),
        HR_RANK_TEST(no_group_is_a_group_of_one),
        HR_RANK_TEST(a_pretended_sum_counts_the_same),
    };

    return hr_test_run_on_ranks("comm/tensor_sum", tests, sizeof tests / sizeof tests[0]);
}
