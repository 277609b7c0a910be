#include "model/sampler_steps.h"

hr_status hr_euler_step(const float *sigmas, int n_steps, hr_stream *stream,
                        const hr_sampler_step_args *args)
{
    int i = args->step;

    (void)n_steps;
    return hr_op_lincomb(stream, &(hr_lincomb_args){.x = {args->x, args->velocity},
                                                    .c = {1, sigmas[i + 1] - sigmas[i]},
                                                    .n = 2,
                                                    .out = args->x});
}
