/* For io/ alone: what a library that speaks MPI by itself (parallel HDF5) needs of the
 * world. */
#ifndef HR_COMM_NATIVE_H
#define HR_COMM_NATIVE_H

#include "comm/group.h"

#include <stdbool.h>

/* The address of an MPI_Comm of all ranks, apart from our own messages; NULL where MPI
 * was not started (one rank alone, a pretended world). Lent until the world is closed.
 * Local.
 */
const void *hr_world_native_comm(const hr_world *world);

/* Around each call in which such a library may wait for other ranks. No deadline of ours
 * ends it: the thread that watches signals asks whether it has to. Local. */
void hr_world_native_begin(hr_world *world);
void hr_world_native_end(hr_world *world);

/* Collective over all ranks of the world, whatever has failed on one of them: the worst
 * status, the same on all. It goes by the library's way (and waits like it), not by ours:
 * so the ranks agree on whether to call the library also where one of them can no longer
 * talk to the others, which would wait for it there. Fails at once where a rank is lost.
 */
hr_status hr_world_native_agree(hr_world *world, hr_status mine);

/* Local, from any thread while the world is open: whether the working thread waits in
 * such a call for somebody who will not come: a rank is gone (*rank says which), or the
 * deadline has passed (*rank is -1). Then nothing but the end of the process helps
 * (HR_ERR_DEVICE, HR_ERR_TIMEOUT). */
bool hr_world_native_is_stuck(const hr_world *world, int *rank);

#endif
