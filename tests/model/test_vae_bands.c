/* The decoder cut into bands of rows gives the bits of the whole picture, on
 * HR_TEST_RANKS ranks and each HR_TEST_DEVICE; and the rows of its operators do not
 * depend on how many are done at once. */
#include "support/device.h"
#include "support/golden.h"
#include "support/ranks.h"

#include "base/memory.h"
#include "compute/arena.h"
#include "model/vae.h"

#include <string.h>

static const char *const cases[] = {"wan21-tiny", "wan21-odd", "wan22-moe", "wan22-5b"};
enum { N_CASES = 4, N_LATENTS = 3, WIDTH = 6 };

typedef struct rig {
    hr_test_device on;
    hr_golden *golden;
    hr_model_config config;
    hr_weights *weights;
    hr_vae *vae;
    hr_arena *arena;
} rig;

static rig *rig_start(const char *name, int threads)
{
    rig *r = hr_alloc(sizeof *r);
    const char *folder;

    assert_non_null(r);
    r->on = hr_test_device_start(threads);
    r->golden = hr_golden_open(name);
    folder = hr_golden_pipeline(r->golden);
    hr_test_ok(hr_model_config_load(folder, &r->config));
    hr_test_ok(hr_weights_open(hr_test_path(folder, "vae"), "diffusion_pytorch_model",
                               &r->weights));
    hr_test_ok(hr_vae_expect(&r->config.vae, r->weights));
    hr_test_ok(hr_weights_check(r->weights));
    hr_test_ok(hr_vae_open(&r->config.vae, r->weights, r->on.stream, &r->vae));
    hr_test_ok(hr_arena_create(r->on.device, &r->arena));
    return r;
}

static void rig_stop(rig *r)
{
    hr_arena_destroy(r->arena);
    hr_vae_close(r->vae);
    hr_weights_close(r->weights);
    hr_golden_close(r->golden);
    hr_test_device_stop(&r->on);
    hr_free(r);
}

static hr_vae_decoder *decoder_of(const rig *r, int64_t height, hr_group *group)
{
    hr_vae_decoder *decoder = NULL;
    const hr_vae_decoder_options options = {
        .height = height, .width = WIDTH, .group = group};

    hr_test_ok(hr_vae_decoder_create(r->vae, r->on.stream, &options, &decoder));
    return decoder;
}

/* Pictures of latent frame `f`, to be freed: [n, rows, width, 3]. */
static float *decode(const rig *r, hr_vae_decoder *decoder, int64_t height, int64_t f,
                     int64_t *n)
{
    int64_t z = r->config.vae.z_dim, scale = r->config.vae.scale_spatial;
    int64_t rows = hr_vae_decoder_band(decoder).n * scale;
    float *latent = hr_alloc((size_t)(z * height * WIDTH) * sizeof(float)), *rgb;
    hr_tensor in, out;

    *n = hr_vae_decoder_next_frames(decoder);
    hr_test_random((uint32_t)(height * 10 + f), latent, (size_t)(z * height * WIDTH));
    in = hr_test_upload(r->on.stream, HR_F32, HR_DIMS(z, height, WIDTH), latent);
    hr_test_ok(hr_tensor_create(r->on.device, HR_F32, HR_DIMS(*n, rows, WIDTH * scale, 3),
                                &out));
    hr_test_ok(hr_vae_decoder_run(decoder, r->on.stream, r->arena, &in, &out, NULL));
    rgb = hr_test_download(r->on.stream, &out);
    hr_tensor_free(&in);
    hr_tensor_free(&out);
    hr_free(latent);
    return rgb;
}

/* The band's pictures against the same rows of the whole's. */
static void compare(const rig *r, const hr_vae_decoder *banded, const float *whole,
                    const float *band, int64_t height, int64_t n)
{
    int64_t scale = r->config.vae.scale_spatial, row = WIDTH * scale * 3;
    hr_band own = hr_vae_decoder_band(banded);
    size_t bytes = (size_t)(own.n * scale * row) * sizeof(float);

    for (int64_t t = 0; t < n; t++)
        assert_memory_equal(whole + (t * height + own.first) * scale * row,
                            band + t * own.n * scale * row, bytes);
}

