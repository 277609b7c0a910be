/* What a render has taken on each rank, for its receipt: a plan can be held to it. Local
 * to cli/. */
#ifndef HR_CLI_MEASURED_H
#define HR_CLI_MEASURED_H

#include "cli/render_call.h"

typedef struct hr_measured {
    uint64_t memory_bytes; /* at most at one time, device and host */
    hr_render_times times;
} hr_measured;

/* Collective: of all ranks, in their order. Caller hr_frees. */
hr_status hr_measured_gather(const hr_ranks *ranks, const hr_render_times *times,
                             hr_measured **out);
/* The receipt's lines about machines. Local. */
hr_status hr_measured_to_receipt(const hr_render_call *call, const hr_measured *measured,
                                 hr_receipt *receipt);

/* The share of the denoising that the ranks waited for such messages. */
double hr_measured_wait(const hr_measured *measured, int n_ranks, hr_traffic traffic);

#endif
