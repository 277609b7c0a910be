/* HR_TEST_RANKS: mailboxes. */
#include "support/ranks.h"

#include "base/clock.h"
#include "base/memory.h"
#include "comm/mailbox.h"

#include <string.h>
#include <unistd.h>

/* Bytes of message `number` from `from`: different lengths, 0 among them. */
static size_t length_of(int from, int number)
{
    return number % 7 == 0 ? 0 : (size_t)(1 + 997 * number + from) % 20000;
}

static hr_status send_numbered(hr_mailbox *box, int from, int to, int number)
{
    static unsigned char data[20000];
    const hr_mail_head head = {.kind = 3, .step = number, .frame = to};
    size_t bytes = length_of(from, number);

    memset(data, from + number, bytes);
    return hr_mailbox_send(box, to, &head, bytes == 0 ? NULL : data, bytes);
}

static bool is_as_sent(const hr_mail *mail, int to)
{
    const unsigned char *data = mail->data;

    if (mail->head.kind != 3 || mail->head.frame != to ||
        mail->bytes != length_of(mail->head.from, mail->head.step))
        return false;
    for (size_t i = 0; i < mail->bytes; i++)
        if (data[i] != (unsigned char)(mail->head.from + mail->head.step))
            return false;
    return (uintptr_t)mail->data % 64 == 0;
}

/* Everybody sends 40 messages to everybody else and takes them as they come:
 * those of one sender in order. */
static void messages_arrive_whole_and_in_order(hr_group *all)
{
    enum { N = 40 };
    int size = hr_group_size(all), rank = hr_group_rank(all), next[64] = {0};
    int n_wrong = 0;
    hr_mailbox *box = NULL;

    hr_test_ok(hr_mailbox_open(all, 20000, HR_TRAFFIC_HALO, &box));
    for (int i = 0; i < N; i++)
        for (int to = 0; to < size; to++)
            if (to != rank)
                hr_test_ok(send_numbered(box, rank, to, i));
    for (int n = 0; n < N * (size - 1); n++) {
        hr_mail *mail = NULL;

        hr_test_ok(hr_mailbox_wait(box, &(hr_mailbox_wait_args){.waiting_for = -1}));
        hr_test_ok(hr_mailbox_take(box, &mail));
        assert_non_null(mail);
        n_wrong += !is_as_sent(mail, rank) || mail->head.step != next[mail->head.from]++;
        hr_mail_free(mail);
    }
    hr_mailbox_close(box);
    hr_test_on_all(all, n_wrong == 0);
}

static void an_empty_mailbox_gives_nothing(hr_group *all)
{
    hr_mailbox *box = NULL;
    hr_mail *mail = (hr_mail *)(uintptr_t)64;

    hr_test_ok(hr_mailbox_open(all, 100, HR_TRAFFIC_HALO, &box));
    hr_test_ok(hr_mailbox_take(box, &mail));
    assert_null(mail);
    hr_mailbox_close(box);
}

static void two_mailboxes_do_not_mix(hr_group *all)
{
    int size = hr_group_size(all), rank = hr_group_rank(all);
    hr_mailbox *box[2] = {0};

    if (size == 1)
        return; /* nobody to write to */
    for (int i = 0; i < 2; i++)
        hr_test_ok(hr_mailbox_open(all, 16, HR_TRAFFIC_HALO, &box[i]));
    for (int i = 0; i < 2; i++) {
        const hr_mail_head head = {.kind = i};

        hr_test_ok(hr_mailbox_send(box[i], (rank + 1) % size, &head, "hello", 6));
    }
    for (int i = 1; i >= 0; i--) {
        hr_mail *mail = NULL;

        hr_test_ok(hr_mailbox_wait(
            box[i], &(hr_mailbox_wait_args){.waiting_for = (rank + size - 1) % size}));
        hr_test_ok(hr_mailbox_take(box[i], &mail));
        assert_int_equal(mail->head.kind, i);
        assert_string_equal(mail->data, "hello");
        hr_mail_free(mail);
        hr_mailbox_close(box[i]);
    }
}

/* A message waits for its receiver; the sender does not, even when there are more than
 * can be on their way. */
