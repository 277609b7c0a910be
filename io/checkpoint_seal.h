/* The seal of a checkpoint: its user block with the text that says what lies where
 * (checkpoint_layout.h) and, below, the hash of that text and of all bytes of the file
 * (docs/checkpoint.md). */
#ifndef HR_IO_CHECKPOINT_SEAL_H
#define HR_IO_CHECKPOINT_SEAL_H

#include "io/checkpoint_layout.h"

typedef struct hr_checkpoint_seal {
    hr_checkpoint_layout layout;
    hr_hash hash;
    size_t n_text; /* bytes before the line with the hash */
    char block[HR_CHECKPOINT_USER_BLOCK + 1];
} hr_checkpoint_seal;

/* Local. Opens a plain file for reading; HR_ERR_CHECKPOINT, logged, for anything else
 * that is there. */
hr_status hr_checkpoint_open_file(const char *path, int *out);
/* Local. All n bytes at the place: HR_ERR_IO, logged. */
hr_status hr_checkpoint_read_at(int fd, const char *path, int64_t at, void *out,
                                int64_t n_bytes);

/* Local. HR_ERR_CHECKPOINT, logged, for a file that is empty, cut, longer than its text
 * says or none of ours. */
hr_status hr_checkpoint_seal_read(int fd, const char *path, hr_checkpoint_seal *out);

/* Local. Block and text for the layout; the hash is not in it yet. */
hr_status hr_checkpoint_seal_init(const hr_checkpoint_layout *layout,
                                  hr_checkpoint_seal *out);
/* Local: writes the hash into the block. */
void hr_checkpoint_seal_finish(hr_checkpoint_seal *seal);

/* Collective, local where group is NULL: each rank hashes its share of the file. All have
 * the same block and get the same hash and the same status. */
hr_status hr_checkpoint_seal_hash(hr_group *group, int fd, const char *path,
                                  const hr_checkpoint_seal *seal, hr_hash *out);

#endif
