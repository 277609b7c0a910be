/* HR_TEST_RANKS, HR_TEST_DEVICE: pipes from stage to stage. */
#include "support/ranks.h"

#include "base/clock.h"
#include "base/memory.h"
#include "comm/link.h"
#include "support/device.h"

#include <string.h>

enum { N = 30000, N_MESSAGES = 9 };

/* Element i of the tensor after `hops` ranks have added 1 to each. */
static float value_of(int message, int hops, int i)
{
    return (float)(1000 * message + hops + i % 500);
}

static hr_tensor upload(const hr_test_device *on, int message, int hops, int n)
{
    float *values = hr_alloc((size_t)n * sizeof *values);
    hr_tensor x;

    for (int i = 0; i < n; i++)
        values[i] = value_of(message, hops, i);
    x = hr_test_upload(on->stream, HR_F32, HR_DIMS(n), values);
    hr_free(values);
    return x;
}

static bool holds(const hr_test_device *on, const hr_tensor *x, int message, int hops)
{
    float *values = hr_test_download(on->stream, x);
    int n = (int)hr_tensor_count(x), n_wrong = 0;

    for (int i = 0; i < n; i++)
        n_wrong += values[i] != value_of(message, hops, i);
    hr_free(values);
    return n_wrong == 0;
}

/* The tensors go from rank 0 through all others; some are shorter than the link allows.
 */
static void tensors_pass_through_all_stages(hr_group *all)
{
    int rank = hr_group_rank(all), last = hr_group_size(all) - 1, n_wrong = 0;
    hr_test_device on = hr_test_device_start(1);
    hr_link *in = NULL, *out = NULL;

    for (int i = 0; i < last; i++) {
        if (rank == i)
            hr_test_ok(hr_link_open(all, i, i + 1, N * sizeof(float), &out));
        if (rank == i + 1)
            hr_test_ok(hr_link_open(all, i, i + 1, N * sizeof(float), &in));
    }
    for (int k = 0; k < N_MESSAGES && last > 0; k++) {
        int n = k % 3 == 2 ? N / 4 : N;
        hr_tensor x = upload(&on, rank == 0 ? k : -1, 0, n);

        if (in != NULL) {
            hr_test_ok(hr_link_receive(in, on.stream, &x));
            n_wrong += !holds(&on, &x, k, rank - 1);
            hr_tensor_free(&x);
            x = upload(&on, k, rank, n);
        }
        if (out != NULL)
            hr_test_ok(hr_link_send(out, on.stream, &x));
        hr_tensor_free(&x);
    }
    hr_link_close(in);
    hr_link_close(out);
    hr_test_device_stop(&on);
    hr_test_on_all(all, n_wrong == 0);
}

/* Two tensors are on their way before a send waits. */
static void a_link_buffers_two(hr_group *all)
{
    int rank = hr_group_rank(all);
    hr_test_device on = hr_test_device_start(1);
    hr_tensor x = upload(&on, 1, 0, N);
    hr_link *link = NULL;
    double seconds = 0;
    char token = 0;

    if (hr_group_size(all) >= 2 && rank < 2) {
        const hr_exchange token_to_1 = {1 - rank, rank == 0, &token, 1};

        hr_test_ok(hr_link_open(all, 0, 1, N * sizeof(float), &link));
        if (rank == 0) {
            seconds = hr_clock_seconds();
            hr_test_ok(hr_link_send(link, on.stream, &x));
            hr_test_ok(hr_link_send(link, on.stream, &x));
            seconds = hr_clock_seconds() - seconds;
        }
        /* Rank 1 takes nothing before it knows that both were sent. */
        hr_test_ok(hr_group_exchange(all, &token_to_1, 1));
        for (int i = 0; i < 2 && rank == 1; i++)
            hr_test_ok(hr_link_receive(link, on.stream, &x));
    }
    hr_link_close(link);
    hr_tensor_free(&x);
    hr_test_device_stop(&on);
    hr_test_on_all(all, seconds < 5);
}

