/* What a render will need, found by running the very same code on a dry device. Local. */
#ifndef HR_WORKER_ESTIMATE_H
#define HR_WORKER_ESTIMATE_H

#include "worker/worker.h"

typedef struct hr_estimate {
    uint64_t device_bytes; /* at most at one time: weights, activations, caches */
    uint64_t host_bytes;   /* latents, frames and embeddings besides */
    double flops;          /* of the whole video */
} hr_estimate;

/* Estimates one render. The dry device takes its properties (threads, bf16) from the real
 * one, which was opened before. */
hr_status hr_estimate_render(const hr_worker_options *options, const hr_render *render,
                             hr_estimate *out);

#endif