static void check_height(const rig *r, int64_t height, hr_group *group)
{
    hr_vae_decoder *whole = decoder_of(r, height, NULL);
    hr_vae_decoder *banded = decoder_of(r, height, group);

    for (int64_t f = 0; f < N_LATENTS; f++) {
        int64_t n, m;
        float *a = decode(r, whole, height, f, &n);
        float *b = decode(r, banded, height, f, &m);

        assert_int_equal(n, m);
        compare(r, banded, a, b, height, n);
        hr_free(a);
        hr_free(b);
    }
    hr_vae_decoder_destroy(banded);
    hr_vae_decoder_destroy(whole);
}

static void test_bands(hr_group *group)
{
    int size = hr_group_size(group);

    for (int i = 0; i < N_CASES; i++) {
        rig *r = rig_start(cases[i], 1);

        check_height(r, size, group);
        check_height(r, 2 * size + 1, group);
        rig_stop(r);
    }
}

/* Begun again, a decoder gives what a new one gives. */
static void test_restart(hr_group *group)
{
    rig *r = rig_start("wan22-5b", 1);
    int64_t height = hr_group_size(group) + 1, n, m;
    hr_vae_decoder *used = decoder_of(r, height, group);
    hr_vae_decoder *fresh = decoder_of(r, height, group);

    for (int64_t f = 0; f < N_LATENTS; f++)
        hr_free(decode(r, used, height, f, &n));
    hr_test_ok(hr_vae_decoder_restart(used));
    for (int64_t f = N_LATENTS; f-- > 0;) {
        float *a = decode(r, used, height, f, &n), *b = decode(r, fresh, height, f, &m);
        int64_t scale = r->config.vae.scale_spatial;
        int64_t rows = n * hr_vae_decoder_band(used).n * scale;

        assert_int_equal(n, m);
        assert_memory_equal(a, b, (size_t)(rows * WIDTH * scale * 3) * sizeof(float));
        hr_free(a);
        hr_free(b);
    }
    hr_vae_decoder_destroy(used);
    hr_vae_decoder_destroy(fresh);
    rig_stop(r);
}

enum { LOW = 2, MORE = 3 }; /* latent rows; latent frames behind the past's reach */

/* Begun on latent frame `begun`, a decoder makes the whole's pictures from begun + past
 * on, and not one latent frame earlier. */
static void check_begun(const rig *r, int64_t begun, int64_t past, float *const *whole)
{
    hr_vae_decoder *late = decoder_of(r, LOW, NULL);
    int64_t scale = r->config.vae.scale_spatial;

    for (int64_t f = begun; f < past + MORE; f++) {
        int64_t n;
        float *rgb = decode(r, late, LOW, f, &n);
        size_t bytes = (size_t)(n * LOW * scale * WIDTH * scale * 3) * sizeof *rgb;

        if (f >= begun + past)
            assert_memory_equal(rgb, whole[f], bytes);
        else if (f == begun + past - 1)
            assert_memory_not_equal(rgb, whole[f], bytes);
        hr_free(rgb);
    }
    hr_vae_decoder_destroy(late);
}

static void test_receptive_frames(hr_group *group)
{
    if (hr_group_size(group) > 1) /* has nothing to do with ranks */
        return;
    for (int i = 0; i < N_CASES; i++) {
        rig *r = rig_start(cases[i], 1);
        int64_t past = hr_vae_receptive_frames(&r->config.vae), n;
        hr_vae_decoder *decoder = decoder_of(r, LOW, NULL);
        float **whole = hr_alloc((size_t)(past + MORE) * sizeof *whole);

        assert_int_equal(past, 38);
        for (int64_t f = 0; f < past + MORE; f++)
            whole[f] = decode(r, decoder, LOW, f, &n);
        for (int64_t begun = 1; begun < MORE; begun++)
            check_begun(r, begun, past, whole);
        for (int64_t f = 0; f < past + MORE; f++)
            hr_free(whole[f]);
        hr_free(whole);
        hr_vae_decoder_destroy(decoder);
        rig_stop(r);
    }
}

