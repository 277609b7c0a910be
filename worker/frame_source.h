/* Inside worker/ only: where the decoder gets the denoised frames from. */
#ifndef HR_WORKER_FRAME_SOURCE_H
#define HR_WORKER_FRAME_SOURCE_H

#include "base/status.h"

#include <stdint.h>

/* fetch is collective over the worker's group: all ranks ask for the same latent frame,
 * in any order, as often as they like, and get it from the rank that owns it. latent:
 * host memory for F32 [C, h, w]. On a dry device it is left as it is. */
typedef struct hr_frame_source {
    hr_status (*fetch)(void *user, int64_t frame, float *latent);
    void *user;
} hr_frame_source;

#endif
