/* The ranks of one call of the program: they decide together, and the first one alone
 * talks to the user. Local to cli/. */
#ifndef HR_CLI_RANKS_H
#define HR_CLI_RANKS_H

#include "comm/group.h"

typedef struct hr_ranks {
    hr_world *world;
    hr_group *group; /* of all; lent by the world */
    int rank, n;
} hr_ranks;

/* Collective: opens the world, in which the signals of this process look for lost ranks
 * from then on. Caller closes, which takes a zeroed struct. */
hr_status hr_ranks_open(hr_ranks *out);
void hr_ranks_close(hr_ranks *ranks);
static inline bool hr_ranks_is_first(const hr_ranks *ranks)
{
    return ranks->rank == 0;
}

/* Collective: the end of a phase. Who comes with a failure ends the others' waits. All
 * get the worst status. */
hr_status hr_ranks_agree(const hr_ranks *ranks, hr_status mine);

/* Collective. Where they fail the ranks have agreed on it, so that all leave by the same
 * door. `status` is how this rank got its record: one failure is everybody's. The records
 * of all, in their order, are hr_freed by the caller. */
hr_status hr_ranks_collect(const hr_ranks *ranks, hr_status status, const void *mine,
                           size_t bytes, void **all);
hr_status hr_ranks_broadcast(const hr_ranks *ranks, void *data, size_t bytes);

/* Collective: the first rank's text (NULL there: NULL everywhere) on all. On the others
 * *text is set, and the caller hr_frees it. The caller agrees afterwards. */
hr_status hr_ranks_share_text(const hr_ranks *ranks, char **text);

/* "rank 3 (host b)" into out; returns it. */
enum { HR_RANK_TEXT_BYTES = HR_HOST_NAME_BYTES + 32 };
char *hr_ranks_name(const hr_ranks *ranks, int rank, char out[HR_RANK_TEXT_BYTES]);

#endif
