#include "cli/calibrate.h"

#include "cli/bench_op.h"

enum { MAX_ROWS = 2048, MAX_SIDE = 64 };

static const double budget_seconds = 0.3;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static hr_status measure(hr_device *device, const hr_bench_case *c, double *rate)
{
    hr_bench_result result;

    HR_TRY(hr_bench_run(device, c, &result));
    *rate = result.flops / result.seconds;
    return HR_OK;
}

/* Per token of a window: six square products and two of the feed-forward; attention to
 * all tokens of the window. */
static double mix(const hr_transformer_config *t, int64_t n_tokens, const hr_speed *speed)
{
    double width = (double)hr_transformer_width(t);
    double linear = 2 * (6 * width * width + 2 * width * (double)t->ffn_dim);
    double attention = 4 * (double)n_tokens * width;

    return (linear + attention) /
           (linear / speed->linear_flops + attention / speed->attention_flops);
}

hr_status hr_speed_measure(hr_device *device, const hr_model_config *config,
                           const hr_plan *plan, hr_numerics numerics, hr_speed *out)
{
    const hr_transformer_config *t = &config->transformer;
    hr_speed speed = {.rows = least(plan->n_tokens, MAX_ROWS)};
    hr_dtype dtype = numerics == HR_NUMERICS_F32 ? HR_F32 : HR_BF16;
    const hr_bench_case linear = {.what = "linear",
                                  .dtype = dtype,
                                  .a = speed.rows,
                                  .b = hr_transformer_width(t),
                                  .c = t->ffn_dim,
                                  .budget_seconds = budget_seconds};
    const hr_bench_case attention = {.what = "attention",
                                     .dtype = dtype,
                                     .a = speed.rows,
                                     .b = t->n_heads,
                                     .c = t->head_dim,
                                     .budget_seconds = budget_seconds};
    const hr_bench_case conv = {.what = "conv",
                                .dtype = HR_F32,
                                .a = config->vae.scale_temporal,
                                .b = least(plan->height, MAX_SIDE),
                                .c = least(plan->width, MAX_SIDE),
                                .d = config->vae.base_dim,
                                .budget_seconds = budget_seconds};

    HR_TRY(measure(device, &linear, &speed.linear_flops));
    HR_TRY(measure(device, &attention, &speed.attention_flops));
    HR_TRY(measure(device, &conv, &speed.conv_flops));
    speed.block_flops = mix(t, plan->n_tokens, &speed);
    *out = speed;
    return HR_OK;
}
