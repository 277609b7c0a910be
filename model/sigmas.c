#include "model/sigmas.h"

#include <math.h>

/* numpy.linspace: point i of n, in float64 without fma, the last point set exactly. */
static double linspace(double first, double last, int n, int i)
{
    double step;

    if (n == 1)
        return first;
    if (i == n - 1)
        return last;
    step = (last - first) / (n - 1);
    return i * step + first;
}

static double shifted(double shift, double u)
{
    return shift * u / (1 + (shift - 1) * u);
}

/* float64 sigma to table entry; timesteps are cut to whole numbers before sigma is
 * rounded. */
static void put_whole(const hr_sampler_options *o, double sigma, float *out,
                      double *timestep)
{
    *out = (float)sigma;
    *timestep = trunc(sigma * o->n_train_timesteps);
}

/* UniPC of diffusers >= 0.37: u from 1 down to 1/n_train, the last point left out. A
 * sigma of 1 would make log(alpha) infinite, so the first is moved a little. */
static void fill_from_one(const hr_sampler_options *o, float *sigmas, double *timesteps)
{
    const double eps = 1e-6;

    for (int i = 0; i < o->n_steps; i++) {
        double u = linspace(1, 1.0 / o->n_train_timesteps, o->n_steps + 1, i);
        double sigma = shifted(o->shift, u);

        if (i == 0 && fabs(sigma - 1) < eps)
            sigma -= eps;
        put_whole(o, sigma, &sigmas[i], &timesteps[i]);
    }
}

/* DPM++, and UniPC up to diffusers 0.36: u = 1 - linspace(1, 1/n_train), shifted,
 * reversed, the last (zero) left out. All u are 1/n_train less than above. */
static void fill_reversed(const hr_sampler_options *o, float *sigmas, double *timesteps)
{
    for (int i = 0; i < o->n_steps; i++) {
        double u =
            1 - linspace(1, 1.0 / o->n_train_timesteps, o->n_steps + 1, o->n_steps - i);

        put_whole(o, shifted(o->shift, u), &sigmas[i], &timesteps[i]);
    }
}

/* The constructor of FlowMatchEuler shifts its end points in fp32. */
static double shifted_end(double shift, float u)
{
    return (float)shift * u / (1 + (float)(shift - 1) * u);
}

/* FlowMatchEuler: the points lie evenly between end points that are shifted already, and
 * are shifted again. Timesteps are not whole. */
static void fill_euler(const hr_sampler_options *o, float *sigmas, double *timesteps)
{
    double first = shifted_end(o->shift, 1) * o->n_train_timesteps;
    double last =
        shifted_end(o->shift, 1.0F / (float)o->n_train_timesteps) * o->n_train_timesteps;

    for (int i = 0; i < o->n_steps; i++) {
        double u = linspace(first, last, o->n_steps, i) / o->n_train_timesteps;

        sigmas[i] = (float)shifted(o->shift, u);
        timesteps[i] = (double)(sigmas[i] * (float)o->n_train_timesteps);
    }
}

void hr_sigmas_fill(const hr_sampler_options *options, float *sigmas, double *timesteps)
{
    if (options->kind == HR_SAMPLER_EULER)
        fill_euler(options, sigmas, timesteps);
    else if (options->kind == HR_SAMPLER_DPMPP ||
             options->sigmas == HR_SIGMAS_DIFFUSERS_036)
        fill_reversed(options, sigmas, timesteps);
    else
        fill_from_one(options, sigmas, timesteps);
    sigmas[options->n_steps] = 0;
}
