/* What checkpoint_hdf5.c and checkpoint_hdf5_create.c share. */
#ifndef HR_IO_CHECKPOINT_HDF5_INSIDE_H
#define HR_IO_CHECKPOINT_HDF5_INSIDE_H

#include "io/checkpoint_hdf5.h"

#include <hdf5.h>

/* Before the first call: HDF5 writes no lines by itself, and at the end of a process it
 * does not close files that a lost rank would have to close with us. Forgets causes. */
void hr_hdf5_begin(void);

/* Logs "cannot DOING PATH: CAUSE", and how full the disk of `part` is: what HDF5 gave as
 * the innermost cause of the first call that failed since hr_hdf5_begin. `bytes` is what
 * the file will have. HR_ERR_IO. */
typedef struct hr_hdf5_names {
    const char *part, *path;
    int64_t bytes;
} hr_hdf5_names;
hr_status hr_hdf5_fail(const char *doing, const hr_hdf5_names *names);

/* How a file is opened by all versions of the library alike; < 0: failed. */
hid_t hr_hdf5_access(const void *comm);

/* Memory's type for a data set; not to be closed. Texts: 0. */
hid_t hr_hdf5_type(hr_checkpoint_type type);

#endif
