/* A file that is there whole or not at all. Local.
 *
 * It is written as ".NAME.part" beside the wanted name and gets that name only when
 * everything has reached the disk; a part left by a killed process is written over. The
 * first failure is logged with the path and its cause (HR_ERR_IO); later calls return it
 * again without a word. */
#ifndef HR_IO_OUT_FILE_H
#define HR_IO_OUT_FILE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct hr_out_file hr_out_file;

/* Refuses a `path` that is there and not a plain file: a folder or a device is never
 * replaced. Ends with commit or abandon. `path` is copied. */
hr_status hr_out_file_create(const char *path, hr_out_file **out);

/* All n bytes at the position, which moves on. */
hr_status hr_out_file_write(hr_out_file *file, const void *data, size_t n_bytes);
/* Moves the position; 0 <= position. */
void hr_out_file_seek(hr_out_file *file, int64_t position);
int64_t hr_out_file_position(const hr_out_file *file);
/* Bytes so far. */
int64_t hr_out_file_size(const hr_out_file *file);

/* The first failure so far, or HR_OK. */
hr_status hr_out_file_status(const hr_out_file *file);
const char *hr_out_file_path(const hr_out_file *file);
const char *hr_out_file_part_path(const hr_out_file *file);

/* Flushes to the disk and renames; after any failure removes the part and returns the
 * failure. Ends the file's life either way. */
hr_status hr_out_file_commit(hr_out_file *file);
/* Removes the part; takes NULL. */
void hr_out_file_abandon(hr_out_file *file);

/* The name of the part that belongs to `path`; hr_free it. */
hr_status hr_out_file_part_of(const char *path, char **out);

/* All in one. */
hr_status hr_out_file_save(const char *path, const void *data, size_t n_bytes);

#endif
