/* For io/ alone: what a library that speaks MPI by itself (parallel HDF5) needs of the
 * world. */
#ifndef HR_COMM_NATIVE_H
#define HR_COMM_NATIVE_H

#include "comm/group.h"

/* The address of an MPI_Comm of all ranks, apart from our own messages; NULL where MPI
 * was not started (one rank alone, a pretended world). Lent until the world is closed.
 * Local.
 */
const void *hr_world_native_comm(const hr_world *world);

#endif
