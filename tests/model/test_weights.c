/* Weight files: found, cross-checked, converted, refused. Runs on the device of
 * HR_TEST_DEVICE. */
#include "support/device.h"
#include "support/golden.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "io/safetensors.h"
#include "model/transformer.h"
#include "model/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STEM "diffusion_pytorch_model"
#define INDEX STEM ".safetensors.index.json"
#define SHARD_1 STEM "-00001-of-00002.safetensors"
#define SHARD_2 STEM "-00002-of-00002.safetensors"

static hr_test_device on;

static int start(void **state)
{
    (void)state;
    on = hr_test_device_start(1);
    return 0;
}

static int stop(void **state)
{
    hr_test_device_stop(&on);
    return hr_test_leak_teardown(state);
}

static hr_stored_tensor stored(const char *name, hr_dtype dtype, int64_t rows,
                               int64_t columns, const void *data)
{
    hr_stored_tensor t = {.name = name, .dtype = dtype, .n_dims = 2, .data = data};

    t.dim[0] = rows;
    t.dim[1] = columns;
    t.dtype_name = hr_dtype_name(dtype);
    t.n_elements = (size_t)(rows * columns);
    t.n_bytes = t.n_elements * hr_dtype_size(dtype);
    return t;
}

static void write_one(const char *folder, const char *file, const hr_stored_tensor *t)
{
    hr_test_ok(hr_safetensors_write(hr_test_path(folder, file), t, 1));
}

static void write_text(const char *folder, const char *file, const char *text)
{
    hr_test_write(hr_test_path(folder, file), text, strlen(text));
}

static const float six[6] = {1.0F, -2.5F, 0.333333343F, 1e-30F, 65504.0F, -0.0F};

/* A folder with one plain file that holds `t`. */
static hr_weights *open_single(const hr_stored_tensor *t)
{
    const char *folder = hr_test_folder();
    hr_weights *weights;

    write_one(folder, STEM ".safetensors", t);
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    return weights;
}

static void check_values(const hr_tensor *t, const float *want, size_t n)
{
    float *got = hr_test_download(on.stream, t);

    for (size_t i = 0; i < n; i++)
        assert_true(got[i] == want[i]);
    hr_free(got);
}

static void loads_a_single_file(void **state)
{
    hr_stored_tensor t = stored("a.weight", HR_F32, 2, 3, six);
    hr_weights *weights = open_single(&t);
    float rounded[6], host[6];
    hr_tensor loaded;

    (void)state;
    hr_test_ok(hr_weights_expect(weights, "a.weight", HR_DIMS(2, 3)));
    hr_test_ok(hr_weights_check(weights));
    assert_int_equal(hr_weights_n_files(weights), 1);
    assert_non_null(strstr(hr_weights_file(weights, 0), STEM ".safetensors"));
    assert_int_equal(hr_weights_get_totals(weights).n_parameters, 6);
    assert_int_equal(hr_weights_get_totals(weights).n_bytes, 24);
    assert_int_equal(hr_weights_get_totals(weights).parameters_by_dtype[HR_F32], 6);
    assert_true(hr_weights_has(weights, "a.weight") && !hr_weights_has(weights, "a"));
    hr_test_ok(hr_weights_load(weights, on.stream, "a.weight", HR_F32, &loaded));
    assert_int_equal(loaded.n_dims, 2);
    assert_int_equal(loaded.dim[1], 3);
    check_values(&loaded, six, 6);
    hr_tensor_free(&loaded);
    hr_test_ok(hr_weights_read_f32(weights, "a.weight", host));
    assert_memory_equal(host, six, sizeof six);
    for (size_t i = 0; i < 6; i++)
        rounded[i] = hr_bf16_to_f32(hr_f32_to_bf16(six[i]));
    hr_test_ok(hr_weights_load(weights, on.stream, "a.weight", HR_BF16, &loaded));
    assert_int_equal(loaded.dtype, HR_BF16);
    check_values(&loaded, rounded, 6);
    hr_tensor_free(&loaded);
    hr_weights_close(weights);
}