static void sending_does_not_wait(hr_group *all)
{
    enum { N = 50, BYTES = 100000 };
    int size = hr_group_size(all), rank = hr_group_rank(all), n_got = 0;
    const hr_mail_head head = {0};
    char *data;
    hr_mailbox *box = NULL;

    if (size == 1)
        return; /* nobody to write to */
    data = hr_alloc(BYTES);
    hr_test_ok(hr_mailbox_open(all, BYTES, HR_TRAFFIC_HALO, &box));
    for (int i = 0; i < N; i++)
        hr_test_ok(hr_mailbox_send(box, (rank + 1) % size, &head, data, BYTES));
    for (; n_got < N; n_got++) {
        hr_mail *mail = NULL;

        hr_test_ok(hr_mailbox_wait(box, &(hr_mailbox_wait_args){.waiting_for = -1}));
        hr_test_ok(hr_mailbox_take(box, &mail));
        hr_mail_free(mail);
    }
    hr_mailbox_close(box);
    hr_free(data);
}

/* How many are there to take; whether each sender's come in order. */
static int take_all(hr_mailbox *box, int *next, bool *is_in_order)
{
    hr_mail *mail;
    int n = 0;

    for (;; n++) {
        hr_test_ok(hr_mailbox_take(box, &mail));
        if (mail == NULL)
            return n;
        *is_in_order &= mail->head.step == next[mail->head.from]++;
        hr_mail_free(mail);
    }
}

/* More than can be on their way, from ranks that come at different times; then some more
 * by those that have been through already. */
static void settled_is_all_that_was_sent(hr_group *all)
{
    enum { N = 30, BYTES = 20000, N_ROUNDS = 3 };
    int size = hr_group_size(all), rank = hr_group_rank(all), next[64] = {0}, n_got = 0;
    static char data[BYTES];
    bool is_in_order = true, is_all = true;
    hr_mailbox *box = NULL;

    hr_test_ok(hr_mailbox_open(all, BYTES, HR_TRAFFIC_HALO, &box));
    for (int k = 0; k < N_ROUNDS; k++) {
        for (int i = 0; i < N; i++)
            for (int to = 0; to < size; to++)
                if (to != rank)
                    hr_test_ok(hr_mailbox_send(
                        box, to, &(hr_mail_head){.step = k * N + i}, data, BYTES));
        usleep(3000 * (unsigned)((rank + k) % size));
        hr_test_ok(hr_mailbox_settle(box));
        n_got += take_all(box, next, &is_in_order);
        is_all &= n_got >= (k + 1) * N * (size - 1);
    }
    hr_mailbox_close(box);
    hr_test_on_all(all, is_all && is_in_order && n_got == N_ROUNDS * N * (size - 1));
}

/* What settling has taken in belongs to the mailbox. */
static void settled_messages_need_not_be_taken(hr_group *all)
{
    int size = hr_group_size(all), rank = hr_group_rank(all);
    hr_mailbox *box = NULL;

    hr_test_ok(hr_mailbox_open(all, 100, HR_TRAFFIC_HALO, &box));
    for (int i = 0; i < 20 && size > 1; i++)
        hr_test_ok(hr_mailbox_send(box, (rank + 1) % size, &(hr_mail_head){0}, "x", 1));
    hr_test_ok(hr_mailbox_settle(box));
    hr_mailbox_close(box);
}

static bool is_enough(void *user)
{
    return ++*(int *)user == 5;
}

static void a_wait_ends_when_something_else_is_enough(hr_group *all)
{
    int n_asked = 0;
    const hr_mailbox_wait_args args = {
        .waiting_for = 0, .is_enough = is_enough, .user = &n_asked};
    hr_mailbox *box = NULL;

    hr_test_ok(hr_mailbox_open(all, 100, HR_TRAFFIC_HALO, &box));
    if (hr_group_size(all) > 1)
        hr_test_ok(hr_mailbox_wait(box, &args));
    assert_int_equal(n_asked, hr_group_size(all) > 1 ? 5 : 0);
    hr_mailbox_close(box);
}

