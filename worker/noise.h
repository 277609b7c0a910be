/* Inside worker/ only: the noise that frames start from. Local. */
#ifndef HR_WORKER_NOISE_H
#define HR_WORKER_NOISE_H

#include "worker/run.h"

typedef struct hr_noise hr_noise;

/* From render->latents_in, or drawn from the job's seed. On a dry device nothing is read
 * or drawn. Caller closes (NULL is fine). */
hr_status hr_noise_open(const hr_run *run, hr_noise **out);
void hr_noise_close(hr_noise *noise);

/* [C, h, w] of any frame of the video. */
hr_status hr_noise_read(hr_noise *noise, int64_t frame, float *out);

#endif
