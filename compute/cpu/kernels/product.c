/* Before and after a matrix product: its rows, and what becomes of it. */
#include "compute/cpu/kernels/level.h"

/* Inlined with a constant activation, as in pointwise.c, and number of products. */
static inline __attribute__((always_inline)) void
store(const hr_cpu_store *piece, hr_activation activation, int n_products)
{
    const hr_tensor *out = &piece->out;
    const float *bias = NULL;
    int64_t n = piece->width, next = piece->next_product;
    bool accumulate = piece->accumulate;

    if (piece->bias.n_dims > 0)
        bias = (const float *)piece->bias.data + piece->column;
    for (int64_t row = 0; row < piece->rows; row++) {
        const float *product = piece->product + row * n;
        void *to =
            element(out, (piece->row + row) * hr_tensor_width(out) + piece->column);
        hr_dtype dtype = out->dtype;

        for (int64_t i = 0; i < n; i += VEC) {
            vec y = vec_get(product, HR_F32, i, n);

            if (bias != NULL)
                y += vec_get(bias, HR_F32, i, n);
            if (n_products > 1)
                y += vec_get(product + next, HR_F32, i, n);
            if (n_products > 2)
                y += vec_get(product + 2 * next, HR_F32, i, n) +
                     vec_get(product + 3 * next, HR_F32, i, n);
            if (accumulate)
                y += vec_get(to, dtype, i, n);
            vec_put(to, dtype, i, n, activated(y, activation));
        }
    }
}

void HR_LEVEL_NAME(hr_cpu_store_product)(const hr_cpu_store *piece)
{
    if (piece->n_products == 4)
        store(piece, piece->activation, 4);
    else if (piece->n_products == 2)
        store(piece, piece->activation, 2);
    else if (piece->activation == HR_ACT_SILU)
        store(piece, HR_ACT_SILU, 1);
    else if (piece->activation == HR_ACT_GELU_TANH)
        store(piece, HR_ACT_GELU_TANH, 1);
    else
        store(piece, HR_ACT_NONE, 1);
}

void HR_LEVEL_NAME(hr_cpu_widen)(const uint16_t *from, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i += VEC)
        vec_put(to, HR_F32, i, n, vec_get(from, HR_BF16, i, n));
}

/* Neighbours in a row of x lie side by side, so one row of the kernel is one copy. */
static float *unfold_row(const hr_conv_args *args, const float *row, int64_t x, float *to)
{
    int64_t width = args->x.dim[2], n = args->x.dim[3], kernel = args->weight->dim[4];
    int64_t left = x < 0 ? -x : 0;
    int64_t right = x + kernel > width ? x + kernel - width : 0;
    int64_t inside = (kernel - left - right) * n;

    for (int64_t i = 0; i < left * n; i++)
        to[i] = 0;
    to += left * n;
    for (int64_t i = 0; i < inside; i += VEC)
        vec_put(to, HR_F32, i, inside, vec_get(row + (x + left) * n, HR_F32, i, inside));
    to += inside;
    for (int64_t i = 0; i < right * n; i++)
        to[i] = 0;
    return to + right * n;
}

static float *unfold_pixel(const hr_conv_args *args, int64_t pixel, float *to)
{
    const int64_t *in = args->x.dim, *out = args->out.dim,
                  *kernel = args->weight->dim + 2;
    int64_t x = pixel % out[2] - args->pad_left;
    int64_t y = pixel / out[2] % out[1] - args->pad_top, t = pixel / out[2] / out[1];
    size_t row_floats = (size_t)(kernel[2] * in[3]);

    for (int64_t dt = 0; dt < kernel[0]; dt++)
        for (int64_t dy = 0; dy < kernel[1]; dy++) {
            int64_t row = (t + dt) * in[1] + y + dy;

            if (y + dy < 0 || y + dy >= in[1]) {
                memset(to, 0, row_floats * sizeof(float));
                to += row_floats;
            } else {
                to = unfold_row(args, (const float *)args->x.data + row * in[2] * in[3],
                                x, to);
            }
        }
    return to;
}

void HR_LEVEL_NAME(hr_cpu_unfold)(const void *op, int64_t first, int64_t n, float *to)
{
    for (int64_t i = 0; i < n; i++)
        to = unfold_pixel(op, first + i, to);
}
