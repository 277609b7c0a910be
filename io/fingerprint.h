/* Fingerprints of files: whether two ranks, or two runs, have the same weights and the
 * same program. Local; keeps 1 MiB in memory.
 *
 * A file of up to 1 GiB counts with all its bytes; of a longer one its size, its
 * safetensors header, every 16th MiB and the last one (docs/run-folder.md). */
#ifndef HR_IO_FINGERPRINT_H
#define HR_IO_FINGERPRINT_H

#include "base/hash.h"
#include "base/status.h"

/* HR_ERR_IO, logged, when it cannot be read. */
hr_status hr_fingerprint_file(const char *path, hr_hash *out);

#endif
