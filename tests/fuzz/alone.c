/* In place of comm/, for readers that a group of ranks may call too: a target is none, so
 * nearly nothing of this is ever called. */
#include "base/assert.h"
#include "comm/group.h"
#include "comm/tensor_sum.h"

static _Noreturn void refuse(void)
{
    hr_assert_failed("a target is alone", __FILE__, __LINE__);
}

int hr_group_rank(const hr_group *group)
{
    (void)group;
    refuse();
}

int hr_group_size(const hr_group *group)
{
    (void)group;
    refuse();
}

hr_world *hr_group_world(const hr_group *group)
{
    (void)group;
    refuse();
}

int hr_group_world_rank(const hr_group *group, int rank)
{
    (void)group;
    (void)rank;
    refuse();
}

hr_status hr_group_broadcast(hr_group *group, int root, void *data, size_t bytes)
{
    (void)group;
    (void)root;
    (void)data;
    (void)bytes;
    refuse();
}

hr_status hr_group_all_gather(hr_group *group, const void *mine, size_t bytes, void *all)
{
    (void)group;
    (void)mine;
    (void)bytes;
    (void)all;
    refuse();
}

void hr_world_give_up(hr_world *world, hr_status status)
{
    (void)world;
    (void)status;
    refuse();
}

hr_status hr_world_progress(hr_world *world)
{
    (void)world;
    refuse();
}

const hr_rank_info *hr_world_rank_info(const hr_world *world, int rank)
{
    (void)world;
    (void)rank;
    refuse();
}

hr_status hr_tensor_sum(hr_group *group, hr_stream *stream, hr_arena *arena,
                        const hr_tensor *x)
{
    (void)stream;
    (void)arena;
    (void)x;
    if (group == NULL)
        return HR_OK; /* what it does alone */
    refuse();
}

hr_status hr_group_exchange(hr_group *group, const hr_exchange *list, size_t n)
{
    (void)group;
    (void)list;
    (void)n;
    refuse();
}
