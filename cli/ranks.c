#include "cli/ranks.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

hr_status hr_ranks_open(hr_ranks *out)
{
    hr_world *world;

    HR_TRY(hr_world_open(&world));
    *out = (hr_ranks){.world = world, .group = hr_world_group(world)};
    out->rank = hr_group_rank(out->group);
    out->n = hr_group_size(out->group);
    hr_signals_set_world(world);
    /* No rank gives up while another is still opening its world. */
    return hr_group_agree(out->group, HR_OK);
}

void hr_ranks_close(hr_ranks *ranks)
{
    hr_signals_set_world(NULL);
    hr_world_close(ranks->world);
    *ranks = (hr_ranks){0};
}

hr_status hr_ranks_agree(const hr_ranks *ranks, hr_status mine)
{
    if (mine != HR_OK)
        hr_world_give_up(ranks->world, mine);
    return hr_group_agree(ranks->group, mine);
}

/* Who waits in vain goes where the one is that gave up. */
static hr_status leave_together(const hr_ranks *ranks, hr_status status)
{
    return status == HR_OK ? HR_OK : hr_ranks_agree(ranks, status);
}

hr_status hr_ranks_collect(const hr_ranks *ranks, hr_status status, const void *mine,
                           size_t bytes, void **all)
{
    void *memory = NULL;

    if (status == HR_OK)
        status = hr_alloc_or_fail((size_t)ranks->n * bytes, "what ranks say", &memory);
    status = hr_ranks_agree(ranks, status);
    if (status == HR_OK)
        status =
            leave_together(ranks, hr_group_all_gather(ranks->group, mine, bytes, memory));
    if (status != HR_OK)
        hr_free(memory);
    else
        *all = memory;
    return status;
}

hr_status hr_ranks_broadcast(const hr_ranks *ranks, void *data, size_t bytes)
{
    return leave_together(ranks, hr_group_broadcast(ranks->group, 0, data, bytes));
}

hr_status hr_ranks_share_text(const hr_ranks *ranks, char **text)
{
    bool is_first = hr_ranks_is_first(ranks);
    int64_t n = is_first && *text != NULL ? (int64_t)strlen(*text) : -1;
    void *copy = NULL;
    hr_status status;

    HR_TRY(hr_group_broadcast(ranks->group, 0, &n, sizeof n));
    if (n >= 0 && !is_first)
        HR_TRY(hr_alloc_or_fail((size_t)n + 1, "a text of the first rank", &copy));
    if (n <= 0) {
        if (!is_first)
            *text = copy;
        return HR_OK;
    }
    status =
        hr_group_broadcast(ranks->group, 0, is_first ? *text : (char *)copy, (size_t)n);
    if (status != HR_OK)
        hr_free(copy);
    else if (!is_first)
        *text = copy;
    return status;
}

char *hr_ranks_name(const hr_ranks *ranks, int rank, char out[HR_RANK_TEXT_BYTES])
{
    snprintf(out, HR_RANK_TEXT_BYTES, "rank %d (%s)", rank,
             hr_world_rank_info(ranks->world, rank)->host);
    return out;
}
