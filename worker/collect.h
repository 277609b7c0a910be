/* Inside worker/ only: what the owners of frames hand out when all steps are done. */
#ifndef HR_WORKER_COLLECT_H
#define HR_WORKER_COLLECT_H

#include "worker/decode.h"
#include "worker/states.h"

/* The denoised frames, for the decoder; also the argument of the functions below. */
typedef struct hr_denoised {
    const hr_run *run;
    const hr_states *states;
    bool is_saved; /* see hr_frame_source */
} hr_denoised;

/* `denoised` has to outlive the source. */
hr_frame_source hr_collect_source(const hr_denoised *denoised);

/* Collective over the worker's group. Rank 0 writes the source's frames to
 * render->latents_out, unless that is NULL on all ranks. */
hr_status hr_collect_latents(hr_worker *worker, const hr_render *render,
                             const hr_frame_source *source);
/* Collective. Rank 0 puts the hash of each frame after each step into render->receipt,
 * where it has one. */
hr_status hr_collect_hashes(const hr_denoised *denoised);

#endif
