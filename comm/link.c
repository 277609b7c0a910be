#include "comm/link.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/wire.h"
#include "compute/ops.h"

enum { N_BUFFERS = 2 };

struct hr_link {
    hr_group *group;
    bool is_sender;
    size_t max_bytes;
    hr_wire_args args;
    void *buffer[N_BUFFERS]; /* host memory; NULL in a pretended world */
    hr_wire wire[N_BUFFERS];
    unsigned n_done; /* messages sent or received */
};

static hr_status post_receive(hr_link *link, int slot)
{
    link->args.data = link->buffer[slot];
    link->args.bytes = link->max_bytes;
    return hr_wire_receive(link->group, &link->args, &link->wire[slot]);
}

static hr_status prepare(hr_link *link)
{
    for (int i = 0; i < N_BUFFERS; i++) {
        link->buffer[i] = hr_alloc_aligned(link->max_bytes, 64);
        if (link->buffer[i] == NULL)
            return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for a link",
                           link->max_bytes);
        if (!link->is_sender)
            HR_TRY(post_receive(link, i));
    }
    return HR_OK;
}

hr_status hr_link_open(hr_group *group, int from, int to, size_t max_bytes, hr_link **out)
{
    void *memory = NULL;
    hr_link *link;
    hr_status status = HR_OK;
    int peer = group->rank == from ? to : from;

    HR_ASSERT(from != to && (group->rank == from || group->rank == to));
    HR_TRY(hr_group_check(group));
    HR_TRY(hr_alloc_or_fail(sizeof *link, "a link", &memory));
    link = memory;
    *link = (hr_link){.group = group,
                      .is_sender = group->rank == from,
                      .max_bytes = max_bytes,
                      .args = {.peer = peer, .traffic = HR_TRAFFIC_STAGE}};
    link->args.lane =
        HR_LANE_LINK + group->n_links[peer]++ % (HR_LANE_COUNT - HR_LANE_LINK);
    if (!group->world->is_pretended)
        status = prepare(link);
    if (status == HR_OK)
        *out = link;
    else
        hr_link_close(link);
    return status;
}

void hr_link_close(hr_link *link)
{
    if (link == NULL)
        return;
    for (int i = 0; i < N_BUFFERS; i++)
        hr_wire_abandon(link->group->world, &link->wire[i], 1, link->buffer[i]);
    hr_free(link);
}

static hr_status send(hr_link *link, unsigned slot, size_t bytes)
{
    link->args.data = link->buffer[slot];
    link->args.bytes = bytes;
    HR_TRY(hr_wire_send(link->group, &link->args, &link->wire[slot]));
    link->n_done++;
    return HR_OK;
}

hr_status hr_link_send(hr_link *link, hr_stream *stream, const hr_tensor *x)
{
    hr_world *world = link->group->world;
    unsigned slot = link->n_done % N_BUFFERS;

    HR_ASSERT(link->is_sender && hr_tensor_bytes(x) <= link->max_bytes &&
              hr_tensor_bytes(x) > sizeof(uint8_t)); /* else it would be a note */
    HR_TRY(hr_wire_wait(world, &link->wire[slot], 1, link->args.traffic));
    if (!world->is_pretended) {
        HR_TRY(hr_copy_to_host(stream, link->buffer[slot], x));
        HR_TRY(hr_stream_sync(stream));
    }
    return send(link, slot, hr_tensor_bytes(x));
}

hr_status hr_link_send_note(hr_link *link, uint8_t note)
{
    unsigned slot = link->n_done % N_BUFFERS;

    HR_ASSERT(link->is_sender && note != 0);
    HR_TRY(hr_wire_wait(link->group->world, &link->wire[slot], 1, link->args.traffic));
    if (link->buffer[slot] != NULL)
        *(uint8_t *)link->buffer[slot] = note;
    return send(link, slot, sizeof note);
}

hr_status hr_link_receive(hr_link *link, hr_stream *stream, const hr_tensor *x)
{
    hr_world *world = link->group->world;
    unsigned slot = link->n_done % N_BUFFERS;
    const hr_fill_args zeros = {.out = *x};

    HR_ASSERT(!link->is_sender && hr_tensor_bytes(x) <= link->max_bytes);
    HR_TRY(hr_group_check(link->group));
    if (world->is_pretended)
        return hr_op_fill(stream, &zeros);
    HR_TRY(hr_wire_wait(world, &link->wire[slot], 1, link->args.traffic));
    if (link->wire[slot].bytes != hr_tensor_bytes(x))
        return hr_fail(HR_ERR_INTERNAL,
                       "a link brought %zu bytes where %zu were expected",
                       link->wire[slot].bytes, hr_tensor_bytes(x));
    HR_TRY(hr_copy_to_device(stream, x, link->buffer[slot]));
    HR_TRY(hr_stream_sync(stream)); /* the buffer is received into again */
    HR_TRY(post_receive(link, (int)slot));
    link->n_done++;
    return HR_OK;
}

hr_status hr_link_wait(hr_link *link, uint8_t *note)
{
    hr_world *world = link->group->world;
    unsigned slot = link->n_done % N_BUFFERS;

    HR_ASSERT(!link->is_sender);
    HR_TRY(hr_group_check(link->group));
    *note = 0;
    if (world->is_pretended)
        return HR_OK;
    HR_TRY(hr_wire_wait(world, &link->wire[slot], 1, link->args.traffic));
    if (link->wire[slot].bytes != sizeof *note)
        return HR_OK;
    *note = *(const uint8_t *)link->buffer[slot];
    HR_TRY(post_receive(link, (int)slot));
    link->n_done++;
    return HR_OK;
}
