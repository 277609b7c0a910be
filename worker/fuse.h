/* Inside worker/ only: one step of one frame, on the rank that owns it: guidance per
 * window, the weighted sum over windows, the sampler's step. Local. */
#ifndef HR_WORKER_FUSE_H
#define HR_WORKER_FUSE_H

#include "worker/halo.h"
#include "worker/states.h"

typedef struct hr_fuser hr_fuser;

/* Borrows all. Caller closes (NULL is fine). */
hr_status hr_fuser_open(const hr_run *run, hr_states *states, hr_halo *halo,
                        hr_fuser **out);
void hr_fuser_close(hr_fuser *fuser);

/* Steps an own frame whose predictions are complete, and drops them. Sums are fp32, in
 * the order of windows, so they do not depend on who computed what when. HR_ERR_MODEL
 * where the new sample is not finite. *x is the new sample, lent until the next call. */
hr_status hr_fuser_step(hr_fuser *fuser, int64_t frame, const float **x);

#endif
