/* What operators refuse, one line each; on each device of HR_TEST_DEVICE. */
#include "compute/ops.h"

#include "base/memory.h"
#include "support/device.h"
#include "support/test_util.h"

/* Tensors are slices of one piece of memory, so that their order and overlap are known.
 */
typedef struct fixture {
    hr_test_device on;
    hr_tensor memory;
    int64_t used;
} fixture;

static fixture the;

static int setup(void **state)
{
    (void)state;
    the = (fixture){.on = hr_test_device_start(1)};
    hr_test_ok(hr_tensor_create(the.on.device, HR_F32, HR_DIMS(100000), &the.memory));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hr_test_ok(hr_stream_sync(the.on.stream));
    hr_tensor_free(&the.memory);
    hr_test_device_stop(&the.on);
    return 0;
}

static hr_tensor tensor(hr_dtype dtype, int n_dims, const int64_t *dim)
{
    hr_tensor t = hr_tensor_slice(&the.memory, the.used, 1);

    t.dtype = dtype;
    t.n_dims = n_dims;
    for (int i = 0; i < n_dims; i++)
        t.dim[i] = dim[i];
    the.used += (hr_tensor_count(&t) + 15) / 16 * 16;
    return t;
}

#define F32(...) tensor(HR_F32, HR_DIMS(__VA_ARGS__))
#define BF16(...) tensor(HR_BF16, HR_DIMS(__VA_ARGS__))
#define I32(...) tensor(HR_I32, HR_DIMS(__VA_ARGS__))