/* A message that nobody takes is dropped by the recovery; the next mailbox is clean. */
static void a_failure_while_messages_are_on_their_way(hr_group *all)
{
    enum { BYTES = 200000 };
    int size = hr_group_size(all), rank = hr_group_rank(all);
    const hr_mail_head head = {.kind = 1};
    char *data;
    hr_mailbox *box = NULL;
    hr_mail *mail = NULL;
    hr_status status = HR_ERR_CANCELLED;

    if (size == 1)
        return; /* nobody to write to */
    data = hr_alloc(BYTES);
    hr_test_ok(hr_mailbox_open(all, BYTES, HR_TRAFFIC_HALO, &box));
    for (int i = 0; i < 12; i++)
        hr_test_ok(hr_mailbox_send(box, (rank + 1) % size, &head, data, BYTES));
    hr_free(data);
    if (rank == size - 1)
        hr_world_give_up(hr_group_world(all), HR_ERR_CANCELLED);
    else
        while (status = hr_mailbox_wait(box, &(hr_mailbox_wait_args){.waiting_for = -1}),
               status == HR_OK) {
            if (hr_mailbox_take(box, &mail) == HR_OK)
                hr_mail_free(mail);
        }
    assert_int_equal(status, HR_ERR_CANCELLED);
    hr_mailbox_close(box);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_CANCELLED);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    messages_arrive_whole_and_in_order(all);
}

/* Some ranks have opened more than others when all recover: those had heard of a failure.
 */
static void mailboxes_match_after_a_recovery(hr_group *all)
{
    hr_mailbox *box = NULL;

    hr_test_ok(hr_group_agree(all, HR_OK));
    if (hr_group_rank(all) == 0) {
        hr_test_ok(hr_mailbox_open(all, 10, HR_TRAFFIC_HALO, &box));
        hr_mailbox_close(box);
    }
    hr_test_ok(hr_group_agree(all, HR_OK));
    assert_int_equal(hr_group_agree(all, HR_ERR_CANCELLED), HR_ERR_CANCELLED);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    messages_arrive_whole_and_in_order(all);
}

static void bytes_and_waiting_are_counted(hr_group *all)
{
    int size = hr_group_size(all), rank = hr_group_rank(all);
    const hr_mail_head head = {0};
    hr_world *world = hr_group_world(all);
    hr_traffic_stats stats;
    hr_mailbox *box = NULL;
    hr_mail *mail = NULL;
    double start;

    if (size == 1)
        return; /* nobody to write to */
    hr_test_ok(hr_mailbox_open(all, 1000, HR_TRAFFIC_ROWS, &box));
    hr_world_reset_traffic(world);
    for (start = hr_clock_seconds(); rank == 0 && hr_clock_seconds() < start + 0.1;)
        hr_test_ok(hr_world_progress(world));
    hr_test_ok(hr_mailbox_send(box, (rank + 1) % size, &head, "abcd", 4));
    hr_test_ok(hr_mailbox_wait(box, &(hr_mailbox_wait_args){.waiting_for = -1}));
    hr_test_ok(hr_mailbox_take(box, &mail));
    hr_mail_free(mail);
    stats = hr_world_traffic(world);
    assert_int_equal(stats.messages[HR_TRAFFIC_ROWS], 1);
    assert_int_equal(stats.bytes[HR_TRAFFIC_ROWS], 68);
    assert_int_equal(stats.bytes_between_hosts[HR_TRAFFIC_ROWS], 0);
    assert_int_equal(stats.bytes[HR_TRAFFIC_HALO], 0);
    if (rank == 1)
        assert_true(stats.wait_seconds[HR_TRAFFIC_ROWS] > 0.02);
    hr_mailbox_close(box);
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(messages_arrive_whole_and_in_order),
        HR_RANK_TEST(an_empty_mailbox_gives_nothing),
        HR_RANK_TEST(two_mailboxes_do_not_mix),
        HR_RANK_TEST(sending_does_not_wait),
        HR_RANK_TEST(settled_is_all_that_was_sent),
        HR_RANK_TEST(settled_messages_need_not_be_taken),
        HR_RANK_TEST(a_wait_ends_when_something_else_is_enough),
        HR_RANK_TEST(a_failure_while_messages_are_on_their_way),
        HR_RANK_TEST(mailboxes_match_after_a_recovery),
        HR_RANK_TEST(bytes_and_waiting_are_counted),
    };

    return hr_test_run_on_ranks("comm/mailbox", tests, sizeof tests / sizeof tests[0]);
}
