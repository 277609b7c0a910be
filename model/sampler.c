#include "model/sampler.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/sampler_steps.h"
#include "model/sigmas.h"

static const struct {
    hr_solver_step step;
    int n_history;
} solvers[] = {
    [HR_SAMPLER_UNIPC] = {hr_unipc_step, 3},
    [HR_SAMPLER_EULER] = {hr_euler_step, 0},
    [HR_SAMPLER_DPMPP] = {hr_dpmpp_step, 2},
};

struct hr_sampler {
    hr_sampler_kind kind;
    int n_steps;
    float *sigmas;
    double *timesteps;
};

static hr_status check_options(const hr_sampler_options *options)
{
    if (options->n_steps < 1 || options->n_steps > HR_SAMPLER_MAX_STEPS)
        return hr_fail(HR_ERR_ARG, "steps: found %d, expected 1 to %d", options->n_steps,
                       HR_SAMPLER_MAX_STEPS);
    if (!(options->shift > 0) || options->shift > 1e6)
        return hr_fail(HR_ERR_ARG, "shift: found %g, expected more than 0, at most 1e6",
                       options->shift);
    if (options->n_train_timesteps < 2)
        return hr_fail(HR_ERR_ARG, "training timesteps: found %d, expected 2 or more",
                       options->n_train_timesteps);
    return HR_OK;
}

/* The multistep solvers divide by differences of log(1 - sigma) - log(sigma). */
static hr_status check_table(const hr_sampler_options *options, const float *sigmas)
{
    if (options->kind == HR_SAMPLER_EULER)
        return HR_OK;
    for (int i = 0; i < options->n_steps; i++)
        if (!(sigmas[i] < 1 && sigmas[i] > sigmas[i + 1]))
            return hr_fail(
                HR_ERR_ARG,
                "shift %g with %d steps: sigma %d does not fall; a smaller shift or "
                "fewer steps are needed",
                options->shift, options->n_steps, i);
    return HR_OK;
}

hr_status hr_sampler_create(const hr_sampler_options *options, hr_sampler **out)
{
    size_t n = (size_t)options->n_steps;
    hr_sampler *sampler;
    void *memory;
    hr_status status;

    HR_TRY(check_options(options));
    HR_TRY(hr_alloc_or_fail(sizeof *sampler, "a sampler", &memory));
    sampler = memory;
    sampler->kind = options->kind;
    sampler->n_steps = options->n_steps;
    HR_TRY_GOTO(hr_alloc_or_fail((n + 1) * sizeof(float), "sigmas", &memory), fail);
    sampler->sigmas = memory;
    HR_TRY_GOTO(hr_alloc_or_fail(n * sizeof(double), "timesteps", &memory), fail);
    sampler->timesteps = memory;
    hr_sigmas_fill(options, sampler->sigmas, sampler->timesteps);
    HR_TRY_GOTO(check_table(options, sampler->sigmas), fail);
    *out = sampler;
    return HR_OK;
fail:
    hr_sampler_destroy(sampler);
    return status;
}

void hr_sampler_destroy(hr_sampler *sampler)
{
    if (sampler == NULL)
        return;
    hr_free(sampler->timesteps);
    hr_free(sampler->sigmas);
    hr_free(sampler);
}

int hr_sampler_n_steps(const hr_sampler *sampler)
{
    return sampler->n_steps;
}

const float *hr_sampler_sigmas(const hr_sampler *sampler)
{
    return sampler->sigmas;
}

double hr_sampler_timestep(const hr_sampler *sampler, int step)
{
    HR_ASSERT(step >= 0 && step < sampler->n_steps);
    return sampler->timesteps[step];
}

int hr_sampler_n_history(const hr_sampler *sampler)
{
    return solvers[sampler->kind].n_history;
}

hr_status hr_sampler_step(const hr_sampler *sampler, hr_stream *stream,
                          const hr_sampler_step_args *args)
{
    HR_ASSERT(args->step >= 0 && args->step < sampler->n_steps);
    return solvers[sampler->kind].step(sampler->sigmas, sampler->n_steps, stream, args);
}
