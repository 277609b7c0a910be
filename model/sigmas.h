/* Inside the samplers only: tables of sigmas and timesteps. Local, pure. */
#ifndef HR_MODEL_SIGMAS_H
#define HR_MODEL_SIGMAS_H

#include "model/sampler.h"

/* Fills sigmas[0 .. n_steps] (the last is 0) and timesteps[0 .. n_steps - 1]. The bits
 * are those of diffusers. */
void hr_sigmas_fill(const hr_sampler_options *options, float *sigmas, double *timesteps);

#endif
