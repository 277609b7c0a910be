/* What a job means for a model: sizes, steps, files. Pure functions of numbers; local. */
#ifndef HR_COORDINATOR_PLAN_H
#define HR_COORDINATOR_PLAN_H

#include "coordinator/schedule.h"

/* The numbers of a model that planning needs. */
typedef struct hr_model_facts {
    int64_t latent_channels;
    int64_t scale_temporal,
        scale_spatial; /* video frames and pixels per latent frame and pixel */
    int64_t patch_time, patch_height, patch_width;
    int64_t rope_max; /* tokens per axis at most */
} hr_model_facts;

typedef struct hr_plan {
    int64_t frames, height, width; /* of the video, in pixels */
    int64_t latent_frames, latent_height, latent_width, latent_channels;
    hr_windows windows; /* in latent frames; overlap 0 where one window is the video */
    hr_job_noise noise;
    hr_job_decode decode;
    int64_t n_tokens; /* of one forward: of one window */
    int n_steps;
    double guidance, guidance_2; /* of the first and the second expert */
    bool use_guidance;           /* guidance > 1: two forwards a step */
    double shift;
} hr_plan;

/* Plans a job that has been merged with its defaults: turns `seconds` into frames, and
 * refuses sizes that the model cannot make, with the nearest that it can. A video no
 * longer than windows.frames (or a job without that key) is one window, whatever the
 * overlap. HR_ERR_ARG. */
hr_status hr_plan_make(const hr_job *job, const hr_model_facts *facts, hr_plan *out);

/* Windows of the step with the fewest and of that with the most. */
void hr_plan_count_windows(const hr_plan *plan, int64_t *fewest, int64_t *most);
/* Forwards of a window: with guidance the condition's and then the other one's. */
int hr_plan_n_branches(const hr_plan *plan);
hr_schedule hr_plan_schedule(const hr_plan *plan, const hr_layout *layout);

#endif
