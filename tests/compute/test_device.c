/* Devices, streams and copies; on each device of HR_TEST_DEVICE. */
#include "compute/device.h"

#include "base/memory.h"
#include "compute/ops.h"
#include "support/device.h"
#include "support/test_util.h"

#include <string.h>

static void unknown_names_are_refused(void **state)
{
    hr_device *device = NULL;

    (void)state;
    hr_test_fails(HR_ERR_ARG, "device gpu: not one of auto, cpu, cuda, dry, strict",
                  hr_device_open(&(hr_device_options){.name = "gpu"}, &device));
    hr_test_fails(HR_ERR_ARG, "not one of",
                  hr_device_open(&(hr_device_options){.name = ""}, &device));
    hr_test_fails(HR_ERR_UNSUPPORTED, "device cuda: this build does not have it",
                  hr_device_open(&(hr_device_options){.name = "cuda"}, &device));
    hr_test_fails(
        HR_ERR_ARG, "-1 threads",
        hr_device_open(&(hr_device_options){.name = "cpu", .threads = -1}, &device));
    assert_null(device);
}

static void auto_is_the_cpu(void **state)
{
    static const char *const names[] = {NULL, "auto", "cpu"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        hr_device_options options = {.name = names[i], .isa = hr_test_isa()};
        hr_device *device;

        hr_test_ok(hr_device_open(&options, &device));
        assert_string_equal(hr_device_name(device), "cpu");
        assert_false(hr_device_is_dry(device));
        hr_device_close(device);
    }
}

static void the_description_names_device_and_threads(void **state)
{
    hr_device *device = hr_test_device_open(3);

    (void)state;
    assert_string_equal(hr_device_name(device), hr_test_device_name());
    assert_non_null(strstr(hr_device_description(device), "cpu"));
    assert_non_null(strstr(hr_device_description(device), "3 threads"));
    hr_device_close(device);
}

static void nothing_is_fine_to_close(void **state)
{
    hr_tensor absent = {0};

    (void)state;
    hr_device_close(NULL);
    hr_stream_destroy(NULL);
    hr_tensor_free(&absent);
}

static void a_tensor_goes_there_and_back(void **state)
{
    static const hr_dtype dtypes[] = {HR_F32, HR_BF16, HR_F16, HR_I32, HR_I64, HR_U8};
    hr_test_device on = hr_test_device_start(2);
    unsigned char data[8 * 105];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 37);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        hr_tensor t = hr_test_upload_raw(on.stream, dtypes[i], HR_DIMS(3, 5, 7), data);
        void *back = hr_test_download_raw(on.stream, &t);

        assert_int_equal((uintptr_t)t.data % 64, 0);
        assert_memory_equal(back, data, hr_tensor_bytes(&t));
        hr_free(back);
        hr_tensor_free(&t);
        assert_true(hr_tensor_is_absent(&t));
    }
    hr_test_device_stop(&on);
}

static void copies_between_tensors_and_slices(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    const float values[6] = {1, 2, 3, 4, 5, 6}, expected[6] = {1, 2, 1, 2, 5, 6};
    hr_tensor t = hr_test_upload(on.stream, HR_F32, HR_DIMS(3, 2), values);
    hr_tensor from = hr_tensor_slice(&t, 0, 1), to = hr_tensor_slice(&t, 1, 1);
    float *got;

    (void)state;
    hr_test_ok(hr_copy(on.stream, &to, &from));
    got = hr_test_download(on.stream, &t);
    assert_memory_equal(got, expected, sizeof expected);
    hr_free(got);
    hr_tensor_free(&t);
    hr_test_device_stop(&on);
}

