/* The contracts of ops.h, one function per operator. */
#include "compute/backend.h"

enum { F32 = 1 << HR_F32, BF16 = 1 << HR_BF16, I32 = 1 << HR_I32, FP = F32 | BF16 };

/* A dimension that may have any value. */
enum { ANY = -1 };

#define REQUIRE(condition, rule)                                                         \
    do {                                                                                 \
        if (!(condition))                                                                \
            return rule;                                                                 \
    } while (0)

static bool is(const hr_tensor *t, unsigned types, int n_dims, const int64_t *dim)
{
    if (t->n_dims == 0 || t->n_dims != n_dims || (types & 1U << t->dtype) == 0)
        return false;
    for (int i = 0; i < n_dims; i++)
        if (dim[i] != ANY && dim[i] != t->dim[i])
            return false;
    return true;
}

static bool is_absent_or(const hr_tensor *t, unsigned types, int n_dims,
                         const int64_t *dim)
{
    return hr_tensor_is_absent(t) || is(t, types, n_dims, dim);
}

static bool is_like(const hr_tensor *t, unsigned types, const hr_tensor *shape)
{
    return is(t, types, shape->n_dims, shape->dim);
}

static bool apart(const hr_tensor *a, const hr_tensor *b)
{
    uintptr_t from_a = (uintptr_t)a->data, from_b = (uintptr_t)b->data;

    return from_a + hr_tensor_bytes(a) <= from_b || from_b + hr_tensor_bytes(b) <= from_a;
}

/* The same memory with the same types, or no shared memory. */
static bool same_or_apart(const hr_tensor *a, const hr_tensor *b)
{
    return apart(a, b) || (a->data == b->data && a->dtype == b->dtype);
}

/* Slices of pictures do. Kernels rely on it: oneDNN 2.6 for SSE adds to aligned memory
 * only. */
static bool starts_at_a_pixel(const hr_tensor *t)
{
    return hr_tensor_width(t) % 4 != 0 || (uintptr_t)t->data % 16 == 0;
}

static bool is_activation(hr_activation activation)
{
    return activation == HR_ACT_NONE || activation == HR_ACT_SILU ||
           activation == HR_ACT_GELU_TANH;
}

const char *hr_op_check_linear(const hr_linear_args *args)
{
    const hr_packed *w = args->weight;
    int64_t rows = args->x.dim[0];

    REQUIRE(w != NULL && w->kind == HR_PACKED_LINEAR && w->device == args->x.device,
            "weight is packed for linear on this device");
    REQUIRE(is(&args->x, 1U << w->dtype, HR_DIMS(ANY, w->dim[1])),
            "x is [M, in] in the type of the weight");
    REQUIRE(is_absent_or(&args->bias, F32, HR_DIMS(w->dim[0])), "bias is F32 [out]");
    REQUIRE(is(&args->out, FP, HR_DIMS(rows, w->dim[0])), "out is fp [M, out]");
    REQUIRE(apart(&args->out, &args->x) && apart(&args->out, &args->bias),
            "out overlaps nothing");
    REQUIRE(is_activation(args->activation), "activation is known");
    return NULL;
}

