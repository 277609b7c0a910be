#include "support/reference.h"

#include <math.h>

/* Element i of a host tensor; 0 for an absent one. */
static double at(const hr_tensor *t, int64_t i)
{
    return hr_tensor_is_absent(t) ? 0 : ((const float *)t->data)[i];
}

static double activated(double x, hr_activation activation)
{
    if (activation == HR_ACT_SILU)
        return x / (1 + exp(-x));
    if (activation == HR_ACT_GELU_TANH)
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    return x;
}

void hr_reference_linear(const void *args, const hr_tensor *weight, double *out)
{
    const hr_linear_args *a = args;
    int64_t n_out = weight->dim[0], n_in = weight->dim[1];

    for (int64_t m = 0; m < a->x.dim[0]; m++)
        for (int64_t o = 0; o < n_out; o++) {
            double sum = at(&a->bias, o);

            for (int64_t i = 0; i < n_in; i++)
                sum += at(&a->x, m * n_in + i) * at(weight, o * n_in + i);
            out[m * n_out + o] = activated(sum, a->activation);
        }
}

/* The sum over one window; (t, y, x) is its first corner in the padded input. */
static double convolved(const hr_conv_args *a, const hr_tensor *w, int64_t o,
                        const int64_t corner[3])
{
    const int64_t *in = a->x.dim, *k = w->dim;
    int64_t n_taps = k[2] * k[3] * k[4];
    double sum = 0;

    for (int64_t tap = 0; tap < n_taps; tap++) {
        int64_t t = corner[0] + tap / (k[3] * k[4]);
        int64_t y = corner[1] + tap / k[4] % k[3] - a->pad_top;
        int64_t x = corner[2] + tap % k[4] - a->pad_left;

        if (y < 0 || y >= in[1] || x < 0 || x >= in[2])
            continue;
        for (int64_t c = 0; c < in[3]; c++)
            sum += at(&a->x, ((t * in[1] + y) * in[2] + x) * in[3] + c) *
                   at(w, (o * k[1] + c) * n_taps + tap);
    }
    return sum;
}

void hr_reference_conv(const void *args, const hr_tensor *weight, double *out)
{
    const hr_conv_args *a = args;
    const int64_t *dim = a->out.dim;

    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++) {
        int64_t o = i % dim[3], pixel = i / dim[3];
        int64_t corner[3] = {pixel / (dim[1] * dim[2]), pixel / dim[2] % dim[1],
                             pixel % dim[2]};

        out[i] = at(&a->bias, o) + convolved(a, weight, o, corner) +
                 (a->accumulate ? at(&a->out, i) : 0);
    }
}

static double score(const hr_attention_args *a, int64_t i, int64_t j, int64_t head)
{
    int64_t lq = a->q.dim[0], lk = a->k.dim[0], heads = a->q.dim[1], width = a->q.dim[2];
    double dot = 0;

    for (int64_t d = 0; d < width; d++)
        dot += at(&a->q, (i * heads + head) * width + d) *
               at(&a->k, (j * heads + head) * width + d);
    return (double)a->scale * dot + at(&a->key_bias, j) +
           at(&a->relative_bias, head * (lq + lk - 1) + j - i + lq - 1);
}

static void attend(const hr_attention_args *a, int64_t i, int64_t head, double *out)
{
    int64_t lk = a->k.dim[0], heads = a->q.dim[1], width = a->q.dim[2];
    double largest = -INFINITY, total = 0;

    for (int64_t j = 0; j < lk; j++)
        largest = fmax(largest, score(a, i, j, head));
    for (int64_t d = 0; d < width; d++)
        out[d] = 0;
    for (int64_t j = 0; j < lk; j++) {
        double weight = exp(score(a, i, j, head) - largest);

        total += weight;
        for (int64_t d = 0; d < width; d++)
            out[d] += weight * at(&a->v, (j * heads + head) * width + d);
    }
    for (int64_t d = 0; d < width; d++)
        out[d] /= total;
}

void hr_reference_attention(const void *args, const hr_tensor *weight, double *out)
{
    const hr_attention_args *a = args;
    int64_t heads = a->q.dim[1], width = a->q.dim[2];

    (void)weight;
    for (int64_t i = 0; i < a->q.dim[0]; i++)
        for (int64_t head = 0; head < heads; head++)
            attend(a, i, head, out + (i * heads + head) * width);
}

