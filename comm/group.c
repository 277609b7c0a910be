#include "comm/group.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/control.h"
#include "comm/wire.h"

#include <string.h>

int hr_group_rank(const hr_group *group)
{
    return group->rank;
}

int hr_group_size(const hr_group *group)
{
    return group->size;
}

hr_world *hr_group_world(const hr_group *group)
{
    return group->world;
}

int hr_group_world_rank(const hr_group *group, int rank)
{
    return rank < 0 ? -1 : group->members[rank];
}

hr_status hr_group_check(const hr_group *group)
{
    if (group->world->failure != HR_OK)
        return group->world->failure;
    if (group->epoch != group->world->epoch)
        return hr_fail(HR_ERR_INTERNAL, "a group from before the recovery is used");
    return HR_OK;
}

hr_status hr_group_stage(hr_group *group, size_t bytes, void **out)
{
    if (bytes > group->staging_bytes || group->staging == NULL) {
        hr_free(group->staging);
        group->staging_bytes = 0;
        group->staging = hr_alloc_aligned(bytes, 64);
        if (group->staging == NULL)
            return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for messages", bytes);
        group->staging_bytes = bytes;
    }
    *out = group->staging;
    return HR_OK;
}

void hr_group_abandon(hr_group *group, hr_wire *wires, size_t n)
{
    hr_wire_abandon(group->world, wires, n, group->staging);
    group->staging = NULL;
    group->staging_bytes = 0;
}

/* `group` as far as it is known; its members are filled in by the caller. */
static hr_status create(const hr_group *known, hr_group **out)
{
    hr_group *group = hr_alloc(sizeof *group);
    size_t n = (size_t)known->size;

    if (group != NULL) {
        *group = *known;
        group->members = hr_alloc(n * sizeof *group->members);
        group->n_links = hr_alloc(n * sizeof *group->n_links);
    }
    if (group == NULL || group->members == NULL || group->n_links == NULL) {
        hr_group_destroy(group);
        return hr_fail(HR_ERR_NOMEM, "out of memory: a group of %zu ranks", n);
    }
    *out = group;
    return HR_OK;
}

void hr_group_renew(hr_group *group)
{
    group->epoch = group->world->epoch;
    group->n_mailboxes = 0;
    memset(group->n_links, 0, (size_t)group->size * sizeof *group->n_links);
}

hr_status hr_group_create_all(hr_world *world, hr_group **out)
{
    const hr_group known = {.world = world,
                            .rank = world->rank,
                            .size = world->size,
                            .traffic = HR_TRAFFIC_OTHER,
                            .epoch = world->epoch};

    HR_TRY(create(&known, out));
    for (int i = 0; i < world->size; i++)
        (*out)->members[i] = i;
    return HR_OK;
}

void hr_group_destroy(hr_group *group)
{
    if (group == NULL)
        return;
    hr_free(group->members);
    hr_free(group->n_links);
    hr_free(group->staging);
    hr_free(group);
}

/* What each rank of the parent says in a split. */
typedef struct wish {
    int32_t color, key, world_rank, next_channel;
} wish;

/* Whether a comes before b; the ranks of the parent ascend, so equal keys stay in order.
 */
static bool is_before(const wish *a, const wish *b)
{
    return a->key < b->key || (a->key == b->key && a->world_rank < b->world_rank);
}

static hr_status create_real(hr_group *parent, const hr_group_split_args *args,
                             const wish *wishes, hr_group **out)
{
    const wish *mine = &wishes[parent->rank];
    hr_group known = {.world = parent->world,
                      .traffic = args->traffic,
                      .epoch = parent->epoch,
                      .channel = parent->world->next_channel - 1};

    for (int i = 0; i < parent->size; i++) {
        known.size += wishes[i].color == mine->color;
        known.rank += wishes[i].color == mine->color && is_before(&wishes[i], mine);
    }
    if (args->members != known.size || args->my_rank != known.rank)
        return hr_fail(HR_ERR_INTERNAL,
                       "rank %d is %d of %d in its group, but was said to be %d of %d",
                       parent->world->rank, known.rank, known.size, args->my_rank,
                       args->members);
    HR_TRY(create(&known, out));
    for (int i = 0; i < parent->size; i++) {
        int place = 0;

        if (wishes[i].color != mine->color)
            continue;
        for (int j = 0; j < parent->size; j++)
            place += wishes[j].color == mine->color && is_before(&wishes[j], &wishes[i]);
        (*out)->members[place] = wishes[i].world_rank;
    }
    return HR_OK;
}

static hr_status create_pretended(hr_group *parent, const hr_group_split_args *args,
                                  hr_group **out)
{
    const hr_group known = {.world = parent->world,
                            .rank = args->my_rank,
                            .size = args->members,
                            .traffic = args->traffic,
                            .epoch = parent->epoch};
    int stride = args->stride > 0 ? args->stride : 1;

    HR_ASSERT(args->members > 0 && args->my_rank >= 0 && args->my_rank < args->members);
    HR_TRY(create(&known, out));
    for (int i = 0; i < known.size; i++) {
        int member = parent->world->rank + (i - known.rank) * stride;

        HR_ASSERT(member >= 0 && member < parent->world->size);
        (*out)->members[i] = member;
    }
    return HR_OK;
}

hr_status hr_group_split(hr_group *parent, const hr_group_split_args *args,
                         hr_group **out)
{
    hr_world *world = parent->world;
    const wish mine = {args->color, args->key, world->rank, world->next_channel};
    hr_group *group = NULL;
    void *memory = NULL;
    wish *wishes;
    hr_status status;

    HR_TRY(hr_alloc_or_fail((size_t)parent->size * sizeof mine, "a split", &memory));
    wishes = memory;
    status = hr_group_all_gather(parent, &mine, sizeof mine, wishes);
    for (int i = 0; i < parent->size && status == HR_OK; i++)
        if (wishes[i].next_channel >= world->next_channel)
            world->next_channel = wishes[i].next_channel + 1;
    if (status == HR_OK && args->color >= 0)
        status = world->is_pretended ? create_pretended(parent, args, &group)
                                     : create_real(parent, args, wishes, &group);
    hr_free(wishes);
    if (status == HR_OK)
        *out = group;
    return status;
}

hr_status hr_group_agree(hr_group *group, hr_status mine)
{
    hr_world *world = group->world;

    HR_ASSERT(group == world->all);
    if (world->is_agreed) /* maybe by some at a later agreement of theirs */
        return world->failure;
    if (world->control != NULL)
        return hr_control_agree(world, mine, false);
    if (mine != HR_OK)
        hr_world_give_up(world, mine);
    return mine;
}