/* Also where more notes come in a row than the link buffers. */
static void notes_come_in_the_order_of_tensors(hr_group *all)
{
    static const uint8_t order[] = {0, 1, 0, 0, 7, 255, 2, 3, 0}; /* 0: a tensor */
    int rank = hr_group_rank(all), n_wrong = 0;
    hr_test_device on = hr_test_device_start(1);
    hr_link *link = NULL;

    if (hr_group_size(all) >= 2 && rank < 2)
        hr_test_ok(hr_link_open(all, 0, 1, N * sizeof(float), &link));
    for (size_t k = 0; k < sizeof order && link != NULL; k++) {
        hr_tensor x = upload(&on, rank == 0 ? (int)k : -1, 0, 1 + (int)k);
        uint8_t note;

        if (rank == 1) {
            hr_test_ok(hr_link_wait(link, &note));
            n_wrong += note != order[k];
        }
        if (rank == 1 && order[k] == 0) {
            hr_test_ok(hr_link_receive(link, on.stream, &x));
            n_wrong += !holds(&on, &x, (int)k, 0);
        }
        if (rank == 0)
            hr_test_ok(order[k] == 0 ? hr_link_send(link, on.stream, &x)
                                     : hr_link_send_note(link, order[k]));
        hr_tensor_free(&x);
    }
    hr_link_close(link);
    hr_test_device_stop(&on);
    hr_test_on_all(all, n_wrong == 0);
}

/* Several links between the same two ranks do not mix. */
static void links_of_a_pair_do_not_mix(hr_group *all)
{
    int rank = hr_group_rank(all);
    hr_test_device on = hr_test_device_start(1);
    hr_link *link[2] = {0};
    bool is_right = true;

    for (int i = 0; i < 2 && rank < 2 && hr_group_size(all) > 1; i++)
        hr_test_ok(hr_link_open(all, i, 1 - i, N * sizeof(float), &link[i]));
    for (int i = 0; i < 2 && link[0] != NULL; i++) {
        hr_tensor x = upload(&on, rank == i ? i : -1, 0, N);

        if (rank == i)
            hr_test_ok(hr_link_send(link[i], on.stream, &x));
        else
            hr_test_ok(hr_link_receive(link[i], on.stream, &x));
        is_right = is_right && holds(&on, &x, i, 0);
        hr_tensor_free(&x);
    }
    hr_link_close(link[0]);
    hr_link_close(link[1]);
    hr_test_device_stop(&on);
    hr_test_on_all(all, is_right);
}

/* A sender that waits for a receiver that has failed. */
static void a_failure_ends_a_send(hr_group *all)
{
    int rank = hr_group_rank(all);
    hr_test_device on = hr_test_device_start(1);
    hr_tensor x = upload(&on, 0, 0, N);
    hr_link *link = NULL;
    hr_status status = HR_OK;

    if (hr_group_size(all) > 1 && rank < 2)
        hr_test_ok(hr_link_open(all, 0, 1, N * sizeof(float), &link));
    if (rank == 1) {
        status = HR_ERR_IO;
        hr_world_give_up(hr_group_world(all), status);
    }
    if (rank == 0 && link != NULL) {
        while (status == HR_OK)
            status = hr_link_send(link, on.stream, &x);
        assert_int_equal(status, HR_ERR_IO);
    }
    hr_link_close(link);
    hr_tensor_free(&x);
    hr_test_device_stop(&on);
    status = hr_group_agree(all, status);
    assert_int_equal(status, hr_group_size(all) > 1 ? HR_ERR_IO : HR_OK);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

static void a_pretended_link_counts_and_gives_zeros(hr_group *all)
{
    hr_test_device on = hr_test_device_start(1);
    hr_tensor x = upload(&on, 1, 0, N);
    float *values;
    hr_world *world = NULL;
    hr_link *in = NULL, *out = NULL;

    (void)all;
    hr_test_ok(hr_world_open_pretended(1, 3, 1, &world));
    hr_test_ok(hr_link_open(hr_world_group(world), 0, 1, N * sizeof(float), &in));
    hr_test_ok(hr_link_open(hr_world_group(world), 1, 2, N * sizeof(float), &out));
    hr_test_ok(hr_link_send(out, on.stream, &x));
    hr_test_ok(hr_link_receive(in, on.stream, &x));
    assert_int_equal(hr_world_traffic(world).bytes[HR_TRAFFIC_STAGE], N * sizeof(float));
    assert_int_equal(hr_world_traffic(world).bytes_between_hosts[HR_TRAFFIC_STAGE],
                     N * sizeof(float));
    values = hr_test_download(on.stream, &x);
    assert_true(values[0] == 0 && values[N - 1] == 0);
    hr_free(values);
    hr_link_close(in);
    hr_link_close(out);
    hr_world_close(world);
    hr_tensor_free(&x);
    hr_test_device_stop(&on);
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(tensors_pass_through_all_stages),
        HR_RANK_TEST(a_link_buffers_two),
        HR_RANK_TEST(notes_come_in_the_order_of_tensors),
        HR_RANK_TEST(links_of_a_pair_do_not_mix),
        HR_RANK_TEST(a_failure_ends_a_send),
        HR_RANK_TEST(a_pretended_link_counts_and_gives_zeros),
    };

    return hr_test_run_on_ranks("comm/link", tests, sizeof tests / sizeof tests[0]);
}
