/* For the files of the checkpoint: how its ranks go on together, though one has failed.
 */
#ifndef HR_IO_CHECKPOINT_AGREE_H
#define HR_IO_CHECKPOINT_AGREE_H

#include "comm/group.h"

/* Collective; local where group is NULL. The worst status of all ranks, on every rank.
 * Rank 0 logs what the first of the ranks that failed had logged ("rank 2 (host b):
 * ..."), if it did not fail itself. Unlike hr_group_agree it leaves the world as it is:
 * the caller decides what a failed save means. When the ranks cannot talk any more, this
 * rank gives up. */
hr_status hr_checkpoint_agree(hr_group *group, hr_status mine);

/* Collective; give up like the above: `bytes` of `data` from rank 0 to all, and `bytes`
 * from each rank to all. Local where group is NULL. */
hr_status hr_checkpoint_share(hr_group *group, void *data, size_t bytes);
hr_status hr_checkpoint_gather(hr_group *group, const void *mine, size_t bytes,
                               void *all);

#endif
