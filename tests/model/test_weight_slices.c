/* Slices and shards of weights. Runs on the device of HR_TEST_DEVICE. */
#include "support/device.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "io/safetensors.h"
#include "model/weights.h"

#include <math.h>
#include <string.h>

#define STEM "diffusion_pytorch_model"

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

/* A file with the one tensor "x", whose element i is i, declared and checked. */
static hr_weights *open_counting(hr_dtype dtype, int n_dims, const int64_t *dim)
{
    const char *folder = hr_test_folder();
    hr_stored_tensor t = {.name = "x", .dtype = dtype, .n_dims = n_dims};
    hr_weights *weights;
    float *values;
    void *raw;

    t.dtype_name = hr_dtype_name(dtype);
    t.n_elements = 1;
    for (int i = 0; i < n_dims; i++) {
        t.dim[i] = dim[i];
        t.n_elements *= (size_t)dim[i];
    }
    t.n_bytes = t.n_elements * hr_dtype_size(dtype);
    values = hr_alloc(t.n_elements * sizeof *values);
    raw = hr_alloc(t.n_bytes);
    assert_true(values != NULL && raw != NULL);
    for (size_t i = 0; i < t.n_elements; i++)
        values[i] = (float)i;
    assert_int_equal(hr_dtype_convert(raw, dtype, values, HR_F32, t.n_elements), 0);
    t.data = raw;
    hr_test_ok(hr_safetensors_write(hr_test_path(folder, STEM ".safetensors"), &t, 1));
    hr_free(values);
    hr_free(raw);
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    hr_test_ok(hr_weights_expect(weights, "x", n_dims, dim));
    hr_test_ok(hr_weights_check(weights));
    return weights;
}

/* Loads the slice of a tensor [outer, axis, inner] and compares every element. */
static void check_slice(const hr_weights *weights, const int64_t dim[3],
                        const hr_weights_slice *slice, hr_dtype dtype)
{
    hr_tensor t;
    float *got;
    int64_t i = 0, first[3] = {0}, n[3] = {dim[0], dim[1], dim[2]};

    hr_test_ok(hr_weights_load_slice(weights, on.stream, "x", dtype, slice, &t));
    first[slice->axis] = slice->first;
    n[slice->axis] = slice->n;
    assert_int_equal(hr_tensor_count(&t), n[0] * n[1] * n[2]);
    assert_int_equal(t.dim[slice->axis], slice->n);
    got = hr_test_download(on.stream, &t);
    for (int64_t a = first[0]; a < first[0] + n[0]; a++)
        for (int64_t b = first[1]; b < first[1] + n[1]; b++)
            for (int64_t c = first[2]; c < first[2] + n[2]; c++)
                assert_true(got[i++] == (float)((a * dim[1] + b) * dim[2] + c));
    hr_free(got);
    hr_tensor_free(&t);
}

/* Values up to 209 are whole numbers in BF16 too. */
static void slices_along_any_axis(void **state)
{
    static const int64_t dim[3] = {5, 7, 6};
    static const hr_weights_slice slices[] = {{0, 0, 5}, {0, 1, 1}, {0, 2, 3}, {1, 0, 7},
                                              {1, 6, 1}, {1, 2, 4}, {2, 0, 6}, {2, 5, 1},
                                              {2, 1, 3}, {2, 0, 2}};
    static const hr_dtype stored[] = {HR_F32, HR_BF16};

    (void)state;
    for (size_t d = 0; d < 2; d++) {
        hr_weights *weights = open_counting(stored[d], 3, dim);

        for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++) {
            uint64_t before = hr_weights_bytes_read(weights);

            check_slice(weights, dim, &slices[i], i % 2 ? HR_BF16 : HR_F32);
            assert_int_equal(hr_weights_bytes_read(weights) - before,
                             210 / dim[slices[i].axis] * slices[i].n *
                                 (int64_t)hr_dtype_size(stored[d]));
        }
        hr_weights_close(weights);
    }
}

