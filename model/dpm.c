/* DPM-Solver++(2M), midpoint: Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling
 * of Diffusion Probabilistic Models", algorithm 2. First order at both ends. */
#include "model/sampler_steps.h"

/* m of step i lies in slot i % 2. */
hr_status hr_dpmpp_step(const float *sigmas, int n_steps, hr_stream *stream,
                        const hr_sampler_step_args *args)
{
    int i = args->step;
    const hr_tensor *m0 = &args->history[i % 2], *m1 = &args->history[(i + 1) % 2];
    double h, r, gain;
    hr_lincomb_args update = {.x = {args->x, *m0}, .out = args->x};

    if (i == n_steps - 1) /* sigma is 0: x becomes the prediction itself */
        return hr_flow_clean(stream, args, sigmas[i], args->x);
    HR_TRY(hr_flow_clean(stream, args, sigmas[i], *m0));
    h = hr_flow_lambda(sigmas[i + 1]) - hr_flow_lambda(sigmas[i]);
    gain = -hr_flow_alpha(sigmas[i + 1]) * expm1(-h);
    update.n = 2;
    update.c[0] = (float)((double)sigmas[i + 1] / (double)sigmas[i]);
    update.c[1] = (float)gain;
    if (i > 0) {
        r = (hr_flow_lambda(sigmas[i]) - hr_flow_lambda(sigmas[i - 1])) / h;
        update.n = 3;
        update.x[2] = *m1;
        update.c[1] = (float)(gain * (1 + 0.5 / r));
        update.c[2] = (float)(gain * -0.5 / r);
    }
    return hr_op_lincomb(stream, &update);
}
