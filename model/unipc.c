/* UniPC, second order, B(h) = expm1(-h) ("bh2"), predicting the clean sample: Zhao et
 * al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion
 * Models". */
#include "model/sampler_steps.h"

/* m of step i lies in slot i % 2, the sample that the predictor started from in slot 2.
 */
enum { LAST_SAMPLE = 2 };

/* The order of the predictor of step i, and of the corrector of step i + 1. */
static int order_of(int i, int n_steps)
{
    return i == 0 || i == n_steps - 1 ? 1 : 2;
}

/* What predictor and corrector have in common, going from sigmas[s] to sigmas[s + 1]. */
typedef struct interval {
    double h, e;  /* e = expm1(-h) */
    double ratio; /* sigma of the target over that of the source */
    double gain;  /* -alpha of the target times e */
    double r;     /* second order: where the point before lies, in units of h; negative */
} interval;

static interval interval_from(const float *sigmas, int s, int order)
{
    double lambda = hr_flow_lambda(sigmas[s]);
    interval v = {.h = hr_flow_lambda(sigmas[s + 1]) - lambda,
                  .ratio = (double)sigmas[s + 1] / (double)sigmas[s],
                  .r = 1};

    v.e = expm1(-v.h);
    v.gain = -hr_flow_alpha(sigmas[s + 1]) * v.e;
    if (order == 2)
        v.r = (hr_flow_lambda(sigmas[s - 1]) - lambda) / v.h;
    return v;
}

/* slot 2 := the sample at step i > 0, improved by the prediction made there (m = x -
 * sigma v): ratio last + gain (m0 + rho0 (m1 - m0) / r + rho1 (m - m0)). */
static hr_status correct(const float *sigmas, int n_steps, hr_stream *stream,
                         const hr_sampler_step_args *args)
{
    int i = args->step, order = order_of(i - 1, n_steps);
    interval v = interval_from(sigmas, i - 1, order);
    double rho0 = 0, rho1 = 0.5;
    hr_tensor last = args->history[LAST_SAMPLE];
    hr_lincomb_args update = {
        .x = {last, args->x, args->velocity, args->history[(i + 1) % 2]},
        .n = 4,
        .out = last};

    if (order == 2) { /* [[1, 1], [r, 1]] rho = b */
        double k1 = v.e / -v.h - 1, k2 = k1 / -v.h - 0.5;
        double b1 = k1 / v.e, b2 = 2 * k2 / v.e;

        rho0 = (b1 - b2) / (1 - v.r);
        rho1 = b1 - rho0;
        update.n = 5;
        update.x[4] = args->history[i % 2];
        update.c[4] = (float)(v.gain * rho0 / v.r);
    }
    update.c[0] = (float)v.ratio;
    update.c[1] = (float)(v.gain * rho1);
    update.c[2] = (float)(v.gain * rho1 * -(double)sigmas[i]);
    update.c[3] = (float)(v.gain * (1 - rho0 / v.r - rho1));
    return hr_op_lincomb(stream, &update);
}

/* x := ratio last + gain (m0 + 0.5 (m1 - m0) / r) */
static hr_status predict(const float *sigmas, int n_steps, hr_stream *stream,
                         const hr_sampler_step_args *args)
{
    int i = args->step, order = order_of(i, n_steps);
    interval v = interval_from(sigmas, i, order);
    double half = order == 2 ? 0.5 / v.r : 0;
    hr_lincomb_args update = {.x = {args->history[LAST_SAMPLE], args->history[i % 2]},
                              .c = {(float)v.ratio, (float)(v.gain * (1 - half))},
                              .n = 2,
                              .out = args->x};

    if (order == 2) {
        update.n = 3;
        update.x[2] = args->history[(i + 1) % 2];
        update.c[2] = (float)(v.gain * half);
    }
    return hr_op_lincomb(stream, &update);
}

hr_status hr_unipc_step(const float *sigmas, int n_steps, hr_stream *stream,
                        const hr_sampler_step_args *args)
{
    int i = args->step;

    if (i ==
        n_steps - 1) /* sigma is 0: x becomes the prediction itself, corrected or not */
        return hr_flow_clean(stream, args, sigmas[i], args->x);
    if (i == 0)
        HR_TRY(hr_copy(stream, &args->history[LAST_SAMPLE], &args->x));
    else
        HR_TRY(correct(sigmas, n_steps, stream, args));
    HR_TRY(hr_flow_clean(stream, args, sigmas[i], args->history[i % 2]));
    return predict(sigmas, n_steps, stream, args);
}
