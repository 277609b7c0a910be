/* Element by element. */
#include "compute/cpu/kernels/level.h"

/* Inlined with a constant activation: the compiler then keeps its constants in registers.
 */
static inline __attribute__((always_inline)) void activate(const hr_activate_args *args,
                                                           int64_t first, int64_t last,
                                                           hr_activation activation)
{
    for (int64_t i = first; i < last; i += VEC)
        vec_put(args->out.data, args->out.dtype, i, last,
                activated(vec_get(args->x.data, args->x.dtype, i, last), activation));
}

void HR_LEVEL_NAME(hr_cpu_activate)(const void *op, int64_t first, int64_t last)
{
    const hr_activate_args *args = op;

    if (args->activation == HR_ACT_SILU)
        activate(args, first, last, HR_ACT_SILU);
    else if (args->activation == HR_ACT_GELU_TANH)
        activate(args, first, last, HR_ACT_GELU_TANH);
    else
        activate(args, first, last, HR_ACT_NONE);
}

void HR_LEVEL_NAME(hr_cpu_gated_add)(const void *op, int64_t first, int64_t last)
{
    const hr_gated_add_args *args = op;
    int64_t n = hr_tensor_width(&args->x);

    for (int64_t row = first; row < last; row++) {
        float *x = element(&args->x, row * n);
        const void *y = element(&args->y, row * n);

        for (int64_t i = 0; i < n; i += VEC) {
            vec add = vec_get(y, args->y.dtype, i, n);

            if (args->gate.n_dims > 0)
                add *= vec_get(args->gate.data, HR_F32, i, n);
            vec_put(x, HR_F32, i, n, vec_get(x, HR_F32, i, n) + add);
        }
    }
}

void HR_LEVEL_NAME(hr_cpu_geglu)(const void *op, int64_t first, int64_t last)
{
    const hr_geglu_args *args = op;

    for (int64_t i = first; i < last; i += VEC)
        vec_put(args->out.data, args->out.dtype, i, last,
                vec_gelu_tanh(vec_get(args->a.data, args->a.dtype, i, last)) *
                    vec_get(args->b.data, args->b.dtype, i, last));
}

/* With fma on every level: the sampler's results do not depend on the machine. */
void HR_LEVEL_NAME(hr_cpu_lincomb)(const void *op, int64_t first, int64_t last)
{
    const hr_lincomb_args *args = op;
    vec c[HR_LINCOMB_MAX], sum;

    for (int k = 0; k < args->n; k++)
        c[k] = vec_set(args->c[k]);
    for (int64_t i = first; i < last; i += VEC) {
        sum = c[0] * vec_get(args->x[0].data, HR_F32, i, last);
        for (int k = 1; k < args->n; k++)
            sum = vec_true_fma(c[k], vec_get(args->x[k].data, HR_F32, i, last), sum);
        vec_put(args->out.data, HR_F32, i, last, sum);
    }
}

void HR_LEVEL_NAME(hr_cpu_gather_rows)(const void *op, int64_t first, int64_t last)
{
    const hr_gather_rows_args *args = op;
    int64_t n = args->out.dim[1];

    for (int64_t row = first; row < last; row++) {
        const void *from =
            element(&args->table, ((const int32_t *)args->ids.data)[row] * n);
        void *to = element(&args->out, row * n);

        for (int64_t i = 0; i < n; i += VEC)
            vec_put(to, args->out.dtype, i, n, vec_get(from, args->table.dtype, i, n));
    }
}

void HR_LEVEL_NAME(hr_cpu_fill)(const void *op, int64_t first, int64_t last)
{
    const hr_fill_args *args = op;

    for (int64_t i = first; i < last; i += VEC)
        vec_put(args->out.data, args->out.dtype, i, last, vec_set(args->value));
}
