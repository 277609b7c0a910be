/* What one rank will need for a render, found by running the very same code on a dry
 * device in a pretended world. Local. */
#ifndef HR_WORKER_ESTIMATE_H
#define HR_WORKER_ESTIMATE_H

#include "worker/worker.h"

typedef struct hr_estimate_options {
    hr_worker_options worker; /* of its device only the threads count; NULL: all cores */
    int rank, n_ranks, ranks_per_host;
} hr_estimate_options;

typedef struct hr_estimate {
    uint64_t device_bytes; /* at most at one time: weights, activations, caches,
                             what operators keep besides */
    uint64_t weight_bytes; /* of that, the rank's part of the transformer; of two experts
                              both where they are kept */
    uint64_t host_bytes;   /* frames on their way, pictures and embeddings besides */
    double flops;          /* of the whole video */
    double stage_flops[HR_STAGE_COUNT];             /* the same by stage */
    hr_traffic_stats stage_traffic[HR_STAGE_COUNT]; /* sent by this rank */
} hr_estimate;

/* In all. */
static inline uint64_t hr_estimate_bytes(const hr_estimate *e)
{
    return e->device_bytes + e->host_bytes;
}

/* Estimates one render on one rank. The dry device takes its properties (instruction set,
 * bf16) from the real one, which was opened before. */
hr_status hr_estimate_render(const hr_estimate_options *options, const hr_render *render,
                             hr_estimate *out);

#endif
