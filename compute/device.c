#include "compute/device.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "compute/backend.h"

#include <stdio.h>

hr_status hr_device_open(const hr_device_options *options, hr_device **out)
{
    const hr_backend *backend;
    hr_device *device;
    void *memory;
    hr_status status;

    HR_TRY(hr_backend_find(options->name, &backend));
    if (options->threads < 0)
        return hr_fail(HR_ERR_ARG, "device %s: %d threads asked for", backend->name,
                       options->threads);
    HR_TRY(hr_alloc_or_fail(sizeof *device, "a device", &memory));
    device = memory;
    device->backend = backend;
    status = backend->open(device, options);
    if (status != HR_OK) {
        hr_free(device);
        return status;
    }
    *out = device;
    return HR_OK;
}

void hr_device_close(hr_device *device)
{
    if (device == NULL)
        return;
    device->backend->close(device);
    hr_free(device);
}

const char *hr_device_name(const hr_device *device)
{
    return device->backend->name;
}

const char *hr_device_description(const hr_device *device)
{
    return device->description;
}

int hr_device_threads(const hr_device *device)
{
    return device->threads;
}

bool hr_device_has_bf16(const hr_device *device)
{
    return device->has_bf16;
}

bool hr_device_is_dry(const hr_device *device)
{
    return device->backend == &hr_backend_dry;
}

bool hr_device_is_host(const hr_device *device)
{
    return device->backend == &hr_backend_cpu;
}

hr_device_stats hr_device_get_stats(const hr_device *device)
{
    return (hr_device_stats){.live_bytes = atomic_load(&device->live_bytes),
                             .peak_bytes = atomic_load(&device->peak_bytes),
                             .peak_all_bytes = atomic_load(&device->peak_all_bytes),
                             .n_allocations = atomic_load(&device->n_allocations),
                             .flops = device->flops};
}

void hr_device_reset_peak(hr_device *device)
{
    atomic_store(&device->peak_bytes, atomic_load(&device->live_bytes));
    atomic_store(&device->peak_all_bytes, atomic_load(&device->live_all_bytes));
}

static void count(atomic_size_t *live, atomic_size_t *most, int64_t bytes)
{
    size_t now, peak;

    if (bytes < 0) {
        atomic_fetch_sub(live, (size_t)-bytes);
        return;
    }
    now = atomic_fetch_add(live, (size_t)bytes) + (size_t)bytes;
    peak = atomic_load(most);
    while (now > peak && !atomic_compare_exchange_weak(most, &peak, now))
        continue;
}

void hr_device_count_bytes(hr_device *device, int64_t bytes)
{
    count(&device->live_bytes, &device->peak_bytes, bytes);
    count(&device->live_all_bytes, &device->peak_all_bytes, bytes);
    if (bytes >= 0)
        atomic_fetch_add(&device->n_allocations, 1);
}

void hr_device_count_scratch(hr_device *device, int64_t bytes)
{
    count(&device->live_all_bytes, &device->peak_all_bytes, bytes);
}

hr_status hr_device_alloc(hr_device *device, size_t bytes, void **out)
{
    if (hr_fault("device.alloc"))
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes on device %s", bytes,
                       device->backend->name);
    HR_TRY(device->backend->alloc(device, bytes, out));
    hr_device_count_bytes(device, (int64_t)bytes);
    return HR_OK;
}

void hr_device_free(hr_device *device, void *data, size_t bytes)
{
    device->backend->free(device, data, bytes);
    hr_device_count_bytes(device, -(int64_t)bytes);
}

/* What a device that is not the processor may say at any call. */
static hr_status lost(const hr_stream *stream)
{
    return hr_fail(HR_ERR_DEVICE, "device %s has failed", stream->device->backend->name);
}

hr_status hr_stream_create(hr_device *device, hr_stream **out)
{
    hr_stream *stream;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *stream, "a stream", &memory));
    stream = memory;
    stream->device = device;
    status =
        hr_fault("device.stream") ? lost(stream) : device->backend->stream_create(stream);
    if (status != HR_OK) {
        hr_free(stream);
        return status;
    }
    *out = stream;
    return HR_OK;
}

void hr_stream_destroy(hr_stream *stream)
{
    if (stream == NULL)
        return;
    stream->device->backend->stream_destroy(stream);
    hr_free(stream);
}

