#include "io/checkpoint_agree.h"

#include "base/log.h"
#include "base/memory.h"

#include <string.h>

/* Others may wait for this rank: they need not until the deadline. */
static hr_status give_up(hr_group *group, hr_status status)
{
    if (status != HR_OK)
        hr_world_give_up(hr_group_world(group), status);
    return status;
}

/* `first` of the group has failed by itself: its line is told by rank 0. */
static hr_status tell(hr_group *group, int first, hr_status worst)
{
    char line[HR_LOG_LINE_BYTES] = "";
    hr_status status;

    if (hr_group_rank(group) == first)
        hr_log_last_error(line);
    status = hr_group_broadcast(group, first, line, sizeof line);
    if (status != HR_OK)
        return status;
    if (first == 0)
        return HR_OK;
    hr_log_forget_error(); /* or it is told again when the ranks end */
    if (hr_group_rank(group) == 0) {
        const int rank = hr_group_world_rank(group, first);

        hr_fail(worst, "rank %d (host %s): %s", rank,
                hr_world_rank_info(hr_group_world(group), rank)->host, line);
    }
    return HR_OK;
}

/* all: [size]. Fails when the ranks cannot talk. */
static hr_status gather(hr_group *group, hr_status mine, hr_status *all, hr_status *worst)
{
    int first = -1;

    HR_TRY(hr_group_all_gather(group, &mine, sizeof mine, all));
    *worst = HR_OK;
    for (int i = 0; i < hr_group_size(group); i++) {
        if (all[i] > *worst)
            *worst = all[i];
        if (all[i] != HR_OK && first < 0)
            first = i;
    }
    return first < 0 ? HR_OK : tell(group, first, *worst);
}

hr_status hr_checkpoint_agree(hr_group *group, hr_status mine)
{
    hr_status status, worst = HR_OK;
    void *memory = NULL;

    if (group == NULL || hr_group_size(group) == 1)
        return mine;
    HR_TRY(hr_world_progress(hr_group_world(group))); /* told by who gave up */
    status = hr_alloc_or_fail((size_t)hr_group_size(group) * sizeof mine,
                              "the ranks' agreement", &memory);
    if (status == HR_OK)
        status = gather(group, mine, memory, &worst);
    hr_free(memory);
    return status != HR_OK ? give_up(group, status) : worst;
}

hr_status hr_checkpoint_share(hr_group *group, void *data, size_t bytes)
{
    if (group == NULL)
        return HR_OK;
    return give_up(group, hr_group_broadcast(group, 0, data, bytes));
}

hr_status hr_checkpoint_gather(hr_group *group, const void *mine, size_t bytes, void *all)
{
    if (group != NULL)
        return give_up(group, hr_group_all_gather(group, mine, bytes, all));
    memcpy(all, mine, bytes);
    return HR_OK;
}