static void wrong_copies_are_refused(void **state)
{
    hr_test_device on = hr_test_device_start(1), other = hr_test_device_start(1);
    const float values[6] = {0};
    hr_tensor t = hr_test_upload(on.stream, HR_F32, HR_DIMS(3, 2), values), absent = {0};
    hr_tensor b = hr_test_upload(on.stream, HR_BF16, HR_DIMS(3, 2), values);
    hr_tensor head = hr_tensor_slice(&t, 0, 2), tail = hr_tensor_slice(&t, 1, 2);
    float out[6];

    (void)state;
    hr_test_fails(HR_ERR_INTERNAL, "is absent", hr_copy_to_host(on.stream, out, &absent));
    hr_test_fails(HR_ERR_INTERNAL, "(3, 2) is on another device",
                  hr_copy_to_host(other.stream, out, &t));
    hr_test_fails(HR_ERR_INTERNAL, "on another device",
                  hr_copy_to_device(other.stream, &t, values));
    hr_test_fails(HR_ERR_INTERNAL, "F32 (3, 2) to BF16 (3, 2)",
                  hr_copy(on.stream, &b, &t));
    hr_test_fails(HR_ERR_INTERNAL, "F32 (2, 2) to F32 (3, 2)",
                  hr_copy(on.stream, &t, &head));
    hr_test_fails(HR_ERR_INTERNAL, "no overlap", hr_copy(on.stream, &tail, &head));
    hr_tensor_free(&t);
    hr_tensor_free(&b);
    hr_test_device_stop(&on);
    hr_test_device_stop(&other);
}

static void impossible_tensors_are_refused(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    hr_tensor t = {0};
    const int64_t six[6] = {1, 1, 1, 1, 1, 1};

    (void)state;
    hr_test_fails(HR_ERR_INTERNAL, "dimension 1 = 0",
                  hr_tensor_create(on.device, HR_F32, HR_DIMS(2, 0), &t));
    hr_test_fails(HR_ERR_INTERNAL, "dimension 0 = -3",
                  hr_tensor_create(on.device, HR_F32, HR_DIMS(-3), &t));
    hr_test_fails(HR_ERR_INTERNAL, "6 dimensions",
                  hr_tensor_create(on.device, HR_F32, 6, six, &t));
    hr_test_fails(HR_ERR_INTERNAL, "type 7",
                  hr_tensor_create(on.device, HR_DTYPE_COUNT, HR_DIMS(1), &t));
    hr_test_fails(
        HR_ERR_NOMEM, "size too large",
        hr_tensor_create(on.device, HR_F32, HR_DIMS((int64_t)1 << 40, 1 << 30), &t));
    assert_true(hr_tensor_is_absent(&t));
    hr_test_device_stop(&on);
}

static void memory_that_is_not_there_is_an_error(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    hr_tensor t = {0};

    (void)state;
    hr_test_fails(HR_ERR_NOMEM, "",
                  hr_tensor_create(on.device, HR_F32, HR_DIMS((int64_t)1 << 58), &t));
    assert_int_equal(hr_device_get_stats(on.device).live_bytes, 0);
    assert_int_equal(hr_device_get_stats(on.device).n_allocations, 0);
    hr_test_device_stop(&on);
}

static void memory_is_counted(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    hr_tensor a, b;

    (void)state;
    hr_test_ok(hr_tensor_create(on.device, HR_F32, HR_DIMS(10, 10), &a));
    hr_test_ok(hr_tensor_create(on.device, HR_BF16, HR_DIMS(50), &b));
    assert_int_equal(hr_device_get_stats(on.device).live_bytes, 500);
    hr_tensor_free(&a);
    assert_int_equal(hr_device_get_stats(on.device).live_bytes, 100);
    assert_int_equal(hr_device_get_stats(on.device).peak_bytes, 500);
    assert_int_equal(hr_device_get_stats(on.device).n_allocations, 2);
    hr_device_reset_peak(on.device);
    assert_int_equal(hr_device_get_stats(on.device).peak_bytes, 100);
    hr_tensor_free(&b);
    hr_test_device_stop(&on);
}

