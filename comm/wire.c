#include "comm/wire.h"

#include "base/assert.h"
#include "base/memory.h"
#include "comm/transport.h"
#include "comm/wait.h"

#include <string.h>

static void count_sent(hr_world *world, int peer, const hr_wire_args *args)
{
    hr_traffic_stats *traffic = &world->traffic;

    traffic->bytes[args->traffic] += args->bytes;
    traffic->messages[args->traffic]++;
    if (world->info[peer].host_index != world->info[world->rank].host_index)
        traffic->bytes_between_hosts[args->traffic] += args->bytes;
}

static hr_message message_of(const hr_group *group, const hr_wire_args *args, int peer)
{
    int n_channels = hr_transport_max_tag(group->world->transport) / HR_LANE_COUNT;

    return (hr_message){.plane = HR_PLANE_DATA,
                        .peer = peer,
                        .tag = group->channel % n_channels * HR_LANE_COUNT + args->lane,
                        .data = args->data,
                        .bytes = args->bytes};
}

static hr_status begin(hr_group *group, const hr_wire_args *args, bool is_send,
                       hr_wire *out)
{
    hr_transport *transport = group->world->transport;
    const hr_wire wire = {.peer = hr_group_world_rank(group, args->peer),
                          .is_send = is_send,
                          .bytes = args->bytes};
    hr_request *request = NULL;
    hr_message message;

    HR_TRY(hr_group_check(group));
    HR_ASSERT(args->peer != group->rank);
    if (!group->world->is_pretended) {
        message = message_of(group, args, wire.peer);
        HR_TRY(is_send ? hr_transport_send(transport, &message, &request)
                       : hr_transport_receive(transport, &message, &request));
    }
    *out = wire;
    out->request = request;
    return HR_OK;
}

hr_status hr_wire_send(hr_group *group, const hr_wire_args *args, hr_wire *out)
{
    HR_TRY(begin(group, args, true, out));
    count_sent(group->world, out->peer, args);
    return HR_OK;
}

hr_status hr_wire_receive(hr_group *group, const hr_wire_args *args, hr_wire *out)
{
    HR_TRY(begin(group, args, false, out));
    if (group->world->is_pretended && args->bytes > 0)
        memset(args->data, 0, args->bytes);
    return HR_OK;
}

hr_status hr_wire_test(hr_world *world, hr_wire *wire, bool *is_done)
{
    bool is_over = true;

    if (wire->request != NULL)
        HR_TRY(hr_request_test(wire->request, &is_over));
    if (world->failure != HR_OK)
        return world->failure;
    *is_done = is_over;
    if (wire->request == NULL || !is_over)
        return HR_OK;
    if (!wire->is_send) {
        wire->peer = hr_request_peer(wire->request);
        wire->bytes = hr_request_bytes(wire->request);
    }
    hr_request_free(wire->request);
    wire->request = NULL;
    return HR_OK;
}

/* The first that is not done, or n. */
static hr_status find_open(hr_world *world, hr_wire *wires, size_t n, size_t *first)
{
    *first = n;
    for (size_t i = n; i-- > 0;) {
        bool is_done;

        HR_TRY(hr_wire_test(world, &wires[i], &is_done));
        if (!is_done)
            *first = i;
    }
    return HR_OK;
}

hr_status hr_wire_wait(hr_world *world, hr_wire *wires, size_t n, hr_traffic traffic)
{
    hr_status status;
    hr_wait wait;
    size_t first;

    HR_TRY(find_open(world, wires, n, &first));
    if (first == n)
        return HR_OK;
    wait = hr_wait_begin(world, traffic);
    status = HR_OK;
    while (status == HR_OK && first < n) {
        wait.peer = wires[first].peer;
        status = hr_wait_pause(&wait);
        if (status == HR_OK)
            status = find_open(world, wires, n, &first);
    }
    hr_wait_end(&wait);
    return status;
}

/* A receive that has begun to arrive writes into memory that is about to be freed. */
static void end_receive(hr_world *world, hr_wire *wire)
{
    hr_wait wait = hr_wait_begin(world, HR_TRAFFIC_OTHER);
    bool is_done = false;

    wait.is_for_end = true;
    wait.peer = wire->peer;
    hr_request_cancel(wire->request);
    while (hr_request_test(wire->request, &is_done) == HR_OK && !is_done &&
           world->n_lost == 0 && hr_wait_pause(&wait) == HR_OK)
        continue;
    hr_request_free(wire->request);
    wire->request = NULL;
}

void hr_wire_abandon(hr_world *world, hr_wire *wires, size_t n, void *block)
{
    hr_request *first = NULL;

    for (size_t i = 0; i < n; i++) {
        if (wires[i].request != NULL && !wires[i].is_send)
            end_receive(world, &wires[i]);
        if (wires[i].request == NULL)
            continue;
        hr_request_kept(wires[i].request)->sibling = first;
        first = wires[i].request;
        wires[i].request = NULL;
    }
    if (first == NULL) {
        hr_free(block);
        return;
    }
    hr_request_kept(first)->next = world->orphans;
    hr_request_kept(first)->block = block;
    world->orphans = first;
    hr_wire_free_orphans(world, false);
}

/* A request that cannot be asked is over, too. */
static bool are_done(hr_request *first)
{
    for (hr_request *one = first; one != NULL; one = hr_request_kept(one)->sibling) {
        bool is_done;

        if (hr_request_test(one, &is_done) == HR_OK && !is_done)
            return false;
    }
    return true;
}

static void free_siblings(hr_request *first)
{
    while (first != NULL) {
        hr_request *next = hr_request_kept(first)->sibling;

        hr_request_free(first);
        first = next;
    }
}

void hr_wire_free_orphans(hr_world *world, bool all)
{
    hr_request **at = &world->orphans;

    while (*at != NULL) {
        hr_request *first = *at;
        hr_request_keep kept = *hr_request_kept(first);

        if (!all && !are_done(first)) {
            at = &hr_request_kept(first)->next;
            continue;
        }
        *at = kept.next;
        free_siblings(first);
        hr_free(kept.block);
    }
}
