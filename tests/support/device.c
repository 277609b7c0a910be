#include "support/device.h"

#include "base/memory.h"
#include "support/test_util.h"

#include <stdlib.h>
#include <string.h>

const char *hr_test_device_name(void)
{
    const char *name = getenv("HR_TEST_DEVICE");

    return name == NULL ? "cpu" : name;
}

hr_isa hr_test_isa(void)
{
    static const char *const names[] = {"auto", "plain", "avx2", "avx512"};
    const char *name = getenv("HR_TEST_ISA");

    for (int i = 0; i < 4 && name != NULL; i++)
        if (strcmp(name, names[i]) == 0)
            return (hr_isa)i;
    if (name != NULL)
        fail_msg("HR_TEST_ISA=%s: not one of auto, plain, avx2, avx512", name);
    return HR_ISA_AUTO;
}

hr_device *hr_test_device_open(int threads)
{
    hr_device_options options = {
        .name = hr_test_device_name(), .threads = threads, .isa = hr_test_isa()};
    hr_device *device = NULL;
    hr_status status = hr_device_open(&options, &device);

    if (status == HR_ERR_UNSUPPORTED && options.isa != HR_ISA_AUTO)
        skip(); /* this machine does not have the instruction set */
    assert_int_equal(status, HR_OK);
    return device;
}

hr_test_device hr_test_device_start(int threads)
{
    hr_test_device on = {.device = hr_test_device_open(threads)};

    assert_int_equal(hr_stream_create(on.device, &on.stream), HR_OK);
    return on;
}

void hr_test_device_stop(hr_test_device *on)
{
    hr_stream_destroy(on->stream);
    assert_int_equal(hr_device_get_stats(on->device).live_bytes, 0);
    hr_device_close(on->device);
    *on = (hr_test_device){0};
}

hr_tensor hr_test_upload_raw(hr_stream *stream, hr_dtype dtype, int n_dims,
                             const int64_t *dim, const void *data)
{
    hr_tensor t;

    assert_int_equal(hr_tensor_create(hr_stream_device(stream), dtype, n_dims, dim, &t),
                     HR_OK);
    assert_int_equal(hr_copy_to_device(stream, &t, data), HR_OK);
    assert_int_equal(hr_stream_sync(stream), HR_OK);
    return t;
}

void *hr_test_download_raw(hr_stream *stream, const hr_tensor *t)
{
    void *data = hr_alloc(hr_tensor_bytes(t));

    assert_non_null(data);
    assert_int_equal(hr_copy_to_host(stream, data, t), HR_OK);
    assert_int_equal(hr_stream_sync(stream), HR_OK);
    return data;
}

static void *converted(const void *src, hr_dtype from, hr_dtype to, size_t n)
{
    void *dst = hr_alloc(n * hr_dtype_size(to));

    assert_non_null(dst);
    assert_int_equal(hr_dtype_convert(dst, to, src, from, n), 0);
    return dst;
}

hr_tensor hr_test_upload(hr_stream *stream, hr_dtype dtype, int n_dims,
                         const int64_t *dim, const float *values)
{
    size_t n = 1;
    void *rounded;
    hr_tensor t;

    for (int i = 0; i < n_dims; i++)
        n *= (size_t)dim[i];
    rounded = converted(values, HR_F32, dtype, n);
    t = hr_test_upload_raw(stream, dtype, n_dims, dim, rounded);
    hr_free(rounded);
    return t;
}

float *hr_test_download(hr_stream *stream, const hr_tensor *t)
{
    void *raw = hr_test_download_raw(stream, t);
    float *values = converted(raw, t->dtype, HR_F32, (size_t)hr_tensor_count(t));

    hr_free(raw);
    return values;
}

/* A linear congruential generator (Knuth's MMIX constants), top bits. */
static float uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (float)(*state >> 40) * 0x1p-24F - 0.5F;
}

void hr_test_random(uint32_t seed, float *out, size_t n)
{
    const float scale = 1.7320508F; /* the sum of four has the variance 4 / 12 */
    uint64_t state = seed * 2654435761U + 1U;

    for (size_t i = 0; i < n; i++)
        out[i] = scale *
                 (uniform(&state) + uniform(&state) + uniform(&state) + uniform(&state));
}