/* The mean that is taken off and the factor of a row. */
static double row_factor(const hr_norm_args *a, int64_t first, int64_t width,
                         double *mean)
{
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < width && a->kind == HR_NORM_LAYER; i++)
        sum += at(&a->x, first + i);
    *mean = sum / (double)width;
    for (int64_t i = 0; i < width; i++)
        squares += (at(&a->x, first + i) - *mean) * (at(&a->x, first + i) - *mean);
    if (!hr_tensor_is_absent(&a->squares))
        return 1 / sqrt(at(&a->squares, first / width) / (double)a->squares_width +
                        (double)a->eps);
    if (a->kind == HR_NORM_L2)
        return sqrt((double)width) / fmax(sqrt(squares), (double)a->eps);
    return 1 / sqrt(squares / (double)width + (double)a->eps);
}

void hr_reference_norm(const void *args, const hr_tensor *weight, double *out)
{
    const hr_norm_args *a = args;
    int64_t width = hr_tensor_width(&a->x), rows = hr_tensor_rows(&a->x);

    (void)weight;
    for (int64_t row = 0; row < rows; row++) {
        double mean, factor = row_factor(a, row * width, width, &mean);

        for (int64_t i = 0; i < width; i++) {
            double w = hr_tensor_is_absent(&a->weight) ? (a->weight_plus_one ? 0 : 1)
                                                       : at(&a->weight, i);
            double y = (at(&a->x, row * width + i) - mean) * factor;

            y = y * (w + (a->weight_plus_one ? 1 : 0)) + at(&a->bias, i);
            out[row * width + i] = activated(y, a->activation);
        }
    }
}

void hr_reference_row_squares(const void *args, const hr_tensor *weight, double *out)
{
    const hr_row_squares_args *a = args;
    int64_t width = a->x.dim[1];

    (void)weight;
    for (int64_t row = 0; row < a->x.dim[0]; row++) {
        out[row] = 0;
        for (int64_t i = row * width; i < (row + 1) * width; i++)
            out[row] += at(&a->x, i) * at(&a->x, i);
    }
}

void hr_reference_rope(const void *args, const hr_tensor *weight, double *out)
{
    const hr_rope_args *a = args;
    int64_t heads = a->x.dim[1], half = a->x.dim[2] / 2;

    (void)weight;
    for (int64_t pair = 0; pair < hr_tensor_count(&a->x) / 2; pair++) {
        int64_t angle = pair / (heads * half) * half + pair % half;
        double c = at(&a->cos, angle), s = at(&a->sin, angle);
        double even = at(&a->x, 2 * pair), odd = at(&a->x, 2 * pair + 1);

        out[2 * pair] = even * c - odd * s;
        out[2 * pair + 1] = even * s + odd * c;
    }
}

void hr_reference_gated_add(const void *args, const hr_tensor *weight, double *out)
{
    const hr_gated_add_args *a = args;
    int64_t width = hr_tensor_width(&a->x);

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->x); i++)
        out[i] =
            at(&a->x, i) +
            (hr_tensor_is_absent(&a->gate) ? 1 : at(&a->gate, i % width)) * at(&a->y, i);
}

void hr_reference_activate(const void *args, const hr_tensor *weight, double *out)
{
    const hr_activate_args *a = args;

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->x); i++)
        out[i] = activated(at(&a->x, i), a->activation);
}

void hr_reference_geglu(const void *args, const hr_tensor *weight, double *out)
{
    const hr_geglu_args *a = args;

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->a); i++)
        out[i] = activated(at(&a->a, i), HR_ACT_GELU_TANH) * at(&a->b, i);
}

/* In float with fma, from the left: the contract leaves no other result. */
void hr_reference_lincomb(const void *args, const hr_tensor *weight, double *out)
{
    const hr_lincomb_args *a = args;

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++) {
        float sum = a->c[0] * ((const float *)a->x[0].data)[i];

        for (int k = 1; k < a->n; k++)
            sum = fmaf(a->c[k], ((const float *)a->x[k].data)[i], sum);
        out[i] = (double)sum;
    }
}

void hr_reference_gather_rows(const void *args, const hr_tensor *weight, double *out)
{
    const hr_gather_rows_args *a = args;
    const int32_t *ids = a->ids.data;
    int64_t width = a->table.dim[1];

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++)
        out[i] = at(&a->table, ids[i / width] * width + i % width);
}

/* The element of the latent [F, C, H, W] that is feature (c, pt, ph, pw) of a token. */
static int64_t latent_place(const int64_t dim[4], const int64_t patch[3], int64_t token,
                            const int64_t feature[4])
{
    int64_t columns = dim[3] / patch[2], rows = dim[2] / patch[1];
    int64_t f = token / (rows * columns) * patch[0] + feature[1];
    int64_t y = token / columns % rows * patch[1] + feature[2];
    int64_t x = token % columns * patch[2] + feature[3];

    return ((f * dim[1] + feature[0]) * dim[2] + y) * dim[3] + x;
}

