/* The device under test, and tensors in and out of it.
 *
 * $HR_TEST_DEVICE names the device (cpu when unset), $HR_TEST_ISA the cpu's instruction
 * set (plain, avx2, avx512; the best when unset). Every function fails the running CMocka
 * test when something does not work. */
#ifndef HR_TESTS_DEVICE_H
#define HR_TESTS_DEVICE_H

#include "compute/device.h"

/* "cpu" or "strict". */
const char *hr_test_device_name(void);

/* That of $HR_TEST_ISA; a process has one, whichever device is opened first. */
hr_isa hr_test_isa(void);

/* The device with that many threads (0: all). */
hr_device *hr_test_device_open(int threads);

/* The same with a stream, for tests that need no more than one. */
typedef struct hr_test_device {
    hr_device *device;
    hr_stream *stream;
} hr_test_device;
hr_test_device hr_test_device_start(int threads);
/* Destroys both and asserts that no device memory is alive. */
void hr_test_device_stop(hr_test_device *on);

/* A new tensor with these values, rounded to F32 or BF16; the other way, waiting for the
 * stream. Free them with hr_tensor_free and hr_free. */
hr_tensor hr_test_upload(hr_stream *stream, hr_dtype dtype, int n_dims,
                         const int64_t *dim, const float *values);
float *hr_test_download(hr_stream *stream, const hr_tensor *t);

/* The same for raw memory of any dtype. */
hr_tensor hr_test_upload_raw(hr_stream *stream, hr_dtype dtype, int n_dims,
                             const int64_t *dim, const void *data);
void *hr_test_download_raw(hr_stream *stream, const hr_tensor *t);

/* n values about normally distributed (the sum of four uniform ones), the same for each
 * seed. */
void hr_test_random(uint32_t seed, float *out, size_t n);

#endif