static void packed_weights_are_counted(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    float *values = hr_alloc(40 * 48 * sizeof *values);
    hr_tensor w;
    hr_packed *packed;
    size_t live;

    (void)state;
    assert_non_null(values);
    w = hr_test_upload(on.stream, HR_F32, HR_DIMS(40, 48), values);
    hr_test_ok(hr_pack_linear(on.stream, &w, &packed));
    hr_tensor_free(&w);
    live = hr_device_get_stats(on.device).live_bytes;
    assert_true(live >= 40 * 48 * sizeof *values && live <= 2 * 40 * 48 * sizeof *values);
    hr_packed_destroy(packed);
    hr_packed_destroy(NULL);
    assert_int_equal(hr_device_get_stats(on.device).live_bytes, 0);
    hr_free(values);
    hr_test_device_stop(&on);
}

static void work_is_counted(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    float *values = hr_alloc(1000 * sizeof *values);
    hr_tensor w, x, out;
    hr_packed *packed;

    (void)state;
    assert_non_null(values);
    w = hr_test_upload(on.stream, HR_F32, HR_DIMS(5, 7), values);
    x = hr_test_upload(on.stream, HR_F32, HR_DIMS(3, 7), values);
    out = hr_test_upload(on.stream, HR_F32, HR_DIMS(3, 5), values);
    hr_test_ok(hr_pack_linear(on.stream, &w, &packed));
    hr_test_ok(
        hr_op_linear(on.stream, &(hr_linear_args){.x = x, .weight = packed, .out = out}));
    assert_true(hr_device_get_stats(on.device).flops == 2.0 * 3 * 5 * 7);
    hr_test_ok(hr_op_fill(on.stream, &(hr_fill_args){.out = out}));
    assert_true(hr_device_get_stats(on.device).flops == 2.0 * 3 * 5 * 7);
    hr_test_ok(hr_stream_sync(on.stream));
    hr_packed_destroy(packed);
    hr_tensor_free(&w);
    hr_tensor_free(&x);
    hr_tensor_free(&out);
    hr_free(values);
    hr_test_device_stop(&on);
}

static void streams_are_of_one_device(void **state)
{
    hr_test_device on = hr_test_device_start(2);
    hr_stream *second;
    const float ones[4] = {1, 1, 1, 1};
    hr_tensor a = hr_test_upload(on.stream, HR_F32, HR_DIMS(4), ones), b;
    float got[4];

    (void)state;
    hr_test_ok(hr_stream_create(on.device, &second));
    assert_ptr_equal(hr_stream_device(second), on.device);
    hr_test_ok(hr_tensor_create(on.device, HR_F32, HR_DIMS(4), &b));
    hr_test_ok(hr_op_fill(second, &(hr_fill_args){.out = b, .value = 3}));
    hr_test_ok(hr_stream_sync(second));
    hr_test_ok(hr_op_gated_add(on.stream, &(hr_gated_add_args){.x = a, .y = b}));
    hr_test_ok(hr_copy_to_host(on.stream, got, &a));
    hr_test_ok(hr_stream_sync(on.stream));
    assert_true(got[0] == 4 && got[3] == 4);
    hr_stream_destroy(second);
    hr_tensor_free(&a);
    hr_tensor_free(&b);
    hr_test_device_stop(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(auto_is_the_cpu),
        cmocka_unit_test(the_description_names_device_and_threads),
        cmocka_unit_test(nothing_is_fine_to_close),
        cmocka_unit_test(a_tensor_goes_there_and_back),
        cmocka_unit_test(copies_between_tensors_and_slices),
        cmocka_unit_test(wrong_copies_are_refused),
        cmocka_unit_test(impossible_tensors_are_refused),
        cmocka_unit_test(memory_that_is_not_there_is_an_error),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(packed_weights_are_counted),
        cmocka_unit_test(work_is_counted),
        cmocka_unit_test(streams_are_of_one_device),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