/* The sum for VAEs of other shapes: nothing doubles frames; one that doubles them first.
 */
static void test_receptive_frames_of_other_shapes(hr_group *group)
{
    hr_vae_config vae = {.n_res_blocks = 1, .n_stages = 2, .dim_mult = {1, 1}};

    (void)group;
    /* conv_in, 2 resnets, 2 x 2 resnets, conv_out: 14 convolutions */
    assert_int_equal(hr_vae_receptive_frames(&vae), 28);
    /* 9 before the doubler: from frame 17 on; 2 (17 + 2) = 38, 5 more: 48, rate 2 */
    vae.temporal_up[0] = true;
    assert_int_equal(hr_vae_receptive_frames(&vae), 25);
}

/* As wide as the largest layers of Wan's own VAE. */
enum { CHANNELS = 384, ROWS = 13, COLUMNS = 9 };

static float *run_conv(const hr_test_device *on, const hr_packed *weight,
                       const hr_tensor *x, int top, int bottom, size_t *bytes)
{
    int64_t height = x->dim[1] + top + bottom - 2;
    hr_tensor out;
    float *result;

    hr_test_ok(hr_tensor_create(on->device, HR_F32, HR_DIMS(1, height, COLUMNS, CHANNELS),
                                &out));
    hr_test_ok(hr_op_conv(on->stream, &(hr_conv_args){.x = *x,
                                                      .out = out,
                                                      .weight = weight,
                                                      .pad_top = top,
                                                      .pad_bottom = bottom,
                                                      .pad_left = 1,
                                                      .pad_right = 1}));
    *bytes = hr_tensor_bytes(&out);
    result = hr_test_download(on->stream, &out);
    hr_tensor_free(&out);
    return result;
}

/* Rows [first, first + n) of a wide convolution, from those rows and their neighbours. */
static void check_rows_of_a_wide_convolution(void)
{
    hr_test_device on = hr_test_device_start(2);
    size_t n_weights = CHANNELS * CHANNELS * 9, n_values = ROWS * COLUMNS * CHANNELS;
    float *values = hr_alloc(n_weights * sizeof(float)), *whole;
    hr_tensor kernel, x, lines;
    hr_packed *weight;
    size_t bytes;

    hr_test_random(1, values, n_weights);
    kernel = hr_test_upload(on.stream, HR_F32, HR_DIMS(CHANNELS, CHANNELS, 3, 3), values);
    hr_test_ok(hr_pack_conv(on.stream, &kernel, &weight));
    hr_test_random(2, values, n_values);
    x = hr_test_upload(on.stream, HR_F32, HR_DIMS(1, ROWS, COLUMNS, CHANNELS), values);
    lines = hr_tensor_reshape(&x, HR_DIMS(ROWS, COLUMNS, CHANNELS));
    whole = run_conv(&on, weight, &x, 1, 1, &bytes);
    for (int n = 1; n < ROWS; n = 2 * n + 1)
        for (int first = 0; first + n <= ROWS; first++) {
            int above = first > 0, below = first + n < ROWS;
            hr_tensor part = hr_tensor_slice(&lines, first - above, above + n + below);
            float *band;

            part = hr_tensor_reshape(&part, HR_DIMS(1, part.dim[0], COLUMNS, CHANNELS));
            band = run_conv(&on, weight, &part, 1 - above, 1 - below, &bytes);
            assert_memory_equal(band, whole + first * COLUMNS * CHANNELS, bytes);
            hr_free(band);
        }
    hr_free(whole);
    hr_free(values);
    hr_packed_destroy(weight);
    hr_tensor_free(&x);
    hr_tensor_free(&kernel);
    hr_test_device_stop(&on);
}

