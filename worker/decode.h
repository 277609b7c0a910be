/* Inside worker/ only: from latents to frames and files. */
#ifndef HR_WORKER_DECODE_H
#define HR_WORKER_DECODE_H

#include "worker/parts.h"

/* Decodes host latents [F, C, h, w], one latent frame at a time, and saves the frames.
 * Memory does not depend on the number of frames. */
hr_status hr_decode_stage(hr_worker *worker, const hr_render *render,
                          const float *latents, hr_render_times *times);

#endif