/* A tensor of several chunks arrives whole, also at an odd size. */
static void loads_in_chunks(void **state)
{
    const int64_t rows = 3, columns = 1000003;
    size_t n = (size_t)(rows * columns);
    float *values = hr_alloc(n * sizeof *values);
    hr_stored_tensor t = stored("big", HR_F32, rows, columns, values);
    hr_weights *weights;
    hr_tensor loaded;

    (void)state;
    assert_non_null(values);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)i;
    weights = open_single(&t);
    hr_test_ok(hr_weights_expect(weights, "big", HR_DIMS(rows, columns)));
    hr_test_ok(hr_weights_load(weights, on.stream, "big", HR_F32, &loaded));
    check_values(&loaded, values, n);
    hr_tensor_free(&loaded);
    hr_weights_close(weights);
    hr_free(values);
}

static void converts_half_types(void **state)
{
    static const uint16_t half[6] = {0x3c00, 0xc100, 0x3555, 0x0001, 0x7bff, 0x8000};
    static const uint16_t brain[6] = {0x3f80, 0xc020, 0x3eab, 0x0001, 0x7f7f, 0x8000};
    hr_stored_tensor f16 = stored("h", HR_F16, 6, 1, half);
    hr_stored_tensor bf16 = stored("b", HR_BF16, 6, 1, brain);
    hr_weights *weights = open_single(&f16);
    hr_tensor loaded;
    float want[6];

    (void)state;
    hr_test_ok(hr_weights_expect(weights, "h", HR_DIMS(6, 1)));
    hr_test_ok(hr_weights_load(weights, on.stream, "h", HR_F32, &loaded));
    for (size_t i = 0; i < 6; i++)
        want[i] = hr_f16_to_f32(half[i]);
    assert_true(want[1] == -2.5F && want[4] == 65504.0F);
    check_values(&loaded, want, 6);
    hr_tensor_free(&loaded);
    hr_weights_close(weights);
    weights = open_single(&bf16);
    hr_test_ok(hr_weights_expect(weights, "b", HR_DIMS(6, 1)));
    hr_test_ok(hr_weights_load(weights, on.stream, "b", HR_BF16, &loaded));
    for (size_t i = 0; i < 6; i++)
        want[i] = hr_bf16_to_f32(brain[i]);
    check_values(&loaded, want, 6);
    hr_tensor_free(&loaded);
    hr_weights_close(weights);
}

/* The stored type of a tensor lies anywhere in the file: here at an odd address. */
static void loads_from_unaligned_data(void **state)
{
    static const char header[] =
        "{\"pad\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":"
        "[0,1]},\"x\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[1,9]}}";
    const char *folder = hr_test_folder();
    uint64_t n_header = sizeof header - 1;
    unsigned char bytes[sizeof header + 32];
    static const float want[2] = {1.5F, -3.25F};
    hr_weights *weights;
    hr_tensor loaded;

    (void)state;
    memcpy(bytes, &n_header, 8);
    memcpy(bytes + 8, header, n_header);
    bytes[8 + n_header] = 7;
    memcpy(bytes + 9 + n_header, want, sizeof want);
    hr_test_write(hr_test_path(folder, STEM ".safetensors"), bytes, 17 + n_header);
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    hr_test_ok(hr_weights_expect(weights, "x", HR_DIMS(2)));
    hr_test_ok(hr_weights_load(weights, on.stream, "x", HR_F32, &loaded));
    check_values(&loaded, want, 2);
    hr_tensor_free(&loaded);
    hr_weights_close(weights);
}

static void refuses_values_that_are_not_finite(void **state)
{
    static const float bad[][3] = {
        {0.0F, 1.0F, NAN}, {INFINITY, 0.0F, 0.0F}, {0.0F, -INFINITY, 0.0F}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hr_stored_tensor t = stored("blocks.0.attn1.to_q.weight", HR_F32, 1, 3, bad[i]);
        hr_weights *weights = open_single(&t);
        hr_tensor loaded;
        hr_packed *packed;
        float host[3];

        hr_test_ok(hr_weights_expect(weights, t.name, HR_DIMS(1, 3)));
        hr_test_fails(HR_ERR_MODEL, "tensor blocks.0.attn1.to_q.weight: element ",
                      hr_weights_load(weights, on.stream, t.name, HR_BF16, &loaded));
        hr_test_fails(
            HR_ERR_MODEL, "is not a finite number",
            hr_weights_load_linear(weights, on.stream, t.name, HR_F32, &packed));
        hr_test_fails(HR_ERR_MODEL, t.name, hr_weights_read_f32(weights, t.name, host));
        hr_weights_close(weights);
    }
}