static void check_slice(const hr_test_device *on, const hr_tensor *part,
                        const float *whole)
{
    float *got = hr_test_download(on->stream, part);

    assert_memory_equal(got, whole, hr_tensor_bytes(part));
    hr_free(got);
}

/* Pixels [first, first + n) through a product and through attention. */
static void check_rows_of_products_and_attention(void)
{
    static const int64_t counts[] = {1, 2, 7, 16, 31, 64, 97, 150, 200};
    enum { PIXELS = 201 };
    hr_test_device on = hr_test_device_start(2);
    size_t n = PIXELS * CHANNELS;
    float *values = hr_alloc((size_t)CHANNELS * CHANNELS * sizeof(float));
    float *products = NULL, *attended = NULL;
    hr_tensor kernel, x, y, z;
    hr_packed *weight;

    hr_test_random(3, values, CHANNELS * CHANNELS);
    kernel = hr_test_upload(on.stream, HR_F32, HR_DIMS(CHANNELS, CHANNELS), values);
    hr_test_ok(hr_pack_linear(on.stream, &kernel, &weight));
    hr_test_random(4, values, n);
    x = hr_test_upload(on.stream, HR_F32, HR_DIMS(PIXELS, CHANNELS), values);
    hr_test_ok(hr_tensor_create(on.device, HR_F32, x.n_dims, x.dim, &y));
    hr_test_ok(hr_tensor_create(on.device, HR_F32, x.n_dims, x.dim, &z));
    for (int i = -1; i < 9; i++) {
        int64_t rows = i < 0 ? PIXELS : counts[i], first = PIXELS - rows;
        hr_tensor in = hr_tensor_slice(&x, first, rows);
        hr_tensor out = hr_tensor_slice(&y, first, rows);
        hr_tensor attention = hr_tensor_slice(&z, first, rows);
        hr_tensor all = hr_tensor_reshape(&x, HR_DIMS(PIXELS, 1, CHANNELS));

        hr_test_ok(hr_op_linear(
            on.stream, &(hr_linear_args){.x = in, .out = out, .weight = weight}));
        hr_test_ok(hr_op_attention(
            on.stream,
            &(hr_attention_args){
                .q = hr_tensor_reshape(&in, HR_DIMS(rows, 1, CHANNELS)),
                .k = all,
                .v = all,
                .out = hr_tensor_reshape(&attention, HR_DIMS(rows, 1, CHANNELS)),
                .scale = 0.05F}));
        if (i < 0) {
            products = hr_test_download(on.stream, &y);
            attended = hr_test_download(on.stream, &z);
            continue;
        }
        check_slice(&on, &out, products + first * CHANNELS);
        check_slice(&on, &attention, attended + first * CHANNELS);
    }
    hr_free(products);
    hr_free(attended);
    hr_free(values);
    hr_packed_destroy(weight);
    hr_tensor_free(&z);
    hr_tensor_free(&y);
    hr_tensor_free(&x);
    hr_tensor_free(&kernel);
    hr_test_device_stop(&on);
}

/* These have nothing to do with ranks: once is enough. */
static void test_rows_of_operators(hr_group *group)
{
    if (hr_group_size(group) > 1)
        return;
    check_rows_of_a_wide_convolution();
    check_rows_of_products_and_attention();
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(test_bands),
        HR_RANK_TEST(test_restart),
        HR_RANK_TEST(test_receptive_frames),
        HR_RANK_TEST(test_receptive_frames_of_other_shapes),
        HR_RANK_TEST(test_rows_of_operators),
    };

    return hr_test_run_on_ranks("model/vae_bands", tests, sizeof tests / sizeof tests[0]);
}