/* Runs longer and shorter than what is converted at a time. */
static void large_slices_come_in_chunks(void **state)
{
    static const int64_t wide[3] = {1, 2, 1500001}, tall[3] = {1, 1500001, 3};

    (void)state;
    for (int i = 0; i < 2; i++) {
        const int64_t *dim = i == 0 ? wide : tall;
        hr_weights *weights = open_counting(HR_F32, 3, dim);

        check_slice(weights, dim, &(hr_weights_slice){2, dim[2] / 3, dim[2] / 3 * 2},
                    HR_F32);
        check_slice(weights, dim, &(hr_weights_slice){1, 1, dim[1] - 1}, HR_F32);
        hr_weights_close(weights);
    }
}

static void refuses_slices_outside(void **state)
{
    static const hr_weights_slice slices[] = {
        {0, 0, 5}, {0, 4, 1}, {0, -1, 2}, {0, 0, 0}, {2, 0, 1}, {-1, 0, 1}, {1, 3, 1}};
    hr_weights *weights = open_counting(HR_F32, HR_DIMS(4, 3));
    hr_tensor t;

    (void)state;
    for (size_t i = 0; i < sizeof slices / sizeof slices[0]; i++)
        hr_test_fails(
            HR_ERR_INTERNAL, "tensor x: found a slice outside of it",
            hr_weights_load_slice(weights, on.stream, "x", HR_F32, &slices[i], &t));
    hr_weights_close(weights);
}

/* A product with some shards is that part of the product with all: x W^T of the rows
 * [6, 12) of W by output, of its columns [4, 6) by input. */
static void shards_are_their_part_of_the_matrix(void **state)
{
    static const hr_weights_shards shards[] = {{HR_SHARDS_BY_OUT, 2, 2, 4},
                                               {HR_SHARDS_BY_IN, 2, 1, 4}};
    static const float ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    hr_weights *weights = open_counting(HR_F32, HR_DIMS(12, 8));

    (void)state;
    for (int i = 0; i < 2; i++) {
        int64_t in = i == 0 ? 8 : 2, out = i == 0 ? 6 : 12;
        hr_linear_args args = {
            .x = hr_test_upload(on.stream, HR_F32, HR_DIMS(1, in), ones)};
        hr_packed *packed;
        float *got;

        hr_test_ok(
            hr_weights_load_shards(weights, on.stream, "x", HR_F32, &shards[i], &packed));
        args.weight = packed;
        hr_test_ok(hr_tensor_create(on.device, HR_F32, HR_DIMS(1, out), &args.out));
        hr_test_ok(hr_op_linear(on.stream, &args));
        got = hr_test_download(on.stream, &args.out);
        for (int64_t row = 0; row < out; row++) {
            int64_t first = i == 0 ? (6 + row) * 8 : row * 8 + 4;

            assert_true(got[row] == (float)(in * first + in * (in - 1) / 2));
        }
        hr_free(got);
        hr_packed_destroy(packed);
        hr_tensor_free(&args.x);
        hr_tensor_free(&args.out);
    }
    hr_weights_close(weights);
}

static void refuses_shards_that_do_not_divide(void **state)
{
    static const hr_weights_shards shards = {HR_SHARDS_BY_OUT, 0, 1, 8};
    hr_weights *weights = open_counting(HR_F32, HR_DIMS(12, 8));
    hr_packed *packed;

    (void)state;
    hr_test_fails(
        HR_ERR_INTERNAL, "tensor x: 8 shards do not divide it",
        hr_weights_load_shards(weights, on.stream, "x", HR_F32, &shards, &packed));
    hr_weights_close(weights);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(slices_along_any_axis, start, stop),
        cmocka_unit_test_setup_teardown(large_slices_come_in_chunks, start, stop),
        cmocka_unit_test_setup_teardown(refuses_slices_outside, start, stop),
        cmocka_unit_test_setup_teardown(shards_are_their_part_of_the_matrix, start, stop),
        cmocka_unit_test_setup_teardown(refuses_shards_that_do_not_divide, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
