/* Inside worker/ only: what the denoising of one video is about, the same for all its
 * rooms. */
#ifndef HR_WORKER_RUN_H
#define HR_WORKER_RUN_H

#include "coordinator/schedule.h"
#include "model/sampler.h"
#include "worker/parts.h"

/* Guidance branches of a unit. */
enum { HR_BRANCH_COND = 0, HR_BRANCH_UNCOND, HR_BRANCH_COUNT };

/* Never changes while the video is denoised. */
typedef struct hr_run {
    hr_worker *worker;
    const hr_render *render;
    hr_schedule schedule; /* its steps are those that are to be done */
    hr_sampler *sampler;  /* owned */
    size_t frame_floats;  /* of one latent frame, [C, h, w] */
} hr_run;

/* Caller closes, also a zeroed run. */
hr_status hr_run_open(hr_worker *worker, const hr_render *render, hr_run *out);
void hr_run_close(hr_run *run);

/* Which expert predicts at this step: 0, or 1 for low noise. */
int hr_run_expert(const hr_run *run, int step);

/* The rank (of all) that keeps the frame's state; the one that sends the predictions of a
 * window's branch. */
int hr_run_owner(const hr_run *run, int64_t frame);
int hr_run_predictor(const hr_run *run, int step, int64_t window, int branch);
/* The rank that leads a window group. */
int hr_run_leader(const hr_run *run, int group);

/* [n, C, h, w] in F32 from the worker's arena. */
hr_status hr_run_tensor(const hr_run *run, int64_t n_frames, hr_tensor *out);

#endif
