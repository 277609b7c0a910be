/* The hidden file that a checkpoint is written to: made by rank 0, found by all. Local.
 */
#ifndef HR_IO_CHECKPOINT_PART_H
#define HR_IO_CHECKPOINT_PART_H

#include "io/checkpoint_layout.h"

/* What rank 0 tells the others. */
typedef struct hr_checkpoint_part {
    hr_checkpoint_layout layout;
    uint64_t inode;
} hr_checkpoint_part;

/* `part` is there: it becomes the file with all that is common, every data set at its
 * place, and its whole room on the disk. out->layout is initialised for `head`, whose
 * n_pending counts. Too little room: HR_ERR_NOMEM, logged with `path`, the bytes needed
 * and those free. */
hr_status hr_checkpoint_part_make(const char *part, const char *path,
                                  const hr_checkpoint_head *head,
                                  hr_checkpoint_part *out);

/* HR_ERR_IO, logged, where it is not the file that rank 0 has made. */
hr_status hr_checkpoint_part_find(const char *part, const hr_checkpoint_part *expected);

#endif