static void refuses_what_was_not_declared(void **state)
{
    static const int32_t ids[6] = {1, 2, 3, 4, 5, 6};
    hr_stored_tensor t = stored("a", HR_F32, 2, 3, six);
    hr_stored_tensor whole = stored("a", HR_I32, 2, 3, ids);
    hr_weights *weights = open_single(&t);
    hr_tensor loaded;

    (void)state;
    hr_test_fails(HR_ERR_INTERNAL, "tensor a: loaded without",
                  hr_weights_load(weights, on.stream, "a", HR_F32, &loaded));
    hr_test_ok(hr_weights_expect(weights, "a", HR_DIMS(3, 2)));
    hr_test_fails(HR_ERR_MODEL, "tensor a: found shape (2, 3), expected (3, 2)",
                  hr_weights_check(weights));
    hr_weights_close(weights);
    weights = open_single(&t);
    hr_test_ok(hr_weights_expect(weights, "a", HR_DIMS(6)));
    hr_test_fails(HR_ERR_MODEL, "found shape (2, 3), expected (6)",
                  hr_weights_check(weights));
    hr_weights_close(weights);
    weights = open_single(&t);
    hr_test_ok(hr_weights_expect(weights, "a.bias", HR_DIMS(6)));
    hr_test_fails(HR_ERR_MODEL, "tensor a.bias: is in none of the 1 file",
                  hr_weights_check(weights));
    hr_weights_close(weights);
    weights = open_single(&whole);
    hr_test_ok(hr_weights_expect(weights, "a", HR_DIMS(2, 3)));
    hr_test_fails(HR_ERR_MODEL, "tensor a: found type I32, expected F32, F16 or BF16",
                  hr_weights_check(weights));
    hr_weights_close(weights);
}

static void finds_variants(void **state)
{
    static const char *const names[] = {STEM ".bf16.safetensors",
                                        STEM ".fp16.safetensors", STEM ".safetensors"};
    const char *folder = hr_test_folder();
    hr_stored_tensor t = stored("a", HR_F32, 2, 3, six);
    hr_weights *weights;

    (void)state;
    hr_test_fails(HR_ERR_MODEL, "no weights: neither " STEM ".safetensors nor",
                  hr_weights_open(folder, STEM, &weights));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write_one(folder, names[i], &t);
        hr_test_ok(hr_weights_open(folder, STEM, &weights));
        assert_non_null(strstr(hr_weights_file(weights, 0), names[i]));
        hr_weights_close(weights);
    }
    write_one(folder, STEM ".fp16-00001-of-00001.safetensors", &t);
    write_text(folder, STEM ".safetensors.index.fp16.json",
               "{\"weight_map\": {\"a\": \"" STEM ".fp16-00001-of-00001.safetensors\"}}");
    unlink(hr_test_path(folder, STEM ".safetensors"));
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    assert_non_null(strstr(hr_weights_file(weights, 0), "fp16-00001"));
    hr_weights_close(weights);
}

/* Two shards with one tensor each, and the index given. */
static const char *sharded_folder(const char *first, const char *second,
                                  const char *index)
{
    const char *folder = hr_test_folder();
    hr_stored_tensor a = stored(first, HR_F32, 2, 3, six);
    hr_stored_tensor b = stored(second, HR_F32, 3, 2, six);

    write_one(folder, SHARD_1, &a);
    write_one(folder, SHARD_2, &b);
    write_text(folder, INDEX, index);
    return folder;
}

static void reads_shards(void **state)
{
    const char *folder = sharded_folder(
        "a", "b",
        "{\"metadata\": {\"total_size\": 48}, \"weight_map\": {\"a\": \"" SHARD_1
        "\", \"b\": \"" SHARD_2 "\"}}");
    hr_weights *weights;
    hr_tensor loaded;

    (void)state;
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    assert_int_equal(hr_weights_n_files(weights), 2);
    hr_test_ok(hr_weights_expect(weights, "b", HR_DIMS(3, 2)));
    hr_test_ok(hr_weights_expect(weights, "a", HR_DIMS(2, 3)));
    hr_test_ok(hr_weights_check(weights));
    hr_test_ok(hr_weights_load(weights, on.stream, "b", HR_F32, &loaded));
    check_values(&loaded, six, 6);
    hr_tensor_free(&loaded);
    hr_weights_close(weights);
}

