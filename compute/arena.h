/* Memory for activations: tensors taken one after another and given back together.
 *
 * The arena grows by blocks as needed and keeps them until it is destroyed, so a loop
 * allocates in its first round only. Tensors live until the rewind past their mark.
 * Rewinding does not wait: what was enqueued may still run, later work of the SAME stream
 * may reuse the memory. One arena serves one stream. Local. */
#ifndef HR_COMPUTE_ARENA_H
#define HR_COMPUTE_ARENA_H

#include "compute/device.h"

typedef struct hr_arena hr_arena;
typedef struct hr_arena_mark {
    int block;
    size_t used;
} hr_arena_mark;

/* Borrows the device. */
hr_status hr_arena_create(hr_device *device, hr_arena **out);
void hr_arena_destroy(hr_arena *arena);

/* Not initialised. HR_ERR_NOMEM is logged. */
hr_status hr_arena_tensor(hr_arena *arena, hr_dtype dtype, int n_dims, const int64_t *dim,
                          hr_tensor *out);

hr_arena_mark hr_arena_get_mark(const hr_arena *arena);
void hr_arena_rewind(hr_arena *arena, hr_arena_mark mark);

#endif
