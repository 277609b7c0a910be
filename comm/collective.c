#include "comm/wire.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"

#include <limits.h>
#include <string.h>

/* Sends go out from a copy: a failure may leave them on their way, when the caller has
 * freed its memory. */
static hr_status begin(hr_group *group, const hr_exchange *list, size_t n, hr_wire *wires)
{
    size_t bytes = 0, used = 0;
    void *copy = NULL;

    for (size_t i = 0; i < n; i++)
        if (list[i].is_send && list[i].peer != group->rank)
            HR_TRY(hr_size_add(bytes, list[i].bytes, &bytes));
    HR_TRY(hr_group_stage(group, bytes, &copy));
    for (size_t i = 0; i < n; i++) {
        hr_wire_args args = {.peer = list[i].peer,
                             .lane = HR_LANE_COLLECTIVE,
                             .traffic = group->traffic,
                             .data = list[i].data,
                             .bytes = list[i].bytes};

        if (args.bytes == 0 || args.peer == group->rank)
            continue;
        if (!list[i].is_send) {
            HR_TRY(hr_wire_receive(group, &args, &wires[i]));
            continue;
        }
        args.data = (char *)copy + used;
        used += args.bytes;
        memcpy(args.data, list[i].data, args.bytes);
        HR_TRY(hr_wire_send(group, &args, &wires[i]));
    }
    return HR_OK;
}

/* The k-th send to oneself goes to the k-th receive. */
static hr_status copy_own(hr_group *group, const hr_exchange *list, size_t n)
{
    size_t to = 0;

    for (size_t from = 0; from < n; from++) {
        if (!list[from].is_send || list[from].peer != group->rank)
            continue;
        while (to < n && (list[to].is_send || list[to].peer != group->rank))
            to++;
        if (to == n || list[to].bytes != list[from].bytes)
            return hr_fail(HR_ERR_INTERNAL, "a message to oneself has no receive");
        if (list[to].bytes > 0)
            memmove(list[to].data, list[from].data, list[to].bytes);
        to++;
    }
    return HR_OK;
}

static hr_status check_sizes(const hr_exchange *list, size_t n, const hr_wire *wires)
{
    for (size_t i = 0; i < n; i++)
        if (!list[i].is_send && wires[i].bytes != 0 && wires[i].bytes != list[i].bytes)
            return hr_fail(HR_ERR_INTERNAL,
                           "rank %d sent %zu bytes where %zu were expected",
                           wires[i].peer, wires[i].bytes, list[i].bytes);
    return HR_OK;
}

hr_status hr_group_exchange(hr_group *group, const hr_exchange *list, size_t n)
{
    void *memory = NULL;
    hr_wire *wires;
    hr_status status;

    HR_TRY(hr_group_check(group));
    HR_TRY(copy_own(group, list, n));
    if (group->size == 1)
        return HR_OK;
    HR_TRY(hr_alloc_or_fail(n * sizeof *wires, "an exchange", &memory));
    wires = memory;
    status = begin(group, list, n, wires);
    if (status == HR_OK)
        status = hr_wire_wait(group->world, wires, n, group->traffic);
    if (status == HR_OK)
        status = check_sizes(list, n, wires);
    if (status != HR_OK)
        hr_group_abandon(group, wires, n);
    hr_free(wires);
    return status;
}

hr_status hr_group_all_gather(hr_group *group, const void *mine, size_t bytes, void *all)
{
    size_t n = 0, n_peers = (size_t)group->size - 1;
    void *memory = NULL;
    hr_exchange *list;
    hr_status status;

    HR_TRY(hr_group_check(group));
    if (bytes > 0)
        memcpy((char *)all + (size_t)group->rank * bytes, mine, bytes);
    HR_TRY(hr_alloc_or_fail(2 * n_peers * sizeof *list, "a gathering", &memory));
    list = memory;
    /* Each begins with the rank after it, so that not all of them talk to one. */
    for (int i = 1; i < group->size; i++) {
        int to = (group->rank + i) % group->size;
        int from = (group->rank + group->size - i) % group->size;

        list[n++] = (hr_exchange){
            .peer = from, .data = (char *)all + (size_t)from * bytes, .bytes = bytes};
        list[n++] = (hr_exchange){.peer = to,
                                  .is_send = true,
                                  .data = (char *)all + (size_t)group->rank * bytes,
                                  .bytes = bytes};
    }
    status = hr_group_exchange(group, list, n);
    hr_free(list);
    return status;
}

/* A binomial tree: counted from the root, rank r gets it from r without its lowest bit,
 * and passes it on to r + 2^k for the k below that bit. */
hr_status hr_group_broadcast(hr_group *group, int root, void *data, size_t bytes)
{
    int size = group->size, mine = (group->rank + size - root) % size, bit = 1;
    hr_exchange list[sizeof(int) * CHAR_BIT]; /* one for each bit of a rank */
    size_t n = 0;

    HR_ASSERT(root >= 0 && root < size);
    HR_TRY(hr_group_check(group));
    while (bit < size && (mine & bit) == 0)
        bit *= 2;
    if (mine != 0) {
        const hr_exchange from = {
            .peer = (mine - bit + root) % size, .data = data, .bytes = bytes};

        HR_TRY(hr_group_exchange(group, &from, 1));
    }
    for (bit /= 2; bit > 0; bit /= 2)
        if (mine + bit < size)
            list[n++] = (hr_exchange){.peer = (mine + bit + root) % size,
                                      .is_send = true,
                                      .data = data,
                                      .bytes = bytes};
    return n > 0 ? hr_group_exchange(group, list, n) : HR_OK;
}
