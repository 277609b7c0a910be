/* The HDF5 part of a checkpoint, for writing: made by one rank with all its data sets at
 * their places, then filled by all of them together. Between the two nothing of its
 * structure changes, so the ranks share nothing but their data. Readers do not come here
 * (checkpoint_layout.h). */
#ifndef HR_IO_CHECKPOINT_HDF5_H
#define HR_IO_CHECKPOINT_HDF5_H

#include "io/checkpoint_layout.h"

/* Local: makes `part` (a file that is there) anew, with the user block empty, and writes
 * the data sets that are common to all ranks from `head`. Fills bytes and offsets of
 * `layout`. `path` is for messages. HR_ERR_IO, logged. */
hr_status hr_checkpoint_hdf5_create(const char *part, const char *path,
                                    const hr_checkpoint_head *head,
                                    hr_checkpoint_layout *layout);

typedef struct hr_checkpoint_hdf5 hr_checkpoint_hdf5;

/* Local. What will be opened over the processes of `comm` (comm/native.h; NULL: by this
 * one alone). Arguments are borrowed. */
hr_status hr_checkpoint_hdf5_prepare(const char *part, const char *path, const void *comm,
                                     hr_checkpoint_hdf5 **out);

/* Collective over the processes, as are the following: all take part in each, whatever
 * has failed on one. A file that could not be opened is closed like others. */
hr_status hr_checkpoint_hdf5_open(hr_checkpoint_hdf5 *file,
                                  const hr_checkpoint_layout *layout);

/* Rows first .. first + n of a data set; n 0: nothing from this rank. Of the history a
 * row is a frame in all entries: data is [entry, n, ...]. A data set without elements is
 * skipped. */
typedef struct hr_checkpoint_rows {
    hr_checkpoint_set set;
    int64_t first, n;
    const void *data;
} hr_checkpoint_rows;
hr_status hr_checkpoint_hdf5_write(hr_checkpoint_hdf5 *file,
                                   const hr_checkpoint_rows *rows);

/* Brings all to the disk where `is_kept`, and closes. */
hr_status hr_checkpoint_hdf5_close(hr_checkpoint_hdf5 *file, bool is_kept);

/* Local; NULL is fine. */
void hr_checkpoint_hdf5_free(hr_checkpoint_hdf5 *file);

#endif
