/* Inside worker/ only: the initial noise. */
#ifndef HR_WORKER_NOISE_H
#define HR_WORKER_NOISE_H

#include "worker/parts.h"

/* Fills host memory [F, C, h, w] with render->latents_in, or with noise from the job's
 * seed. On a dry device nothing is read or drawn. */
hr_status hr_noise_make(const hr_worker *worker, const hr_render *render, float *latents);

#endif
