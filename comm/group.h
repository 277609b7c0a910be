/* Ranks that act together. Collective functions are called by all ranks of the group in
 * the same order and return the same status on all of them.
 *
 * Here the world has one rank: a group is the calling process alone. */
#ifndef HR_COMM_GROUP_H
#define HR_COMM_GROUP_H

#include "base/status.h"

typedef struct hr_group {
    int rank; /* 0 .. size-1 */
    int size;
} hr_group;

/* Local. The group of this process alone. */
hr_group hr_group_alone(void);

/* Collective. The worst status of all ranks; every rank leaves by the same door. */
hr_status hr_group_agree(const hr_group *group, hr_status mine);

#endif