hr_device *hr_stream_device(const hr_stream *stream)
{
    return stream->device;
}

hr_status hr_stream_sync(hr_stream *stream)
{
    return hr_fault("device.sync") ? lost(stream)
                                   : stream->device->backend->stream_sync(stream);
}

static hr_status check_copied(const hr_stream *stream, const hr_tensor *t,
                              const char *what)
{
    char shape[96];

    if (t->n_dims > 0 && t->data != NULL && t->device == stream->device)
        return HR_OK;
    return hr_fail(HR_ERR_INTERNAL, "%s: tensor %s is %s", what,
                   hr_tensor_shape_text(t, shape),
                   t->n_dims == 0 || t->data == NULL ? "absent" : "on another device");
}

hr_status hr_copy_to_device(hr_stream *stream, const hr_tensor *dst, const void *src)
{
    HR_TRY(check_copied(stream, dst, "copy to the device"));
    if (hr_fault("device.copy"))
        return lost(stream);
    return stream->device->backend->copy(stream, dst->data, src, hr_tensor_bytes(dst),
                                         HR_COPY_TO_DEVICE);
}

hr_status hr_copy_to_host(hr_stream *stream, void *dst, const hr_tensor *src)
{
    HR_TRY(check_copied(stream, src, "copy to the host"));
    if (hr_fault("device.copy"))
        return lost(stream);
    return stream->device->backend->copy(stream, dst, src->data, hr_tensor_bytes(src),
                                         HR_COPY_TO_HOST);
}

hr_status hr_copy(hr_stream *stream, const hr_tensor *dst, const hr_tensor *src)
{
    size_t bytes = hr_tensor_bytes(src);
    uintptr_t to = (uintptr_t)dst->data, from = (uintptr_t)src->data;
    char a[96], b[96];

    HR_TRY(check_copied(stream, dst, "copy"));
    HR_TRY(check_copied(stream, src, "copy"));
    if (dst->dtype != src->dtype || hr_tensor_count(dst) != hr_tensor_count(src) ||
        (to < from + bytes && from < to + bytes))
        return hr_fail(
            HR_ERR_INTERNAL,
            "copy: %s %s to %s %s: same type, same count and no overlap asked for",
            hr_dtype_name(src->dtype), hr_tensor_shape_text(src, a),
            hr_dtype_name(dst->dtype), hr_tensor_shape_text(dst, b));
    if (hr_fault("device.copy"))
        return lost(stream);
    return stream->device->backend->copy(stream, dst->data, src->data, bytes,
                                         HR_COPY_WITHIN);
}

hr_status hr_tensor_shape(hr_tensor *out, hr_device *device, hr_dtype dtype, int n_dims,
                          const int64_t *dim, size_t *bytes)
{
    hr_tensor t = {.device = device, .dtype = dtype, .n_dims = n_dims};
    size_t n;

    if (n_dims < 1 || n_dims > HR_TENSOR_MAX_DIMS || (unsigned)dtype >= HR_DTYPE_COUNT)
        return hr_fail(HR_ERR_INTERNAL, "tensor of %d dimensions and type %d asked for",
                       n_dims, (int)dtype);
    n = hr_dtype_size(dtype);
    for (int i = 0; i < n_dims; i++) {
        if (dim[i] < 1)
            return hr_fail(HR_ERR_INTERNAL, "tensor with dimension %d = %lld asked for",
                           i, (long long)dim[i]);
        HR_TRY(hr_size_mul(n, (size_t)dim[i], &n));
        t.dim[i] = dim[i];
    }
    *out = t;
    *bytes = n;
    return HR_OK;
}

hr_status hr_tensor_create(hr_device *device, hr_dtype dtype, int n_dims,
                           const int64_t *dim, hr_tensor *out)
{
    hr_tensor t;
    size_t bytes;

    HR_TRY(hr_tensor_shape(&t, device, dtype, n_dims, dim, &bytes));
    HR_TRY(hr_device_alloc(device, bytes, &t.data));
    *out = t;
    return HR_OK;
}

void hr_tensor_free(hr_tensor *t)
{
    if (!hr_tensor_is_absent(t))
        hr_device_free(t->device, t->data, hr_tensor_bytes(t));
    *t = (hr_tensor){0};
}