const char *hr_op_check_conv(const hr_conv_args *args)
{
    const hr_packed *w = args->weight;
    const int64_t *x = args->x.dim;

    REQUIRE(w != NULL && w->kind == HR_PACKED_CONV && w->device == args->x.device,
            "weight is packed for conv on this device");
    REQUIRE(w->dtype == HR_F32 && is(&args->x, F32, HR_DIMS(ANY, ANY, ANY, w->dim[1])),
            "x and weight are F32, x is [T, H, W, C]");
    REQUIRE(starts_at_a_pixel(&args->x) && starts_at_a_pixel(&args->out) &&
                starts_at_a_pixel(&args->bias),
            "x, bias and out start at a whole pixel of aligned memory");
    REQUIRE(args->pad_top >= 0 && args->pad_bottom >= 0 && args->pad_left >= 0 &&
                args->pad_right >= 0,
            "pads are not negative");
    REQUIRE(is_absent_or(&args->bias, F32, HR_DIMS(w->dim[0])), "bias is F32 [Co]");
    REQUIRE(
        is(&args->out, F32,
           HR_DIMS(x[0] - w->dim[2] + 1,
                   x[1] + args->pad_top + args->pad_bottom - w->dim[3] + 1,
                   x[2] + args->pad_left + args->pad_right - w->dim[4] + 1, w->dim[0])),
        "out is F32 [T - kt + 1, H + pads - kh + 1, W + pads - kw + 1, Co]");
    REQUIRE(apart(&args->out, &args->x) && apart(&args->out, &args->bias),
            "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_attention(const hr_attention_args *args)
{
    unsigned type = FP & 1U << args->q.dtype;
    int64_t lq = args->q.dim[0], heads = args->q.dim[1], width = args->q.dim[2];
    int64_t lk = args->k.dim[0];

    REQUIRE(is(&args->q, FP, HR_DIMS(ANY, ANY, ANY)), "q is fp [Lq, heads, D]");
    REQUIRE(is(&args->k, type, HR_DIMS(ANY, heads, width)),
            "k is [Lk, heads, D] in the type of q");
    REQUIRE(is_like(&args->v, type, &args->k), "v is as k");
    REQUIRE(is_absent_or(&args->key_bias, F32, HR_DIMS(lk)), "key_bias is F32 [Lk]");
    REQUIRE(is_absent_or(&args->relative_bias, F32, HR_DIMS(heads, lq + lk - 1)),
            "relative_bias is F32 [heads, Lq + Lk - 1]");
    REQUIRE(is_like(&args->out, FP, &args->q), "out is fp [Lq, heads, D]");
    REQUIRE(apart(&args->out, &args->q) && apart(&args->out, &args->k) &&
                apart(&args->out, &args->v) && apart(&args->out, &args->key_bias) &&
                apart(&args->out, &args->relative_bias),
            "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_norm(const hr_norm_args *args)
{
    int64_t width = hr_tensor_width(&args->x);

    REQUIRE(is_like(&args->x, FP, &args->x), "x is fp");
    REQUIRE(is_absent_or(&args->weight, F32, HR_DIMS(width)), "weight is F32 [width]");
    REQUIRE(is_absent_or(&args->bias, F32, HR_DIMS(width)), "bias is F32 [width]");
    REQUIRE(is_absent_or(&args->squares, F32, HR_DIMS(hr_tensor_rows(&args->x))) &&
                (hr_tensor_is_absent(&args->squares) ||
                 (args->kind == HR_NORM_RMS && args->squares_width >= width)),
            "squares is F32 [rows], of rows at least as wide, for the kind rms");
    REQUIRE(is_like(&args->out, FP, &args->x), "out is fp in the shape of x");
    REQUIRE(same_or_apart(&args->out, &args->x) && apart(&args->out, &args->weight) &&
                apart(&args->out, &args->bias) && apart(&args->out, &args->squares),
            "out is x or overlaps nothing");
    REQUIRE(args->kind == HR_NORM_LAYER || args->kind == HR_NORM_RMS ||
                args->kind == HR_NORM_L2,
            "kind is known");
    REQUIRE(args->activation == HR_ACT_NONE || args->activation == HR_ACT_SILU,
            "activation is none or silu");
    return NULL;
}

const char *hr_op_check_row_squares(const hr_row_squares_args *args)
{
    int n = args->n_shards;

    REQUIRE(is(&args->x, FP, HR_DIMS(ANY, ANY)), "x is fp [rows, width]");
    REQUIRE(n >= 1 && (n & (n - 1)) == 0 && args->x.dim[1] % n == 0,
            "n_shards is a power of two that divides the width");
    REQUIRE(is(&args->out, F32, HR_DIMS(args->x.dim[0])), "out is F32 [rows]");
    REQUIRE(apart(&args->out, &args->x), "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_rope(const hr_rope_args *args)
{
    int64_t rows = args->x.dim[0], width = args->x.dim[2];

    REQUIRE(is(&args->x, FP, HR_DIMS(ANY, ANY, ANY)) && width % 2 == 0,
            "x is fp [L, heads, D], D even");
    REQUIRE(is(&args->cos, F32, HR_DIMS(rows, width / 2)), "cos is F32 [L, D/2]");
    REQUIRE(is(&args->sin, F32, HR_DIMS(rows, width / 2)), "sin is F32 [L, D/2]");
    REQUIRE(is_like(&args->out, FP, &args->x), "out is fp in the shape of x");
    REQUIRE(same_or_apart(&args->out, &args->x) && apart(&args->out, &args->cos) &&
                apart(&args->out, &args->sin),
            "out is x or overlaps nothing");
    return NULL;
}

const char *hr_op_check_gated_add(const hr_gated_add_args *args)
{
    REQUIRE(is_like(&args->x, F32, &args->x), "x is F32");
    REQUIRE(is_like(&args->y, FP, &args->x), "y is fp in the shape of x");
    REQUIRE(is_absent_or(&args->gate, F32, HR_DIMS(hr_tensor_width(&args->x))),
            "gate is F32 [width]");
    REQUIRE(apart(&args->x, &args->y) && apart(&args->x, &args->gate),
            "x overlaps nothing");
    return NULL;
}

const char *hr_op_check_activate(const hr_activate_args *args)
{
    REQUIRE(is_like(&args->x, FP, &args->x), "x is fp");
    REQUIRE(is_like(&args->out, FP, &args->x), "out is fp in the shape of x");
    REQUIRE(same_or_apart(&args->out, &args->x), "out is x or overlaps nothing");
    REQUIRE(is_activation(args->activation), "activation is known");
    return NULL;
}

const char *hr_op_check_geglu(const hr_geglu_args *args)
{
    REQUIRE(is_like(&args->a, FP, &args->a), "a is fp");
    REQUIRE(is_like(&args->b, FP, &args->a), "b is fp in the shape of a");
    REQUIRE(is_like(&args->out, FP, &args->a), "out is fp in the shape of a");
    REQUIRE(same_or_apart(&args->out, &args->a) && same_or_apart(&args->out, &args->b),
            "out is a, is b or overlaps nothing");
    return NULL;
}

const char *hr_op_check_lincomb(const hr_lincomb_args *args)
{
    REQUIRE(args->n >= 1 && args->n <= HR_LINCOMB_MAX, "n is in 1..5");
    REQUIRE(is_like(&args->out, F32, &args->out), "out is F32");
    for (int i = 0; i < HR_LINCOMB_MAX; i++) {
        if (i >= args->n) {
            REQUIRE(hr_tensor_is_absent(&args->x[i]), "x[n] and later are absent");
            continue;
        }
        REQUIRE(is_like(&args->x[i], F32, &args->out),
                "x[i] are F32 in the shape of out");
        REQUIRE(same_or_apart(&args->out, &args->x[i]),
                "out is some x or overlaps nothing");
    }
    return NULL;
}

const char *hr_op_check_gather_rows(const hr_gather_rows_args *args)
{
    int64_t width = args->table.dim[1], n = args->ids.dim[0];

    REQUIRE(is(&args->table, FP, HR_DIMS(ANY, ANY)), "table is fp [rows, width]");
    REQUIRE(is(&args->ids, I32, HR_DIMS(ANY)), "ids is I32 [n]");
    REQUIRE(is(&args->out, FP, HR_DIMS(n, width)), "out is fp [n, width]");
    REQUIRE(apart(&args->out, &args->table) && apart(&args->out, &args->ids),
            "out overlaps nothing");
    return NULL;
}

/* x: latent [F, C, H, W], tokens: [L, C * patch volume]. */
static const char *check_patches(const hr_tensor *x, const hr_tensor *tokens,
                                 const int64_t patch[3], const char *rule)
{
    const int64_t *dim = x->dim;

    REQUIRE(x->n_dims == 4, "the latent has 4 dimensions");
    REQUIRE(patch[0] >= 1 && patch[1] >= 1 && patch[2] >= 1 && dim[0] % patch[0] == 0 &&
                dim[2] % patch[1] == 0 && dim[3] % patch[2] == 0,
            "the patch divides F, H and W");
    REQUIRE(is(tokens, FP,
               HR_DIMS(dim[0] / patch[0] * (dim[2] / patch[1]) * (dim[3] / patch[2]),
                       dim[1] * patch[0] * patch[1] * patch[2])),
            rule);
    REQUIRE(apart(x, tokens), "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_patchify(const hr_patchify_args *args)
{
    REQUIRE(is(&args->x, F32, HR_DIMS(ANY, ANY, ANY, ANY)), "x is F32 [F, C, H, W]");
    return check_patches(&args->x, &args->out, args->patch, "out is fp [L, C*pt*ph*pw]");
}

const char *hr_op_check_unpatchify(const hr_unpatchify_args *args)
{
    REQUIRE(is(&args->out, F32, HR_DIMS(ANY, ANY, ANY, ANY)), "out is F32 [F, C, H, W]");
    REQUIRE(is(&args->x, F32, HR_DIMS(ANY, ANY)), "x is F32 [L, pt*ph*pw*C]");
    return check_patches(&args->out, &args->x, args->patch, "x is F32 [L, pt*ph*pw*C]");
}

const char *hr_op_check_denormalize(const hr_denormalize_args *args)
{
    const int64_t *x = args->x.dim;

    REQUIRE(is(&args->x, F32, HR_DIMS(ANY, ANY, ANY)), "x is F32 [C, H, W]");
    REQUIRE(is(&args->inv_std, F32, HR_DIMS(x[0])), "inv_std is F32 [C]");
    REQUIRE(is(&args->mean, F32, HR_DIMS(x[0])), "mean is F32 [C]");
    REQUIRE(is(&args->out, F32, HR_DIMS(1, x[1], x[2], x[0])), "out is F32 [1, H, W, C]");
    REQUIRE(apart(&args->out, &args->x) && apart(&args->out, &args->inv_std) &&
                apart(&args->out, &args->mean),
            "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_upsample(const hr_upsample_args *args)
{
    const int64_t *x = args->x.dim;

    REQUIRE(is(&args->x, F32, HR_DIMS(ANY, ANY, ANY, ANY)), "x is F32 [T, H, W, C]");
    REQUIRE(is(&args->out, F32, HR_DIMS(x[0], 2 * x[1], 2 * x[2], x[3])),
            "out is F32 [T, 2H, 2W, C]");
    REQUIRE(apart(&args->out, &args->x), "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_split_frames(const hr_split_frames_args *args)
{
    const int64_t *x = args->x.dim;

    REQUIRE(is(&args->x, F32, HR_DIMS(ANY, ANY, ANY, ANY)) && x[3] % 2 == 0,
            "x is F32 [T, H, W, 2C]");
    REQUIRE(is(&args->out, F32, HR_DIMS(2 * x[0], x[1], x[2], x[3] / 2)),
            "out is F32 [2T, H, W, C]");
    REQUIRE(apart(&args->out, &args->x), "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_add_duplicated(const hr_add_duplicated_args *args)
{
    const int64_t *x = args->x.dim;
    int64_t channels = args->out.dim[3];

    REQUIRE(is(&args->x, F32, HR_DIMS(ANY, ANY, ANY, ANY)), "x is F32 [T, H, W, C]");
    REQUIRE(args->ft >= 1 && args->skip >= 0, "ft is at least 1 and skip at least 0");
    REQUIRE(is(&args->out, F32,
               HR_DIMS(x[0] * args->ft - args->skip, 2 * x[1], 2 * x[2], ANY)),
            "out is F32 [T*ft - skip, 2H, 2W, Co]");
    REQUIRE(channels * args->ft * 4 % x[3] == 0, "C divides Co*ft*4");
    REQUIRE(apart(&args->out, &args->x), "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_to_rgb(const hr_to_rgb_args *args)
{
    const int64_t *x = args->x.dim, patch = args->patch;

    REQUIRE(patch >= 1, "patch is at least 1");
    REQUIRE(is(&args->x, F32, HR_DIMS(ANY, ANY, ANY, 3 * patch * patch)),
            "x is F32 [T, H, W, 3*P*P]");
    REQUIRE(is(&args->out, F32, HR_DIMS(x[0], x[1] * patch, x[2] * patch, 3)),
            "out is F32 [T, H*P, W*P, 3]");
    REQUIRE(apart(&args->out, &args->x), "out overlaps nothing");
    return NULL;
}

const char *hr_op_check_fill(const hr_fill_args *args)
{
    REQUIRE(is_like(&args->out, FP, &args->out), "out is fp");
    return NULL;
}
