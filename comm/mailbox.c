#include "comm/mailbox.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/wait.h"
#include "comm/wire.h"

#include <string.h>

enum {
    /* Receives from any rank that stand posted. The first to be posted is the first to be
     * matched, so taking them in this order keeps the order of each sender. */
    N_POSTED = 8,
    /* Of a packet: its head, and so many that the data behind are aligned. */
    HEAD_BYTES = 64
};

/* One on its way. */
typedef struct letter {
    struct letter *next;
    hr_wire wire;
    char *packet; /* head and data */
} letter;

/* One that has arrived, while the others are waited for. */
typedef struct kept {
    struct kept *next;
    hr_mail *mail;
} kept;

struct hr_mailbox {
    hr_group *group;
    hr_wire_args args;
    size_t max_bytes;
    char *packet[N_POSTED]; /* NULL where nobody else is */
    hr_wire posted[N_POSTED];
    unsigned next; /* of those posted, to be taken */
    letter *first_sent, *last_sent;
    kept *first_kept, **end_kept;
    int64_t *n_sent, *n_received; /* [size]: to and from each rank so far */
};

static void append(hr_mailbox *box, letter *one)
{
    if (box->first_sent == NULL)
        box->first_sent = one;
    else
        box->last_sent->next = one;
    box->last_sent = one;
}

static letter *remove_first(hr_mailbox *box)
{
    letter *one = box->first_sent;

    box->first_sent = one->next;
    return one;
}

static hr_status post(hr_mailbox *box, unsigned slot)
{
    hr_wire_args args = box->args;

    args.peer = -1;
    args.data = box->packet[slot];
    args.bytes = HEAD_BYTES + box->max_bytes;
    return hr_wire_receive(box->group, &args, &box->posted[slot]);
}

static hr_status prepare(hr_mailbox *box)
{
    for (unsigned i = 0; i < N_POSTED; i++) {
        box->packet[i] = hr_alloc_aligned(HEAD_BYTES + box->max_bytes, 64);
        if (box->packet[i] == NULL)
            return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for a mailbox",
                           HEAD_BYTES + box->max_bytes);
        HR_TRY(post(box, i));
    }
    return HR_OK;
}

static hr_status make_counts(hr_mailbox *box)
{
    size_t bytes = (size_t)box->group->size * sizeof *box->n_sent;

    HR_TRY(hr_alloc_or_fail(bytes, "the counts of messages", (void **)&box->n_sent));
    return hr_alloc_or_fail(bytes, "the counts of messages", (void **)&box->n_received);
}

hr_status hr_mailbox_open(hr_group *group, size_t max_bytes, hr_traffic traffic,
                          hr_mailbox **out)
{
    const int n_lanes = HR_LANE_LINK - HR_LANE_MAILBOX;
    void *memory = NULL;
    hr_mailbox *box;
    hr_status status;

    HR_TRY(hr_group_check(group));
    HR_TRY(hr_alloc_or_fail(sizeof *box, "a mailbox", &memory));
    box = memory;
    box->group = group;
    box->max_bytes = max_bytes;
    box->args.traffic = traffic;
    box->args.lane = HR_LANE_MAILBOX + group->n_mailboxes++ % n_lanes;
    box->end_kept = &box->first_kept;
    status = make_counts(box);
    if (status == HR_OK && group->size > 1 && !group->world->is_pretended)
        status = prepare(box);
    if (status == HR_OK)
        *out = box;
    else
        hr_mailbox_close(box);
    return status;
}

static hr_mail *remove_kept(hr_mailbox *box)
{
    kept *one = box->first_kept;
    hr_mail *mail = one->mail;

    box->first_kept = one->next;
    if (box->first_kept == NULL)
        box->end_kept = &box->first_kept;
    hr_free(one);
    return mail;
}

void hr_mailbox_close(hr_mailbox *box)
{
    if (box == NULL)
        return;
    while (box->first_kept != NULL)
        hr_mail_free(remove_kept(box));
    while (box->first_sent != NULL) {
        letter *one = remove_first(box);

        hr_wire_abandon(box->group->world, &one->wire, 1, one->packet);
        hr_free(one);
    }
    for (unsigned i = 0; i < N_POSTED; i++)
        hr_wire_abandon(box->group->world, &box->posted[i], 1, box->packet[i]);
    hr_free(box->n_sent);
    hr_free(box->n_received);
    hr_free(box);
}

