/* Normalisation of rows, rotation of pairs. */
#include "compute/cpu/kernels/level.h"

/* Some elements at a time are summed in fp32, side by side so that none waits for the one
 * before, and those sums in double. Inlined with a constant `squared`. */
static inline __attribute__((always_inline)) double
sum_up(const void *x, hr_dtype dtype, int64_t n, float centre, bool squared)
{
    enum { WAYS = 4 };
    const int64_t chunk = 32 * VEC;
    double out = 0;

    for (int64_t first = 0; first < n; first += chunk) {
        vec sum[WAYS] = {0};
        int64_t i = first, last = first + chunk < n ? first + chunk : n;

        for (; i + WAYS * VEC <= last; i += WAYS * VEC)
            for (int way = 0; way < WAYS; way++) {
                vec d = vec_get(x, dtype, i + way * VEC, n) - centre;

                sum[way] = squared ? vec_fma(d, d, sum[way]) : sum[way] + d;
            }
        for (; i < last; i += VEC) {
            vec d = vec_get(x, dtype, i, n) - centre;

            d = last - i < VEC ? vec_first(d, last - i) : d;
            sum[0] = squared ? vec_fma(d, d, sum[0]) : sum[0] + d;
        }
        out += (double)vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
    return out;
}

static double sum_of_row(const void *x, hr_dtype dtype, int64_t n)
{
    return dtype == HR_F32 ? sum_up(x, HR_F32, n, 0, false)
                           : sum_up(x, HR_BF16, n, 0, false);
}

/* The sum of (x - centre)^2. */
static double squares_of_row(const void *x, hr_dtype dtype, int64_t n, float centre)
{
    return dtype == HR_F32 ? sum_up(x, HR_F32, n, centre, true)
                           : sum_up(x, HR_BF16, n, centre, true);
}

/* norm(x) = (x - mean) * factor, for row i. */
static void statistics(const hr_norm_args *args, int64_t i, float *mean, float *factor)
{
    int64_t n = hr_tensor_width(&args->x);
    const void *row = element(&args->x, i * n);
    double squares, root;

    *mean = 0;
    if (args->kind == HR_NORM_LAYER)
        *mean = (float)(sum_of_row(row, args->x.dtype, n) / (double)n);
    if (args->squares.n_dims > 0) {
        squares = (double)((const float *)args->squares.data)[i];
        n = args->squares_width;
    } else {
        squares = squares_of_row(row, args->x.dtype, n, *mean);
    }
    if (args->kind != HR_NORM_L2) {
        *factor = (float)(1 / sqrt(squares / (double)n + (double)args->eps));
        return;
    }
    root = sqrt(squares);
    *factor =
        (float)(sqrt((double)n) / (root > (double)args->eps ? root : (double)args->eps));
}

/* Inlined with constant types. */
static inline __attribute__((always_inline)) void
norm_row(const hr_norm_args *args, int64_t row, hr_dtype from, hr_dtype to)
{
    int64_t n = hr_tensor_width(&args->x);
    const void *x = element(&args->x, row * n);
    void *out = element(&args->out, row * n);
    const float *weight = args->weight.n_dims > 0 ? args->weight.data : NULL;
    const float *bias = args->bias.n_dims > 0 ? args->bias.data : NULL;
    bool silu = args->activation == HR_ACT_SILU;
    float mean, factor, one = args->weight_plus_one ? 1.0F : 0.0F;

    statistics(args, row, &mean, &factor);
    for (int64_t i = 0; i < n; i += VEC) {
        vec y = (vec_get(x, from, i, n) - mean) * factor;

        if (weight != NULL)
            y *= vec_get(weight, HR_F32, i, n) + one;
        if (bias != NULL)
            y += vec_get(bias, HR_F32, i, n);
        if (silu)
            y = vec_silu(y);
        vec_put(out, to, i, n, y);
    }
}

void HR_LEVEL_NAME(hr_cpu_norm)(const void *op, int64_t first, int64_t last)
{
    const hr_norm_args *args = op;

    for (int64_t row = first; row < last; row++) {
        if (args->x.dtype == HR_F32 && args->out.dtype == HR_F32)
            norm_row(args, row, HR_F32, HR_F32);
        else if (args->x.dtype == HR_F32)
            norm_row(args, row, HR_F32, HR_BF16);
        else
            norm_row(args, row, HR_BF16, args->out.dtype);
    }
}

/* The tree over `n` parts of `width` elements that begin at element `first`. */
static float squares_of_parts(const hr_tensor *x, int64_t first, int64_t width, int n)
{
    float left;

    if (n == 1)
        return (float)squares_of_row(element(x, first), x->dtype, width, 0);
    left = squares_of_parts(x, first, width, n / 2);
    return left + squares_of_parts(x, first + n / 2 * width, width, n / 2);
}

void HR_LEVEL_NAME(hr_cpu_row_squares)(const void *op, int64_t first, int64_t last)
{
    const hr_row_squares_args *args = op;
    int64_t width = args->x.dim[1], n = args->n_shards;
    float *out = args->out.data;

    for (int64_t row = first; row < last; row++)
        out[row] = squares_of_parts(&args->x, row * width, width / n, args->n_shards);
}

/* Even places get x cos - y sin, odd ones y cos + x sin: the element times cos, plus its
 * partner times the signed sin. */
static vec rotate(vec x, vec cosine, vec sine)
{
    vec_int swap, sign;
    vec partner;

    for (int i = 0; i < VEC; i++) {
        swap[i] = i ^ 1;
        sign[i] = i % 2 == 0 ? INT32_MIN : 0;
    }
    partner = __builtin_shuffle(x, swap);
    return vec_fma(x, cosine, partner * (vec)((vec_int)sine ^ sign));
}

/* Each angle of a row twice: [D/2] to [D]. */
static vec doubled(const float *angles, int64_t i, int64_t half)
{
    vec out = {0};

    for (int j = 0; j < VEC && i / 2 + j / 2 < half; j++)
        out[j] = angles[i / 2 + j / 2];
    return out;
}

void HR_LEVEL_NAME(hr_cpu_rope)(const void *op, int64_t first, int64_t last)
{
    const hr_rope_args *args = op;
    int64_t heads = args->x.dim[1], d = args->x.dim[2];

    for (int64_t row = first; row < last; row++) {
        const float *cosines = (const float *)args->cos.data + row * (d / 2);
        const float *sines = (const float *)args->sin.data + row * (d / 2);

        for (int64_t i = 0; i < d; i += VEC) {
            vec cosine = doubled(cosines, i, d / 2), sine = doubled(sines, i, d / 2);

            for (int64_t head = 0; head < heads; head++) {
                int64_t at = (row * heads + head) * d;
                vec x = vec_get(element(&args->x, at), args->x.dtype, i, d);

                vec_put(element(&args->out, at), args->out.dtype, i, d,
                        rotate(x, cosine, sine));
            }
        }
    }
}
