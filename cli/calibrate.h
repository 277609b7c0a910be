/* How fast this machine works on a job, from a second of measuring. Local to cli/. */
#ifndef HR_CLI_CALIBRATE_H
#define HR_CLI_CALIBRATE_H

#include "compute/device.h"
#include "coordinator/plan.h"
#include "model/config.h"
#include "model/numerics.h"

typedef struct hr_speed {
    double linear_flops, attention_flops; /* a second, on one rank */
    double block_flops;                   /* those two as a block mixes them */
    double conv_flops;
    int64_t rows; /* tokens that were measured with, at most those of a window */
} hr_speed;

/* Times one product of the feed-forward, one self-attention and one convolution of the
 * decoder, in the model's widths and with meaningless values. */
hr_status hr_speed_measure(hr_device *device, const hr_model_config *config,
                           const hr_plan *plan, hr_numerics numerics, hr_speed *out);

#endif
