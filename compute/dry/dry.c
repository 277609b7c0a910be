/* The dry device: the cpu backend where it only measures, with addresses without memory.
 */
#include "base/memory.h"
#include "compute/backend.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* Addresses are handed out upwards, far from any real memory (beyond user space), never
 * twice. */
static const uintptr_t first_address = (uintptr_t)1 << 60;
static atomic_size_t used;

static hr_status dry_open(hr_device *device, const hr_device_options *options)
{
    char cpu[sizeof device->description];

    device->measures = true;
    HR_TRY(hr_backend_cpu.open(device, options));
    snprintf(cpu, sizeof cpu, "%s", device->description);
    snprintf(device->description, sizeof device->description, "dry: %.110s", cpu);
    return HR_OK;
}

static void dry_close(hr_device *device)
{
    hr_backend_cpu.close(device);
}

static hr_status dry_alloc(hr_device *device, size_t bytes, void **out)
{
    size_t aligned;

    (void)device;
    HR_TRY(hr_size_add(bytes, ALIGNMENT - 1, &aligned));
    aligned -= aligned % ALIGNMENT;
    *out = (void *)(first_address + atomic_fetch_add(&used, aligned));
    return HR_OK;
}

static void dry_free(hr_device *device, void *data, size_t bytes)
{
    (void)device;
    (void)data;
    (void)bytes;
}

static hr_status dry_stream_create(hr_stream *stream)
{
    return hr_backend_cpu.stream_create(stream);
}

static void dry_stream_destroy(hr_stream *stream)
{
    hr_backend_cpu.stream_destroy(stream);
}

static hr_status dry_stream_sync(hr_stream *stream)
{
    return hr_backend_cpu.stream_sync(stream);
}

static hr_status dry_copy(hr_stream *stream, void *dst, const void *src, size_t bytes,
                          hr_copy_kind kind)
{
    (void)stream;
    (void)src;
    if (kind == HR_COPY_TO_HOST)
        memset(dst, 0, bytes);
    return HR_OK;
}

static hr_status dry_pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed)
{
    return hr_backend_cpu.pack(stream, weight, packed);
}

static void dry_unpack(hr_packed *packed)
{
    hr_backend_cpu.unpack(packed);
}

#define DEFINE_OP(name, n_tensors)                                                       \
    static hr_status dry_##name(hr_stream *stream, const hr_##name##_args *args)         \
    {                                                                                    \
        return hr_backend_cpu.name(stream, args);                                        \
    }
HR_OP_LIST(DEFINE_OP)

const hr_backend hr_backend_dry = {.name = "dry",
                                   .open = dry_open,
                                   .close = dry_close,
                                   .alloc = dry_alloc,
                                   .free = dry_free,
                                   .stream_create = dry_stream_create,
                                   .stream_destroy = dry_stream_destroy,
                                   .stream_sync = dry_stream_sync,
                                   .copy = dry_copy,
                                   .pack = dry_pack,
                                   .unpack = dry_unpack,
#define SLOT(name, n_tensors) .name = dry_##name,
                                   HR_OP_LIST(SLOT)
#undef SLOT
};
