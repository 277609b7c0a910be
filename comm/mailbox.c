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

struct hr_mailbox {
    hr_group *group;
    hr_wire_args args;
    size_t max_bytes;
    char *packet[N_POSTED]; /* NULL where nobody else is */
    hr_wire posted[N_POSTED];
    unsigned next; /* of those posted, to be taken */
    letter *first_sent, *last_sent;
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

hr_status hr_mailbox_open(hr_group *group, size_t max_bytes, hr_traffic traffic,
                          hr_mailbox **out)
{
    const int n_lanes = HR_LANE_LINK - HR_LANE_MAILBOX;
    void *memory = NULL;
    hr_mailbox *box;
    hr_status status = HR_OK;

    HR_TRY(hr_group_check(group));
    HR_TRY(hr_alloc_or_fail(sizeof *box, "a mailbox", &memory));
    box = memory;
    box->group = group;
    box->max_bytes = max_bytes;
    box->args.traffic = traffic;
    box->args.lane = HR_LANE_MAILBOX + group->n_mailboxes++ % n_lanes;
    if (group->size > 1 && !group->world->is_pretended)
        status = prepare(box);
    if (status == HR_OK)
        *out = box;
    else
        hr_mailbox_close(box);
    return status;
}

void hr_mailbox_close(hr_mailbox *box)
{
    if (box == NULL)
        return;
    while (box->first_sent != NULL) {
        letter *one = remove_first(box);

        hr_wire_abandon(box->group->world, &one->wire, 1, one->packet);
        hr_free(one);
    }
    for (unsigned i = 0; i < N_POSTED; i++)
        hr_wire_abandon(box->group->world, &box->posted[i], 1, box->packet[i]);
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

hr_status hr_mailbox_take(hr_mailbox *box, hr_mail **out)
{
    hr_mail *mail = NULL;
    hr_status status;
    bool has_arrived;
    const char *packet = box->packet[box->next];

    HR_TRY(hr_group_check(box->group));
    HR_TRY(look(box, &has_arrived));
    if (!has_arrived) {
        *out = NULL;
        return HR_OK;
    }
    HR_TRY(create_mail(packet, box->posted[box->next].bytes - HEAD_BYTES, &mail));
    HR_TRY_GOTO(post(box, box->next), fail);
    box->next = (box->next + 1) % N_POSTED;
    *out = mail;
    return HR_OK;
fail:
    hr_mail_free(mail);
    return status;
}

void hr_mail_free(hr_mail *mail)
{
    hr_free(mail);
}

hr_status hr_mailbox_wait(hr_mailbox *box, int waiting_for)
{
    hr_world *world = box->group->world;
    hr_wait wait;
    hr_status status;
    bool has_arrived;

    HR_TRY(hr_group_check(box->group));
    if (box->packet[0] == NULL)
        return hr_fail(HR_ERR_INTERNAL, "nobody is there to send what is waited for");
    wait = hr_wait_begin(world, box->args.traffic);
    wait.peer = hr_group_world_rank(box->group, waiting_for);
    status = look(box, &has_arrived);
    while (status == HR_OK && !has_arrived) {
        status = hr_wait_pause(&wait);
        if (status == HR_OK)
            status = free_done(box);
        if (status == HR_OK)
            status = look(box, &has_arrived);
    }
    hr_wait_end(&wait);
    return status;
}
