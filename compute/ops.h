/* The operators: what any device can do with tensors. All local, all enqueued on a
 * stream.
 *
 * Each operator takes one struct that starts with its tensors (absent where optional:
 * leave it out of the initialiser). Call them as
 *
 *     hr_op_norm(stream, &(hr_norm_args){.x = x, .out = y, .kind = HR_NORM_RMS, .eps =
 * eps});
 *
 * ops.c checks shapes, dtypes and devices once, counts the work, then calls the backend,
 * which may assume valid input. A violated contract is HR_ERR_INTERNAL, logged with
 * operator and shapes. `out` does not overlap an input unless the operator says so.
 * Results have the same bits for any number of threads. "fp" below is F32 or BF16; all
 * arithmetic is fp32 (bf16 is storage and the format of matrix inputs). L, M: rows. */
#ifndef HR_COMPUTE_OPS_H
#define HR_COMPUTE_OPS_H

#include "compute/device.h"

typedef enum hr_activation {
    HR_ACT_NONE = 0,
    HR_ACT_SILU,     /* x / (1 + exp(-x)) */
    HR_ACT_GELU_TANH /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
} hr_activation;

/* Weights of linear or conv in the layout that the backend likes best. Opaque. */
typedef struct hr_packed hr_packed;

/* Makes packed weights; waits for the stream, `weight` can be freed afterwards. Caller
 * destroys (NULL is fine) once no enqueued work uses it. The weight is F32 or BF16:
 *   linear: [out, in];   conv: [out, in, kt, kh, kw] or [out, in, kh, kw].
 * With dtype BF16 the inputs of the product must be BF16, with F32 they must be F32. */
hr_status hr_pack_linear(hr_stream *stream, const hr_tensor *weight, hr_packed **out);
/* The same for a matrix that is cut into `total` equal shards, by rows (its outputs) or
 * by columns (its inputs), of which `weight` holds `n` neighbours. Every shard is a
 * product of its own: its bits depend neither on n nor on the shards beside it. */
typedef enum hr_shard_axis { HR_SHARDS_BY_OUT = 0, HR_SHARDS_BY_IN } hr_shard_axis;
enum { HR_SHARDS_MAX = 8 };
typedef struct hr_shards {
    hr_shard_axis axis;
    int n,
        total; /* powers of two, n <= total <= HR_SHARDS_MAX; n divides the dimension */
} hr_shards;
hr_status hr_pack_linear_shards(hr_stream *stream, const hr_tensor *weight,
                                const hr_shards *shards, hr_packed **out);
hr_status hr_pack_conv(hr_stream *stream, const hr_tensor *weight, hr_packed **out);
void hr_packed_destroy(hr_packed *packed);

/* out = activation(x W^T + bias).  x: fp [M, in] in the dtype of the weight; bias: F32
 * [out], optional; out: fp [M, out]. With shards by input the products of the n shards
 * are added in a binary tree, neighbours first, the bias to the first of them. */
typedef struct hr_linear_args {
    hr_tensor x, bias, out;
    const hr_packed *weight;
    hr_activation activation;
} hr_linear_args;
hr_status hr_op_linear(hr_stream *stream, const hr_linear_args *args);

/* Convolution over time, height and width, channels last, stride 1, no padding in time.
 *   x: F32 [T, H, W, C]; bias: F32 [Co], optional; out: F32 [T', H', W', Co] with
 *   T' = T - kt + 1,
 *   H' = H + pad_top + pad_bottom - kh + 1,
 *   W' = W + pad_left + pad_right - kw + 1.
 * Pads are zeros. With `accumulate`, out += result. Views of pictures start at a pixel,
 * as slices do. */
typedef struct hr_conv_args {
    hr_tensor x, bias, out;
    const hr_packed *weight;
    int pad_top, pad_bottom, pad_left, pad_right;
    bool accumulate;
} hr_conv_args;
hr_status hr_op_conv(hr_stream *stream, const hr_conv_args *args);

/* out = softmax(scale * q k^T + bias) v, per head, softmax in fp32, never holding the
 * scores. q: fp [Lq, heads, D]; k, v: fp [Lk, heads, D], dtype as q; out: fp [Lq, heads,
 * D]; key_bias: F32 [Lk], optional, added to the scores of that key; relative_bias: F32
 * [heads, Lq + Lk - 1], optional, entry (j - i + Lq - 1) added to the score of query i
 * and key j. */
