#include "comm/wire.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

static void count_sent(hr_world *world, int peer, const hr_wire_args *args)
{
    hr_traffic_stats *traffic = &world->traffic;

    traffic->bytes[args->traffic] += args->bytes;
    traffic->messages[args->traffic]++;
    if (world->info[peer].host_index != world->info[world->rank].host_index)
        traffic->bytes_between_hosts[args->traffic] += args->bytes;
}

hr_status hr_wire_send(hr_group *group, const hr_wire_args *args, hr_wire *out)
{
    int peer = hr_group_world_rank(group, args->peer);

    HR_TRY(hr_group_check(group));
    HR_ASSERT(args->peer != group->rank);
    *out = (hr_wire){.peer = peer, .is_send = true, .bytes = args->bytes};
    count_sent(group->world, peer, args);
    return HR_OK;
}

hr_status hr_wire_receive(hr_group *group, const hr_wire_args *args, hr_wire *out)
{
    HR_TRY(hr_group_check(group));
    HR_ASSERT(args->peer != group->rank);
    *out =
        (hr_wire){.peer = hr_group_world_rank(group, args->peer), .bytes = args->bytes};
    if (group->world->is_pretended && args->bytes > 0)
        memset(args->data, 0, args->bytes);
    return HR_OK;
}

hr_status hr_wire_test(hr_world *world, hr_wire *wire, bool *is_done)
{
    (void)world;
    *is_done = wire->request == NULL;
    return HR_OK;
}

hr_status hr_wire_wait(hr_world *world, hr_wire *wires, size_t n, hr_traffic traffic)
{
    (void)traffic;
    for (size_t i = 0; i < n; i++) {
        bool is_done;

        HR_TRY(hr_wire_test(world, &wires[i], &is_done));
        HR_ASSERT(is_done);
    }
    return HR_OK;
}

void hr_wire_abandon(hr_world *world, hr_wire *wires, size_t n, void *block)
{
    (void)world;
    for (size_t i = 0; i < n; i++)
        wires[i].request = NULL;
    hr_free(block);
}
