/* Counted host memory and checked sizes.
 *
 * Everything the program allocates itself goes through here, so that a test can ask for
 * "nothing left alive". Memory of libraries is theirs. Local; thread-safe. */
#ifndef HR_BASE_MEMORY_H
#define HR_BASE_MEMORY_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Zero-filled. NULL when there is none: the caller logs what it wanted it for (or uses
 * hr_alloc_or_fail). `bytes` of 0 gives a valid pointer. */
void *hr_alloc(size_t bytes);

/* As hr_alloc, but logs "out of memory: <bytes> for <what>" and returns HR_ERR_NOMEM. */
hr_status hr_alloc_or_fail(size_t bytes, const char *what, void **out);

/* Zero-filled, `alignment` a power of two >= 8; freed with hr_free. NULL when there is
 * none. */
void *hr_alloc_aligned(size_t bytes, size_t alignment);

/* Grows or shrinks; new bytes are not initialised. On failure NULL, and `old` stays
 * valid. */
void *hr_realloc(void *old, size_t bytes);

/* Takes NULL. */
void hr_free(void *memory);

/* Copies of strings; NULL when there is no memory. */
char *hr_strdup(const char *text);
char *hr_strndup(const char *text, size_t n);

/* Blocks alive now, and bytes now and at most so far (whole process). */
size_t hr_mem_live_blocks(void);
size_t hr_mem_live_bytes(void);
size_t hr_mem_peak_bytes(void);

/* out = a * b or a + b; HR_ERR_NOMEM (logged) when it does not fit. */
hr_status hr_size_mul(size_t a, size_t b, size_t *out);
hr_status hr_size_add(size_t a, size_t b, size_t *out);

/* Memory of the machine that a new process could use, in bytes: /proc/meminfo and the
 * limits of the control group and of RLIMIT_AS, whichever is least. 0 when unknown. */
uint64_t hr_mem_available(void);

#endif