void hr_reference_patchify(const void *args, const hr_tensor *weight, double *out)
{
    const hr_patchify_args *a = args;
    const int64_t *p = a->patch;
    int64_t width = a->out.dim[1], volume = p[0] * p[1] * p[2];

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++) {
        int64_t k = i % width;
        int64_t feature[4] = {k / volume, k / (p[1] * p[2]) % p[0], k / p[2] % p[1],
                              k % p[2]};

        out[i] = at(&a->x, latent_place(a->x.dim, p, i / width, feature));
    }
}

void hr_reference_unpatchify(const void *args, const hr_tensor *weight, double *out)
{
    const hr_unpatchify_args *a = args;
    const int64_t *p = a->patch;
    int64_t width = a->x.dim[1], channels = a->out.dim[1];

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->x); i++) {
        int64_t k = i % width;
        int64_t feature[4] = {k % channels, k / (channels * p[1] * p[2]),
                              k / (channels * p[2]) % p[1], k / channels % p[2]};

        out[latent_place(a->out.dim, p, i / width, feature)] = at(&a->x, i);
    }
}

void hr_reference_denormalize(const void *args, const hr_tensor *weight, double *out)
{
    const hr_denormalize_args *a = args;
    int64_t channels = a->x.dim[0], pixels = a->x.dim[1] * a->x.dim[2];

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->x); i++) {
        int64_t c = i % channels;

        out[i] =
            at(&a->x, c * pixels + i / channels) / at(&a->inv_std, c) + at(&a->mean, c);
    }
}

void hr_reference_upsample(const void *args, const hr_tensor *weight, double *out)
{
    const hr_upsample_args *a = args;
    const int64_t *dim = a->out.dim;

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++) {
        int64_t c = i % dim[3], x = i / dim[3] % dim[2],
                y = i / (dim[3] * dim[2]) % dim[1];
        int64_t t = i / (dim[3] * dim[2] * dim[1]);

        out[i] =
            at(&a->x, ((t * (dim[1] / 2) + y / 2) * (dim[2] / 2) + x / 2) * dim[3] + c);
    }
}

void hr_reference_split_frames(const void *args, const hr_tensor *weight, double *out)
{
    const hr_split_frames_args *a = args;
    int64_t channels = a->out.dim[3], pixels = a->out.dim[1] * a->out.dim[2];

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++) {
        int64_t c = i % channels, pixel = i / channels % pixels,
                t = i / (channels * pixels);

        out[i] =
            at(&a->x, (t / 2 * pixels + pixel) * 2 * channels + t % 2 * channels + c);
    }
}

void hr_reference_add_duplicated(const void *args, const hr_tensor *weight, double *out)
{
    const hr_add_duplicated_args *a = args;
    const int64_t *dim = a->out.dim, *in = a->x.dim;
    int64_t repeats = dim[3] * a->ft * 4 / in[3];

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++) {
        int64_t o = i % dim[3], x = i / dim[3] % dim[2],
                y = i / (dim[3] * dim[2]) % dim[1];
        int64_t t = i / (dim[3] * dim[2] * dim[1]) + a->skip;
        int64_t c = (((o * a->ft + t % a->ft) * 2 + y % 2) * 2 + x % 2) / repeats;

        out[i] = at(&a->out, i) +
                 at(&a->x, ((t / a->ft * in[1] + y / 2) * in[2] + x / 2) * in[3] + c);
    }
}

void hr_reference_to_rgb(const void *args, const hr_tensor *weight, double *out)
{
    const hr_to_rgb_args *a = args;
    const int64_t *dim = a->out.dim, p = a->patch;

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++) {
        int64_t c = i % 3, x = i / 3 % dim[2], y = i / (3 * dim[2]) % dim[1];
        int64_t t = i / (3 * dim[2] * dim[1]);
        int64_t pixel = (t * (dim[1] / p) + y / p) * (dim[2] / p) + x / p;
        double v = at(&a->x, pixel * 3 * p * p + (c * p + x % p) * p + y % p);

        out[i] = fmin(fmax(fmin(fmax(v, -1), 1) * 0.5 + 0.5, 0), 1);
    }
}

void hr_reference_fill(const void *args, const hr_tensor *weight, double *out)
{
    const hr_fill_args *a = args;

    (void)weight;
    for (int64_t i = 0; i < hr_tensor_count(&a->out); i++)
        out[i] = (double)a->value;
}
