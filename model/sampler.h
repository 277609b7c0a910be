/* Samplers for flow matching: tables of sigmas and timesteps, and the update per step.
 * Local.
 *
 * A step is a pure function of numbers (coefficients) applied element by element: any
 * frames of a video can be stepped by themselves, with a history of their own, and get
 * the same bits. Source: diffusers 0.40.0 schedulers/{scheduling_unipc_multistep,
 * scheduling_flow_match_euler_discrete, scheduling_dpmsolver_multistep}.py; wan-spec
 * section 5 (docs/sampling.md). */
#ifndef HR_MODEL_SAMPLER_H
#define HR_MODEL_SAMPLER_H

#include "compute/ops.h"
#include "model/config.h"

typedef enum hr_sigma_table {
    HR_SIGMAS_DIFFUSERS_037 = 0, /* diffusers 0.37 and newer */
    HR_SIGMAS_DIFFUSERS_036      /* up to 0.36; the dpm++ table to this day */
} hr_sigma_table;

enum { HR_SAMPLER_MAX_STEPS = 10000 };
typedef struct hr_sampler_options {
    hr_sampler_kind kind;
    hr_sigma_table sigmas; /* unipc only */
    int n_steps;           /* 1..HR_SAMPLER_MAX_STEPS */
    double shift;          /* > 0 */
    int n_train_timesteps; /* 1000; at least 2 */
} hr_sampler_options;

/* Never changes once made. HR_ERR_ARG (logged) for options outside their ranges. */
typedef struct hr_sampler hr_sampler;
hr_status hr_sampler_create(const hr_sampler_options *options, hr_sampler **out);
void hr_sampler_destroy(hr_sampler *sampler);

int hr_sampler_n_steps(const hr_sampler *sampler);
/* n_steps + 1 values, the last 0. */
const float *hr_sampler_sigmas(const hr_sampler *sampler);
/* The timestep fed to the transformer at `step`: whole for unipc and dpm++. */
double hr_sampler_timestep(const hr_sampler *sampler, int step);

/* Tensors that a step remembers, all of the shape of x, made by the caller: how many the
 * sampler uses (unipc 3, dpm++ 2, euler 0). They belong to the frames in x; contents
 * before step 0 do not matter. */
enum { HR_SAMPLER_MAX_HISTORY = 3 };
int hr_sampler_n_history(const hr_sampler *sampler);

/* x := the sample after `step`, given the velocity at x. x, velocity and history: F32,
 * one shape, no overlap. Steps run 0, 1, 2, ... for the same x and history; `velocity` is
 * only read. Enqueued on the stream. */
typedef struct hr_sampler_step_args {
    hr_tensor x, velocity, history[HR_SAMPLER_MAX_HISTORY];
    int step;
} hr_sampler_step_args;
hr_status hr_sampler_step(const hr_sampler *sampler, hr_stream *stream,
                          const hr_sampler_step_args *args);

#endif