static void refuses_broken_sets_of_shards(void **state)
{
    static const struct {
        const char *second, *index, *says;
    } rows[] = {
        {"b",
         "{\"weight_map\": {\"a\": \"" SHARD_1 "\", \"b\": \"missing.safetensors\"}}",
         "missing.safetensors"},
        {"a", "{\"weight_map\": {\"a\": \"" SHARD_1 "\", \"b\": \"" SHARD_2 "\"}}",
         "tensor a: is in "},
        {"b", "{\"weight_map\": {\"a\": \"" SHARD_1 "\", \"c\": \"" SHARD_2 "\"}}",
         "weight_map.c: found " SHARD_2 ", which has no such tensor"},
        {"b", "{\"weight_map\": {\"b\": \"" SHARD_1 "\", \"a\": \"" SHARD_2 "\"}}",
         "which has no such tensor"},
        {"b", "{\"weight_map\": {\"a\": \"../" SHARD_1 "\"}}", "weight_map.a: found ../"},
        {"b", "{\"weight_map\": {\"a\": 7}}", "weight_map.a: found no string"},
        {"b", "{\"weight_map\": {}}", "weight_map: found nothing"},
        {"b", "{}", "weight_map: found nothing"},
        {"b", "{", INDEX},
    };
    hr_weights *weights;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *folder = sharded_folder("a", rows[i].second, rows[i].index);

        hr_test_fails(HR_ERR_MODEL, rows[i].says,
                      hr_weights_open(folder, STEM, &weights));
    }
}

static void refuses_damaged_files(void **state)
{
    const char *folder = hr_test_folder();
    hr_stored_tensor t = stored("a", HR_F32, 2, 3, six);
    const char *path = hr_test_path(folder, STEM ".safetensors");
    hr_weights *weights;
    size_t n;
    char *bytes;

    (void)state;
    write_one(folder, STEM ".safetensors", &t);
    bytes = hr_test_read(path, &n);
    hr_test_write(path, bytes, n - 4);
    hr_test_fails(HR_ERR_MODEL, path, hr_weights_open(folder, STEM, &weights));
    hr_test_write(path, bytes, 5);
    hr_test_fails(HR_ERR_MODEL, path, hr_weights_open(folder, STEM, &weights));
    bytes[1] = 0x7f;
    hr_test_write(path, bytes, n);
    hr_test_fails(HR_ERR_MODEL, path, hr_weights_open(folder, STEM, &weights));
    hr_free(bytes);
}

/* The sharded transformer of the case bf16: mixed types, all tensors of the model in
 * place. */
static void accepts_the_mixed_golden(void **state)
{
    hr_golden *golden = hr_golden_open("bf16");
    char folder[512];
    hr_model_config config;
    hr_weights *weights;
    hr_weights_totals totals;

    (void)state;
    hr_test_ok(hr_model_config_load(hr_golden_pipeline(golden), &config));
    snprintf(folder, sizeof folder, "%s/transformer", hr_golden_pipeline(golden));
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    assert_int_equal(hr_weights_n_files(weights), 2);
    hr_test_ok(hr_transformer_expect(&config.transformer, weights));
    hr_test_ok(hr_weights_check(weights));
    totals = hr_weights_get_totals(weights);
    assert_int_equal(totals.n_tensors, 15 + 27 * config.transformer.n_layers);
    assert_true(totals.parameters_by_dtype[HR_F16] > 0 &&
                totals.parameters_by_dtype[HR_BF16] > 0);
    hr_weights_close(weights);
    config.transformer.ffn_dim++;
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    hr_test_ok(hr_transformer_expect(&config.transformer, weights));
    hr_test_fails(
        HR_ERR_MODEL,
        "tensor blocks.0.ffn.net.0.proj.weight: found shape (160, 96), expected "
        "(161, 96)",
        hr_weights_check(weights));
    hr_weights_close(weights);
    hr_golden_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loads_a_single_file, start, stop),
        cmocka_unit_test_setup_teardown(loads_in_chunks, start, stop),
        cmocka_unit_test_setup_teardown(converts_half_types, start, stop),
        cmocka_unit_test_setup_teardown(loads_from_unaligned_data, start, stop),
        cmocka_unit_test_setup_teardown(refuses_values_that_are_not_finite, start, stop),
        cmocka_unit_test_setup_teardown(refuses_what_was_not_declared, start, stop),
        cmocka_unit_test_setup_teardown(finds_variants, start, stop),
        cmocka_unit_test_setup_teardown(reads_shards, start, stop),
        cmocka_unit_test_setup_teardown(refuses_broken_sets_of_shards, start, stop),
        cmocka_unit_test_setup_teardown(refuses_damaged_files, start, stop),
        cmocka_unit_test_setup_teardown(accepts_the_mixed_golden, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
