/* Latents and frames as files of fp32 tensors (safetensors). Local. */
#ifndef HR_IO_LATENTS_H
#define HR_IO_LATENTS_H

#include "base/status.h"

#include <stdint.h>

/* Reads tensor `latents` (1, C, F, h, w), F32, into frames-first order [F, C, h, w].
 * Another shape, name or type is refused: HR_ERR_ARG with found and expected. NaN is
 * refused. `out` has room for all elements. */
hr_status hr_latents_read(const char *path, const int64_t shape_fchw[4], float *out);
/* Writes [F, C, h, w] as `latents` (1, C, F, h, w). */
hr_status hr_latents_write(const char *path, const int64_t shape_fchw[4],
                           const float *data);

#endif
