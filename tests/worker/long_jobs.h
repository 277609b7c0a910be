/* Jobs of several windows, and golden models that the layouts of several ranks fit to. */
#ifndef HR_TESTS_WORKER_LONG_JOBS_H
#define HR_TESTS_WORKER_LONG_JOBS_H

#include "worker/pipeline.h"

/* With 4 heads to share; with 5 layers and guidance; with two experts. */
extern const hr_pipeline_model hr_long_sharded, hr_long_deep, hr_long_experts;

/* Each changes the job of a golden run. 11 latent frames, windows of 3, one shared: 5
 * windows of a fixed grid, 5 or 6 of a moving one; 3 steps. */
void hr_long_job(hr_job *job);
/* 5 steps: the second expert comes at step 3. */
void hr_long_job_experts(hr_job *job);
/* Fixed grid, frames of three windows, no anchor, Euler. */
void hr_long_job_fixed(hr_job *job);
/* Anchored on the previous window, DPM++, noise of its own for each frame, decoded in
 * windows. */
void hr_long_job_previous(hr_job *job);
/* Two windows, fewer than groups of some layouts; one window. */
void hr_long_job_short(hr_job *job);
void hr_long_job_clip(hr_job *job);

#endif
