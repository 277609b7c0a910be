/* Ranks that act together. Collective functions are called by all ranks of the group in
 * the same order. Unless said otherwise they return a failure on every rank that waits
 * (deadline, a rank that gave up or died), with the cause logged where it is first known.
 */
#ifndef HR_COMM_GROUP_H
#define HR_COMM_GROUP_H

#include "comm/world.h"

int hr_group_rank(const hr_group *group); /* 0 .. size-1; local */
int hr_group_size(const hr_group *group);
hr_world *hr_group_world(const hr_group *group);
/* The rank in the world of rank `rank` of the group; local. */
int hr_group_world_rank(const hr_group *group, int rank);

/* Collective over `parent`: the ranks with equal `color` become a group, ordered by
 * `key`, then by rank; color < 0: this rank is in none, *out is NULL. In a pretended
 * world only this rank's own colour is known, so `members` says how large its group is
 * and `my_rank` where it stands (checked against the truth elsewhere), and `stride` how
 * far apart in the world two neighbours of the group are (0: 1; it decides which bytes go
 * between hosts). `traffic` is what the group's messages count as. Caller destroys (NULL
 * is fine; local). */
typedef struct hr_group_split_args {
    int color, key;
    int members, my_rank, stride;
    hr_traffic traffic;
} hr_group_split_args;
hr_status hr_group_split(hr_group *parent, const hr_group_split_args *args,
                         hr_group **out);
void hr_group_destroy(hr_group *group);

/* Collective. The worst status of all ranks; every rank leaves by the same door. Works
 * after hr_world_give_up too. On rank 0 of the group the log says for each other rank
 * that failed by itself what that rank logged last ("rank 2 (host b): ..."), equal lines
 * once. A failure brought here counts as given up (hr_world_give_up), and is the
 * verdict of all agreements from now until hr_world_recover: ranks that it has kept from
 * some of them, on their way to this one, have not missed any. Only the world's group. */
hr_status hr_group_agree(hr_group *group, hr_status mine);

/* Collective. `bytes` of `data`, the same on all ranks, from `root` to all. */
hr_status hr_group_broadcast(hr_group *group, int root, void *data, size_t bytes);
/* Collective. `bytes` from each rank to all, in rank order. */
hr_status hr_group_all_gather(hr_group *group, const void *mine, size_t bytes, void *all);

/* Messages to and from single ranks, all at once; waits for all. Messages of one pair
 * match in the order of the list. Each rank calls with what concerns it; one that nothing
 * concerns need not call. */
typedef struct hr_exchange {
    int peer;     /* of the group */
    bool is_send; /* else a receive */
    void *data;   /* host memory, read or filled */
    size_t bytes; /* both sides agree; 0 is skipped */
} hr_exchange;
hr_status hr_group_exchange(hr_group *group, const hr_exchange *list, size_t n);

#endif