/* An arrived one, with its data in one piece of memory. */
static hr_status create_mail(const char *packet, size_t bytes, hr_mail **out)
{
    const size_t at = (sizeof(hr_mail) + 63) / 64 * 64;
    hr_mail *mail = hr_alloc_aligned(at + bytes, 64);

    if (mail == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a message of %zu bytes", bytes);
    *mail = (hr_mail){.bytes = bytes, .data = (char *)mail + at};
    memcpy(&mail->head, packet, sizeof mail->head);
    memcpy(mail->data, packet + HEAD_BYTES, bytes);
    *out = mail;
    return HR_OK;
}

static hr_status free_done(hr_mailbox *box)
{
    while (box->first_sent != NULL) {
        letter *one = box->first_sent;
        bool is_done;

        HR_TRY(hr_wire_test(box->group->world, &one->wire, &is_done));
        if (!is_done)
            break;
        hr_free(one->packet);
        hr_free(remove_first(box));
    }
    return HR_OK;
}

static hr_status send_packet(hr_mailbox *box, int to, const hr_mail_head *head,
                             const void *data, size_t bytes)
{
    hr_wire_args args = box->args;
    letter *one = hr_alloc(sizeof *one);
    hr_status status = HR_OK;

    if (one != NULL)
        one->packet = hr_alloc_aligned(HEAD_BYTES + bytes, 64);
    if (one == NULL || one->packet == NULL)
        status = hr_fail(HR_ERR_NOMEM, "out of memory: a message of %zu bytes", bytes);
    if (status == HR_OK) {
        memcpy(one->packet, head, sizeof *head);
        if (bytes > 0)
            memcpy(one->packet + HEAD_BYTES, data, bytes);
        args.peer = to;
        args.data = one->packet;
        args.bytes = HEAD_BYTES + bytes;
        status = hr_wire_send(box->group, &args, &one->wire);
    }
    if (status == HR_OK) {
        append(box, one);
        box->n_sent[to]++;
    } else if (one != NULL) {
        hr_free(one->packet);
        hr_free(one);
    }
    return status;
}

hr_status hr_mailbox_send(hr_mailbox *box, int to, const hr_mail_head *head,
                          const void *data, size_t bytes)
{
    hr_mail_head mine = *head;

    HR_ASSERT(to >= 0 && to < box->group->size && to != box->group->rank);
    HR_ASSERT(bytes <= box->max_bytes);
    HR_TRY(hr_group_check(box->group));
    HR_TRY(free_done(box));
    mine.from = box->group->rank;
    return send_packet(box, to, &mine, data, bytes);
}

/* Whether the next of the posted receives is done. */
static hr_status look(hr_mailbox *box, bool *has_arrived)
{
    *has_arrived = false;
    if (box->packet[box->next] == NULL)
        return HR_OK;
    return hr_wire_test(box->group->world, &box->posted[box->next], has_arrived);
}

/* The next one from the wire; NULL when there is none. */
static hr_status take_arrived(hr_mailbox *box, hr_mail **out)
{
    hr_mail *mail = NULL;
    hr_status status;
    bool has_arrived;
    const char *packet = box->packet[box->next];

    *out = NULL;
    HR_TRY(look(box, &has_arrived));
    if (!has_arrived)
        return HR_OK;
    HR_TRY(create_mail(packet, box->posted[box->next].bytes - HEAD_BYTES, &mail));
    HR_TRY_GOTO(post(box, box->next), fail);
    box->next = (box->next + 1) % N_POSTED;
    box->n_received[mail->head.from]++;
    *out = mail;
    return HR_OK;
fail:
    hr_mail_free(mail);
    return status;
}

hr_status hr_mailbox_take(hr_mailbox *box, hr_mail **out)
{
    HR_TRY(hr_group_check(box->group));
    if (box->first_kept == NULL)
        return take_arrived(box, out);
    *out = remove_kept(box);
    return HR_OK;
}

void hr_mail_free(hr_mail *mail)
{
    hr_free(mail);
}

/* Takes all that has arrived off the wire, in its order. */
static hr_status keep_arrived(hr_mailbox *box)
{
    hr_mail *mail;

    for (;;) {
        kept *one;

        HR_TRY(take_arrived(box, &mail));
        if (mail == NULL)
            return HR_OK;
        one = hr_alloc(sizeof *one);
        if (one == NULL) {
            hr_mail_free(mail);
            return hr_fail(HR_ERR_NOMEM, "out of memory: a list of messages");
        }
        one->mail = mail;
        *box->end_kept = one;
        box->end_kept = &one->next;
    }
}

/* expected[r]: how many messages rank r had sent to this one. */
static hr_status exchange_counts(hr_mailbox *box, int64_t *expected)
{
    size_t size = (size_t)box->group->size, n = 0;
    void *memory;
    hr_exchange *list;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(2 * size * sizeof *list, "an exchange of counts", &memory));
    list = memory;
    for (int i = 1; i < box->group->size; i++) {
        int to = (box->group->rank + i) % box->group->size;
        int from = (box->group->rank + box->group->size - i) % box->group->size;

        list[n++] = (hr_exchange){
            .peer = from, .data = &expected[from], .bytes = sizeof *expected};
        list[n++] = (hr_exchange){.peer = to,
                                  .is_send = true,
                                  .data = &box->n_sent[to],
                                  .bytes = sizeof *expected};
    }
    status = hr_group_exchange(box->group, list, n);
    hr_free(list);
    return status;
}

