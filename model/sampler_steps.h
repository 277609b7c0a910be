/* Inside the samplers only: one update function per solver, and what they share. Local.
 *
 * Notation of the solvers: alpha = 1 - sigma, lambda = log(alpha) - log(sigma), m = x -
 * sigma v the prediction of the clean sample. Numbers are float64, made from the fp32
 * table with alpha rounded to fp32 as diffusers does (near sigma = 1 alpha is that
 * rounding). */
#ifndef HR_MODEL_SAMPLER_STEPS_H
#define HR_MODEL_SAMPLER_STEPS_H

#include "model/sampler.h"

#include <math.h>

static inline double hr_flow_alpha(float sigma)
{
    return (double)(1.0F - sigma);
}

/* sigma > 0 */
static inline double hr_flow_lambda(float sigma)
{
    return log(hr_flow_alpha(sigma)) - log((double)sigma);
}

/* out = x - sigma v; out may be x. */
static inline hr_status hr_flow_clean(hr_stream *stream, const hr_sampler_step_args *args,
                                      float sigma, hr_tensor out)
{
    return hr_op_lincomb(stream, &(hr_lincomb_args){.x = {args->x, args->velocity},
                                                    .c = {1, -sigma},
                                                    .n = 2,
                                                    .out = out});
}

/* `sigmas` has n_steps + 1 entries; 0 <= args->step < n_steps. */
typedef hr_status (*hr_solver_step)(const float *sigmas, int n_steps, hr_stream *stream,
                                    const hr_sampler_step_args *args);
hr_status hr_unipc_step(const float *sigmas, int n_steps, hr_stream *stream,
                        const hr_sampler_step_args *args);
hr_status hr_euler_step(const float *sigmas, int n_steps, hr_stream *stream,
                        const hr_sampler_step_args *args);
hr_status hr_dpmpp_step(const float *sigmas, int n_steps, hr_stream *stream,
                        const hr_sampler_step_args *args);

#endif