#define ACCEPTS(op, args) hr_test_ok(hr_op_##op(the.on.stream, &(args)))
#define REFUSES(op, args, part)                                                          \
    hr_test_fails(HR_ERR_INTERNAL, part, hr_op_##op(the.on.stream, &(args)))
/* The operator takes `args` and refuses it with one member changed. */
#define REFUSES_WITH(op, args, member, value, part)                                      \
    do {                                                                                 \
        hr_##op##_args changed = args;                                                   \
        changed.member = value;                                                          \
        REFUSES(op, changed, part);                                                      \
    } while (0)

static hr_packed *pack(bool conv, hr_dtype dtype, int n_dims, const int64_t *dim)
{
    hr_tensor w = tensor(dtype, n_dims, dim);
    hr_packed *packed = NULL;

    hr_test_ok(hr_op_fill(the.on.stream, &(hr_fill_args){.out = w, .value = 0.5F}));
    if (conv)
        hr_test_ok(hr_pack_conv(the.on.stream, &w, &packed));
    else
        hr_test_ok(hr_pack_linear(the.on.stream, &w, &packed));
    return packed;
}

static void the_line_names_operator_rule_and_shapes(void **state)
{
    hr_activate_args args = {.x = F32(2, 3), .out = BF16(3, 2)};

    (void)state;
    REFUSES(
        activate, args,
        "operator activate: expected that out is fp in the shape of x; tensors: F32 (2, "
        "3), BF16 (3, 2)");
    args.out = (hr_tensor){0};
    REFUSES(activate, args, "F32 (2, 3), absent");
}

static void tensors_must_be_sound(void **state)
{
    hr_test_device other = hr_test_device_start(1);
    hr_activate_args args = {.x = F32(4, 2), .out = F32(4, 2)};
    hr_tensor t = args.x;

    (void)state;
    ACCEPTS(activate, args);
    t.n_dims = 6;
    REFUSES_WITH(activate, args, x, t, "1 to 5 dimensions");
    t = args.x;
    t.dim[1] = 0;
    REFUSES_WITH(activate, args, x, t, "not empty; tensor 0");
    t = args.out;
    t.data = NULL;
    REFUSES_WITH(activate, args, out, t, "aligned memory; tensor 1");
    t.data = (char *)args.out.data + 2;
    REFUSES_WITH(activate, args, out, t, "aligned memory");
    hr_test_fails(HR_ERR_INTERNAL, "on the device of the stream",
                  hr_op_activate(other.stream, &args));
    hr_test_device_stop(&other);
}

static void linear(void **state)
{
    hr_packed *w = pack(false, HR_F32, HR_DIMS(5, 7)),
              *b = pack(false, HR_BF16, HR_DIMS(5, 7));
    hr_packed *conv = pack(true, HR_F32, HR_DIMS(5, 7, 1, 1, 1));
    hr_linear_args args = {.x = F32(3, 7), .bias = F32(5), .weight = w, .out = F32(3, 5)};

    (void)state;
    ACCEPTS(linear, args);
    REFUSES_WITH(linear, args, weight, NULL, "packed for linear");
    REFUSES_WITH(linear, args, weight, conv, "packed for linear");
    REFUSES_WITH(linear, args, weight, b, "x is [M, in] in the type of the weight");
    REFUSES_WITH(linear, args, x, F32(3, 8), "x is [M, in]");
    REFUSES_WITH(linear, args, x, F32(3, 1, 7), "x is [M, in]");
    REFUSES_WITH(linear, args, bias, F32(7), "bias");
    REFUSES_WITH(linear, args, bias, BF16(5), "bias");
    REFUSES_WITH(linear, args, out, F32(3, 7), "out is fp [M, out]");
    REFUSES_WITH(linear, args, out, I32(3, 5), "out is fp [M, out]");
    REFUSES_WITH(linear, args, out, ((hr_tensor){0}), "out is fp [M, out]");
    REFUSES_WITH(linear, args, out, hr_tensor_reshape(&args.bias, HR_DIMS(1, 5)), "out");
    REFUSES_WITH(linear, args, activation, (hr_activation)9, "activation");
    args.x = F32(3, 7);
    args.out = hr_tensor_reshape(&args.x, HR_DIMS(21));
    args.out = hr_tensor_slice(&args.out, 6, 15);
    args.out = hr_tensor_reshape(&args.out, HR_DIMS(3, 5));
    REFUSES(linear, args, "overlaps nothing");
    hr_test_ok(hr_stream_sync(the.on.stream));
    hr_packed_destroy(w);
    hr_packed_destroy(b);
    hr_packed_destroy(conv);
}

static void conv(void **state)
{
    hr_packed *w = pack(true, HR_F32, HR_DIMS(4, 3, 3, 3, 2));
    hr_packed *flat = pack(true, HR_F32, HR_DIMS(4, 3, 3, 3));
    hr_conv_args args = {.x = F32(3, 5, 6, 3),
                         .weight = w,
                         .pad_top = 1,
                         .pad_bottom = 1,
                         .pad_left = 1,
                         .out = F32(1, 5, 6, 4)};
    hr_conv_args plain = {
        .x = F32(3, 5, 6, 3), .weight = flat, .bias = F32(4), .out = F32(3, 3, 4, 4)};
    hr_tensor shifted = args.out;

    (void)state;
    ACCEPTS(conv, args);
    ACCEPTS(conv, plain);
    REFUSES_WITH(conv, args, weight, NULL, "packed for conv");
    REFUSES_WITH(conv, args, x, F32(3, 5, 6, 4), "x is [T, H, W, C]");
    REFUSES_WITH(conv, args, x, BF16(3, 5, 6, 3), "x and weight are F32");
    REFUSES_WITH(conv, args, x, F32(2, 5, 6, 3), "T - kt + 1");
    REFUSES_WITH(conv, args, pad_right, 1, "W + pads - kw + 1");
    REFUSES_WITH(conv, args, pad_top, -1, "pads are not negative");
    REFUSES_WITH(conv, args, bias, F32(3), "bias is F32 [Co]");
    REFUSES_WITH(conv, args, out, BF16(1, 5, 6, 4), "out is F32");
    REFUSES_WITH(conv, args, out, F32(1, 5, 6, 3), "Co]");
    shifted.data = (char *)shifted.data + sizeof(float);
    REFUSES_WITH(conv, args, out, shifted, "start at a whole pixel");
    hr_test_ok(hr_stream_sync(the.on.stream));
    hr_packed_destroy(w);
    hr_packed_destroy(flat);
}

static void packing(void **state)
{
    hr_packed *packed = NULL;
    hr_tensor cube = F32(2, 3, 4), ids = I32(2, 3), narrow = F32(5), none = {0};

    (void)state;
    hr_test_fails(HR_ERR_INTERNAL, "the weight is [out, in]; tensors: F32 (2, 3, 4)",
                  hr_pack_linear(the.on.stream, &cube, &packed));
    hr_test_fails(HR_ERR_INTERNAL, "F32 or BF16",
                  hr_pack_linear(the.on.stream, &ids, &packed));
    hr_test_fails(HR_ERR_INTERNAL, "the weight is",
                  hr_pack_conv(the.on.stream, &narrow, &packed));
    hr_test_fails(HR_ERR_INTERNAL, "the weight is",
                  hr_pack_conv(the.on.stream, &none, &packed));
    assert_null(packed);
}

static void shards(void **state)
{
    static const hr_shards bad[] = {{HR_SHARDS_BY_OUT, 0, 1}, {HR_SHARDS_BY_OUT, 4, 2},
                                    {HR_SHARDS_BY_OUT, 4, 4}, {HR_SHARDS_BY_IN, 8, 8},
                                    {HR_SHARDS_BY_IN, 3, 3},  {HR_SHARDS_BY_IN, 4, 16}};
    hr_tensor w = F32(6, 12);
    hr_packed *packed = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        hr_test_fails(HR_ERR_INTERNAL, "the shards divide the weight",
                      hr_pack_linear_shards(the.on.stream, &w, &bad[i], &packed));
    assert_null(packed);
}

static void attention(void **state)
{
    hr_attention_args args = {.q = F32(4, 2, 6),
                              .k = F32(5, 2, 6),
                              .v = F32(5, 2, 6),
                              .key_bias = F32(5),
                              .relative_bias = F32(2, 8),
                              .out = BF16(4, 2, 6),
                              .scale = 1};

    (void)state;
    REFUSES_WITH(attention, args, q, F32(4, 12), "q is fp [Lq, heads, D]");
    REFUSES_WITH(attention, args, q, I32(4, 2, 6), "q is fp");
    REFUSES_WITH(attention, args, k, BF16(5, 2, 6), "in the type of q");
    REFUSES_WITH(attention, args, k, F32(5, 3, 6), "k is");
    REFUSES_WITH(attention, args, v, F32(6, 2, 6), "v is as k");
    REFUSES_WITH(attention, args, key_bias, F32(4), "key_bias is F32 [Lk]");
    REFUSES_WITH(attention, args, relative_bias, F32(2, 9), "relative_bias");
    REFUSES_WITH(attention, args, out, F32(5, 2, 6), "out is fp");
    REFUSES_WITH(attention, args, out, args.q, "overlaps nothing");
    REFUSES_WITH(attention, args, k, ((hr_tensor){0}), "k is");
}

static void norm_and_rope(void **state)
{
    hr_norm_args norm = {
        .x = F32(2, 3, 8), .weight = F32(8), .out = F32(2, 3, 8), .eps = 1e-6F};
    hr_row_squares_args rows = {.x = F32(3, 8), .out = F32(3), .n_shards = 2};
    hr_rope_args rope = {
        .x = F32(3, 2, 8), .cos = F32(3, 4), .sin = F32(3, 4), .out = F32(3, 2, 8)};
    hr_tensor shifted = norm.x;

    (void)state;
    shifted.data = (char *)shifted.data + 4;
    REFUSES_WITH(norm, norm, x, I32(2, 3, 8), "x is fp");
    REFUSES_WITH(norm, norm, weight, F32(3), "weight is F32 [width]");
    REFUSES_WITH(norm, norm, bias, BF16(8), "bias is F32 [width]");
    REFUSES_WITH(norm, norm, out, F32(6, 8), "shape of x");
    REFUSES_WITH(norm, norm, out, shifted, "out is x or overlaps nothing");
    REFUSES_WITH(norm, norm, kind, (hr_norm_kind)5, "kind");
    REFUSES_WITH(norm, norm, activation, HR_ACT_GELU_TANH, "none or silu");
    REFUSES_WITH(norm, norm, squares, F32(6), "squares is F32 [rows]");
    norm.kind = HR_NORM_RMS;
    norm.squares_width = 16;
    REFUSES_WITH(norm, norm, squares, F32(3), "squares is F32 [rows]");
    norm.squares = F32(6);
    ACCEPTS(norm, norm);
    REFUSES_WITH(norm, norm, squares_width, 7, "rows at least as wide");
    ACCEPTS(row_squares, rows);
    REFUSES_WITH(row_squares, rows, n_shards, 3, "a power of two that divides");
    REFUSES_WITH(row_squares, rows, n_shards, 16, "a power of two that divides");
    REFUSES_WITH(row_squares, rows, x, F32(3, 2, 4), "x is fp [rows, width]");
    REFUSES_WITH(row_squares, rows, out, F32(4), "out is F32 [rows]");
    REFUSES_WITH(row_squares, rows, out, rows.x, "out is F32 [rows]");
    shifted = rope.x;
    shifted.dtype = HR_BF16;
    REFUSES_WITH(rope, rope, x, F32(3, 2, 7), "D even");
    REFUSES_WITH(rope, rope, cos, F32(3, 8), "cos is F32 [L, D/2]");
    REFUSES_WITH(rope, rope, sin, F32(2, 4), "sin is F32 [L, D/2]");
    REFUSES_WITH(rope, rope, out, shifted, "out is x or overlaps nothing");
}

static void pointwise(void **state)
{
    hr_gated_add_args add = {.x = F32(3, 4), .y = BF16(3, 4), .gate = F32(4)};
    hr_geglu_args geglu = {.a = F32(3, 4), .b = BF16(3, 4), .out = F32(3, 4)};
    hr_lincomb_args sum = {.x = {F32(3, 4), F32(3, 4)}, .out = F32(3, 4), .n = 2};
    hr_activate_args act = {.x = F32(3, 4), .out = F32(3, 4)};
    hr_fill_args fill = {.out = I32(3)};

    (void)state;
    REFUSES_WITH(gated_add, add, x, BF16(3, 4), "x is F32");
    REFUSES_WITH(gated_add, add, y, F32(4, 3), "shape of x");
    REFUSES_WITH(gated_add, add, gate, F32(3), "gate is F32 [width]");
    REFUSES_WITH(gated_add, add, y, add.x, "x overlaps nothing");
    REFUSES_WITH(geglu, geglu, b, F32(4, 3), "b is fp");
    REFUSES_WITH(geglu, geglu, out, I32(3, 4), "out is fp");
    REFUSES_WITH(lincomb, sum, n, 0, "n is in 1..5");
    REFUSES_WITH(lincomb, sum, n, 6, "n is in 1..5");
    REFUSES_WITH(lincomb, sum, n, 1, "x[n] and later are absent");
    REFUSES_WITH(lincomb, sum, n, 3, "x[i] are F32");
    REFUSES_WITH(lincomb, sum, x[1], BF16(3, 4), "x[i] are F32");
    REFUSES_WITH(activate, act, activation, (hr_activation)-1, "activation is known");
    REFUSES(fill, fill, "out is fp");
}

static void rows_and_patches(void **state)
{
    hr_gather_rows_args rows = {.table = BF16(9, 4), .ids = I32(3), .out = F32(3, 4)};
    hr_patchify_args in = {.x = F32(2, 3, 4, 6), .out = BF16(12, 12), .patch = {1, 2, 2}};
    hr_unpatchify_args out = {
        .x = F32(12, 12), .out = F32(2, 3, 4, 6), .patch = {1, 2, 2}};

    (void)state;
    REFUSES_WITH(gather_rows, rows, ids, F32(3), "ids is I32");
    REFUSES_WITH(gather_rows, rows, out, F32(4, 4), "out is fp [n, width]");
    REFUSES_WITH(gather_rows, rows, table, F32(36), "table is fp");
    REFUSES_WITH(patchify, in, patch[2], 4, "divides");
    REFUSES_WITH(patchify, in, patch[0], 0, "divides");
    REFUSES_WITH(patchify, in, patch[0], 2, "out is fp [L, C*pt*ph*pw]");
    REFUSES_WITH(patchify, in, x, F32(6, 4, 6), "x is F32 [F, C, H, W]");
    REFUSES_WITH(unpatchify, out, x, BF16(12, 12), "x is F32");
    REFUSES_WITH(unpatchify, out, x, F32(6, 24), "x is F32 [L, pt*ph*pw*C]");
    REFUSES_WITH(unpatchify, out, out, F32(2, 3, 4, 5), "divides");
}

static void pictures(void **state)
{
    hr_denormalize_args denorm = {
        .x = F32(3, 4, 5), .inv_std = F32(3), .mean = F32(3), .out = F32(1, 4, 5, 3)};
    hr_upsample_args up = {.x = F32(2, 3, 4, 5), .out = F32(2, 6, 8, 5)};
    hr_split_frames_args split = {.x = F32(2, 3, 4, 6), .out = F32(4, 3, 4, 3)};
    hr_add_duplicated_args dup = {
        .x = F32(2, 3, 4, 8), .out = F32(3, 6, 8, 4), .ft = 2, .skip = 1};
    hr_to_rgb_args rgb = {.x = F32(1, 2, 3, 12), .out = F32(1, 4, 6, 3), .patch = 2};

    (void)state;
    REFUSES_WITH(denormalize, denorm, mean, F32(4), "mean is F32 [C]");
    REFUSES_WITH(denormalize, denorm, inv_std, ((hr_tensor){0}), "inv_std is F32 [C]");
    REFUSES_WITH(denormalize, denorm, out, F32(4, 5, 3), "out is F32 [1, H, W, C]");
    REFUSES_WITH(upsample, up, out, F32(2, 6, 4, 5), "out is F32 [T, 2H, 2W, C]");
    REFUSES_WITH(split_frames, split, x, F32(2, 3, 4, 7), "2C]");
    REFUSES_WITH(split_frames, split, out, F32(2, 3, 4, 3), "out is F32 [2T, H, W, C]");
    REFUSES_WITH(add_duplicated, dup, ft, 0, "ft is at least 1");
    REFUSES_WITH(add_duplicated, dup, skip, -1, "skip at least 0");
    REFUSES_WITH(add_duplicated, dup, skip, 0, "T*ft - skip");
    REFUSES_WITH(add_duplicated, dup, x, F32(2, 3, 4, 7), "C divides Co*ft*4");
    REFUSES_WITH(to_rgb, rgb, patch, 0, "patch is at least 1");
    REFUSES_WITH(to_rgb, rgb, patch, 1, "3*P*P");
    REFUSES_WITH(to_rgb, rgb, out, F32(1, 4, 6, 4), "out is F32 [T, H*P, W*P, 3]");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_line_names_operator_rule_and_shapes),
        TEST(tensors_must_be_sound),
        TEST(linear),
        TEST(conv),
        TEST(packing),
        TEST(shards),
        TEST(attention),
        TEST(norm_and_rope),
        TEST(pointwise),
        TEST(rows_and_patches),
        TEST(pictures),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