/* The first rank of which something is still on its way, or -1. */
static int missing(const hr_mailbox *box, const int64_t *expected)
{
    for (int i = 0; i < box->group->size; i++)
        if (box->n_received[i] < expected[i])
            return i;
    return -1;
}

static hr_status await(hr_mailbox *box, const int64_t *expected)
{
    hr_wait wait = hr_wait_begin(box->group->world, box->args.traffic);
    hr_status status = keep_arrived(box);
    int from;

    while (status == HR_OK && (from = missing(box, expected)) >= 0) {
        wait.peer = hr_group_world_rank(box->group, from);
        status = hr_wait_pause(&wait);
        if (status == HR_OK)
            status = free_done(box);
        if (status == HR_OK)
            status = keep_arrived(box);
    }
    hr_wait_end(&wait);
    return status;
}

hr_status hr_mailbox_settle(hr_mailbox *box)
{
    void *memory;
    hr_status status;

    HR_TRY(hr_group_check(box->group));
    HR_TRY(hr_alloc_or_fail((size_t)box->group->size * sizeof(int64_t),
                            "the counts of messages", &memory));
    status = exchange_counts(box, memory);
    if (status == HR_OK)
        status = await(box, memory);
    hr_free(memory);
    return status;
}

/* Whether there is something to take, or enough has happened. */
static hr_status is_over(hr_mailbox *box, const hr_mailbox_wait_args *args, bool *out)
{
    *out = box->first_kept != NULL;
    if (!*out)
        HR_TRY(look(box, out));
    if (!*out && args->is_enough != NULL)
        *out = args->is_enough(args->user);
    return HR_OK;
}

hr_status hr_mailbox_wait(hr_mailbox *box, const hr_mailbox_wait_args *args)
{
    hr_world *world = box->group->world;
    hr_wait wait;
    hr_status status;
    bool is_done;

    HR_TRY(hr_group_check(box->group));
    if (box->packet[0] == NULL)
        return hr_fail(HR_ERR_INTERNAL, "nobody is there to send what is waited for");
    wait = hr_wait_begin(world, box->args.traffic);
    wait.peer = hr_group_world_rank(box->group, args->waiting_for);
    status = is_over(box, args, &is_done);
    while (status == HR_OK && !is_done) {
        status = hr_wait_pause(&wait);
        if (status == HR_OK)
            status = free_done(box);
        if (status == HR_OK)
            status = is_over(box, args, &is_done);
    }
    hr_wait_end(&wait);
    return status;
}
