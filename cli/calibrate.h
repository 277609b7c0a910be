/* How fast this machine works on a job, from a second or two of measuring. Local to cli/.
 */
#ifndef HR_CLI_CALIBRATE_H
#define HR_CLI_CALIBRATE_H

#include "cli/outlook.h"
#include "worker/worker.h"

enum { HR_SPEED_TEXT_BYTES = 200 };
typedef struct hr_speed {
    double flops[HR_STAGE_COUNT];   /* a second, on one rank */
    char what[HR_SPEED_TEXT_BYTES]; /* was measured, for people */
} hr_speed;

/* Where the model is small enough to be loaded for it: renders a clip of one window
 * twice, a few steps and a few frames, with the worker's own code. Else, with meaningless
 * values in the model's widths, times a product of the feed-forward, a self-attention and
 * a convolution of the decoder. */
hr_status hr_speed_measure(const hr_worker_options *worker, const hr_render *render,
                           hr_speed *out);

/* How long each stage of what was looked at takes on hosts like this one. Messages take
 * no time here; ranks that outnumber the cores take turns. `played`: hr_outlook_simulate.
 */
void hr_speed_seconds(const hr_speed *speed, const hr_outlook *outlook,
                      const hr_schedule_result *played, double seconds[HR_STAGE_COUNT]);

#endif