typedef struct hr_attention_args {
    hr_tensor q, k, v, key_bias, relative_bias, out;
    float scale;
} hr_attention_args;
hr_status hr_op_attention(hr_stream *stream, const hr_attention_args *args);

typedef enum hr_norm_kind {
    HR_NORM_LAYER = 0, /* (x - mean) / sqrt(variance + eps), biased variance */
    HR_NORM_RMS,       /* x / sqrt(mean(x^2) + eps) */
    HR_NORM_L2         /* x / max(sqrt(sum(x^2)), eps) * sqrt(width) */
} hr_norm_kind;

/* out = activation(norm(x) * weight + bias) per row of the last dimension.
 *   x: fp [..., width]; weight, bias: F32 [width], optional; out: fp, shape of x, may
 * alias x where the dtypes are equal. With weight_plus_one the factor is (1 + weight).
 * Where x is a part of wider rows, HR_NORM_RMS takes their sums of squares from
 * `squares`, F32 [rows], and their width from `squares_width`. */
typedef struct hr_norm_args {
    hr_tensor x, weight, bias, squares, out;
    hr_norm_kind kind;
    float eps;
    bool weight_plus_one;
    hr_activation activation; /* NONE or SILU */
    int64_t squares_width;
} hr_norm_args;
hr_status hr_op_norm(hr_stream *stream, const hr_norm_args *args);

/* out[i] = the sum of the squares of row i, in F32: of each of n_shards equal parts by
 * itself, and those sums added in a binary tree, neighbours first.  x: fp [rows, width];
 * out: F32 [rows]; n_shards: a power of two that divides the width. */
typedef struct hr_row_squares_args {
    hr_tensor x, out;
    int n_shards;
} hr_row_squares_args;
hr_status hr_op_row_squares(hr_stream *stream, const hr_row_squares_args *args);

/* Rotates the pairs (2j, 2j+1) of each head by the angles of its row:
 *   out[2j] = x[2j] cos - x[2j+1] sin; out[2j+1] = x[2j] sin + x[2j+1] cos.
 *   x: fp [L, heads, D]; cos, sin: F32 [L, D/2]; out: fp, shape of x, may alias x where
 * the dtypes are equal. */
typedef struct hr_rope_args {
    hr_tensor x, cos, sin, out;
} hr_rope_args;
hr_status hr_op_rope(hr_stream *stream, const hr_rope_args *args);

/* x += gate * y, in place.  x: F32 [..., width]; y: fp, shape of x; gate: F32 [width],
 * optional (then 1). */
typedef struct hr_gated_add_args {
    hr_tensor x, y, gate;
} hr_gated_add_args;
hr_status hr_op_gated_add(hr_stream *stream, const hr_gated_add_args *args);

/* out = activation(x), also a conversion between F32 and BF16 with HR_ACT_NONE.
 * x, out: fp, same shape; out may alias x where the dtypes are equal. */
typedef struct hr_activate_args {
    hr_tensor x, out;
    hr_activation activation;
} hr_activate_args;
hr_status hr_op_activate(hr_stream *stream, const hr_activate_args *args);

/* out = gelu_tanh(a) * b.  a, b, out: fp, same shape; out may alias a or b where the
 * dtypes are equal. */
typedef struct hr_geglu_args {
    hr_tensor a, b, out;
} hr_geglu_args;
hr_status hr_op_geglu(hr_stream *stream, const hr_geglu_args *args);

/* out = c[0] x[0] + c[1] x[1] + ..., summed from the left, with fma.  x, out: F32, same
 * shape; unused x are absent, n says how many there are; out may alias any of them. */
enum { HR_LINCOMB_MAX = 5 };
typedef struct hr_lincomb_args {
    hr_tensor x[HR_LINCOMB_MAX], out;
    float c[HR_LINCOMB_MAX];
    int n;
} hr_lincomb_args;
hr_status hr_op_lincomb(hr_stream *stream, const hr_lincomb_args *args);

/* out[i, :] = table[ids[i], :].  table: fp [rows, width]; ids: I32 [n], each in 0..rows-1
 * (not checked on the device); out: fp [n, width]. */
typedef struct hr_gather_rows_args {
    hr_tensor table, ids, out;
} hr_gather_rows_args;
hr_status hr_op_gather_rows(hr_stream *stream, const hr_gather_rows_args *args);

/* Latent to tokens. x: F32 [F, C, H, W]; out: fp [L, C*pt*ph*pw], token (f, h, w)
 * row-major over the patches, features ordered (c, pt, ph, pw). */
