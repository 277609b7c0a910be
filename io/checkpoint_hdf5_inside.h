/* What checkpoint_hdf5.c and checkpoint_hdf5_create.c share. */
#ifndef HR_IO_CHECKPOINT_HDF5_INSIDE_H
#define HR_IO_CHECKPOINT_HDF5_INSIDE_H

#include "io/checkpoint_hdf5.h"

#include <hdf5.h>

/* Once before the first call: HDF5 writes nothing by itself, and at the end of a process
 * it does not close files that a lost rank would have to close with us. */
void hr_hdf5_quiet(void);

/* Logs "cannot DOING PATH: ..." with what HDF5 gives as the innermost cause. */
hr_status hr_hdf5_fail(const char *doing, const char *path);

/* How a file is opened by all versions of the library alike; < 0: failed. */
hid_t hr_hdf5_access(const void *comm);

/* Memory's type for a data set; not to be closed. Texts: 0. */
hid_t hr_hdf5_type(hr_checkpoint_type type);

/* Which dimension of the data set counts rows. */
int hr_hdf5_row_dim(hr_checkpoint_set set);

#endif
