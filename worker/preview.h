/* Inside worker/ only: a look at the middle frame while denoising. */
#ifndef HR_WORKER_PREVIEW_H
#define HR_WORKER_PREVIEW_H

#include "worker/parts.h"

typedef struct hr_preview {
    hr_tensor latents, velocity; /* of the middle frame, before the sampler's step */
    float sigma;
    int step; /* steps done */
} hr_preview;

/* Local. Decodes the clean picture that the model expects now (x - sigma v), as a still,
 * into preview_folder/step-0005.png. */
hr_status hr_preview_write(hr_worker *worker, const hr_render *render,
                           const hr_preview *preview);

#endif