typedef struct hr_patchify_args {
    hr_tensor x, out;
    int64_t patch[3];
} hr_patchify_args;
hr_status hr_op_patchify(hr_stream *stream, const hr_patchify_args *args);

/* Tokens to latent. x: F32 [L, pt*ph*pw*C], features ordered (pt, ph, pw, c); out: F32
 * [F, C, H, W]. */
typedef struct hr_unpatchify_args {
    hr_tensor x, out;
    int64_t patch[3];
} hr_unpatchify_args;
hr_status hr_op_unpatchify(hr_stream *stream, const hr_unpatchify_args *args);

/* One latent frame into the VAE's space, channels last: out[y, x, c] = in[c, y, x] /
 * inv_std[c] + mean[c].  x: F32 [C, H, W]; inv_std, mean: F32 [C]; out: F32 [1, H, W, C].
 */
typedef struct hr_denormalize_args {
    hr_tensor x, inv_std, mean, out;
} hr_denormalize_args;
hr_status hr_op_denormalize(hr_stream *stream, const hr_denormalize_args *args);

/* Each pixel becomes 2 x 2 equal ones.  x: F32 [T, H, W, C]; out: F32 [T, 2H, 2W, C]. */
typedef struct hr_upsample_args {
    hr_tensor x, out;
} hr_upsample_args;
hr_status hr_op_upsample(hr_stream *stream, const hr_upsample_args *args);

/* Two frames from the halves of the channels: out[2t + s, y, x, c] = x[t, y, x, s*C + c].
 * x: F32 [T, H, W, 2C]; out: F32 [2T, H, W, C]. */
typedef struct hr_split_frames_args {
    hr_tensor x, out;
} hr_split_frames_args;
hr_status hr_op_split_frames(hr_stream *stream, const hr_split_frames_args *args);

/* The duplicating shortcut of the Wan 2.2 VAE, added in place: with factor = ft*4 and
 * repeats = Co*factor/C,  out[t*ft + ti - skip, 2y + hi, 2x + wi, o] += x[t, y, x,
 * (((o*ft + ti)*2 + hi)*2 + wi) / repeats].  x: F32 [T, H, W, C]; out: F32 [T*ft - skip,
 * 2H, 2W, Co]. The first `skip` frames are dropped. */
typedef struct hr_add_duplicated_args {
    hr_tensor x, out;
    int ft, skip;
} hr_add_duplicated_args;
hr_status hr_op_add_duplicated(hr_stream *stream, const hr_add_duplicated_args *args);

/* Decoder output to pictures: clamp(clamp(v, -1, 1) * 0.5 + 0.5, 0, 1), with P x P pixels
 * taken from the channels: x[t, y, x, (c*P + r)*P + q] is pixel (y*P + q, x*P + r),
 * colour c. x: F32 [T, H, W, 3*P*P]; out: F32 [T, H*P, W*P, 3]. */
typedef struct hr_to_rgb_args {
    hr_tensor x, out;
    int patch;
} hr_to_rgb_args;
hr_status hr_op_to_rgb(hr_stream *stream, const hr_to_rgb_args *args);

/* Sets every element to `value`. out: fp. */
typedef struct hr_fill_args {
    hr_tensor out;
    float value;
} hr_fill_args;
hr_status hr_op_fill(hr_stream *stream, const hr_fill_args *args);

/* X(name, number of tensors at the head of its struct): one line per operator, from which
 * the backend table, the strict device and the tests are made. */
#define HR_OP_LIST(X)                                                                    \
    X(linear, 3)                                                                         \
    X(conv, 3)                                                                           \
    X(attention, 6)                                                                      \
    X(norm, 5)                                                                           \
    X(row_squares, 2)                                                                    \
    X(rope, 4)                                                                           \
    X(gated_add, 3)                                                                      \
    X(activate, 2)                                                                       \
    X(geglu, 3)                                                                          \
    X(lincomb, HR_LINCOMB_MAX + 1)                                                       \
    X(gather_rows, 3)                                                                    \
    X(patchify, 2)                                                                       \
    X(unpatchify, 2)                                                                     \
    X(denormalize, 4)                                                                    \
    X(upsample, 2)                                                                       \
    X(split_frames, 2)                                                                   \
    X(add_duplicated, 2)                                                                 \
    X(to_rgb, 2)                                                                         \
    X(fill, 1)

#endif
