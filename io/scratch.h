/* Records on disk that live as long as the program: what is too much for memory. Local.
 * The file has no name once it is open, so nothing is left behind, whatever happens. */
#ifndef HR_IO_SCRATCH_H
#define HR_IO_SCRATCH_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct hr_scratch hr_scratch;

/* A file in `folder` (which exists) for `n_records` of `record_bytes` each; the room is
 * reserved, a disk that is too full is HR_ERR_NOMEM. Caller closes (NULL is fine). */
hr_status hr_scratch_open(const char *folder, size_t record_bytes, int64_t n_records,
                          hr_scratch **out);
void hr_scratch_close(hr_scratch *scratch);

hr_status hr_scratch_write(hr_scratch *scratch, int64_t record, const void *data);
/* A record that was never written reads as zeros. */
hr_status hr_scratch_read(const hr_scratch *scratch, int64_t record, void *out);

#endif
