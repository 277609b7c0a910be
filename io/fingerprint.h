/* Fingerprints of weight files: whether two ranks, or two runs, have the same ones.
 * Local; reads the disk at its speed.
 *
 * A file of up to 1 GiB counts with all its bytes; of a longer one its size, its
 * safetensors header, every 16th MiB and the last one (docs/run-folder.md). */
#ifndef HR_IO_FINGERPRINT_H
#define HR_IO_FINGERPRINT_H

#include "base/hash.h"
#include "base/status.h"

#include <stddef.h>

/* HR_ERR_IO, logged, when it cannot be read. */
hr_status hr_fingerprint_file(const char *path, hr_hash *out);

/* Of several files, whatever their order and their folders: by name without folder, size
 * and content. */
hr_status hr_fingerprint_files(const char *const *paths, size_t n, hr_hash *out);

#endif
