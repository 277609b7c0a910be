/* Inside worker/ only: from noise and text embeddings to latents. */
#ifndef HR_WORKER_DENOISE_H
#define HR_WORKER_DENOISE_H

#include "worker/progress.h"
#include "worker/states.h"

/* Collective over the worker's group; idle ranks come along. Takes the frames that this
 * rank owns from noise through all steps of the run and leaves them in `states`, which
 * are new. The texts have been encoded. The clock is that of the stage. *is_saved: they
 * are on the disk too. */
hr_status hr_denoise_stage(const hr_run *run, hr_states *states, hr_stage_clock *clock,
                           hr_render_times *times, bool *is_saved);

#endif
