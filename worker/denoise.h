/* Inside worker/ only: from noise and text embeddings to latents. */
#ifndef HR_WORKER_DENOISE_H
#define HR_WORKER_DENOISE_H

#include "worker/parts.h"

/* Runs the sampler over all steps (or up to render->stop_after_step). `latents`: host
 * memory for F32 [F, C, h, w]; filled with the denoised latents in normalised space. The
 * texts have been encoded. */
hr_status hr_denoise_stage(hr_worker *worker, const hr_render *render, float *latents,
                           hr_render_times *times);

#endif
