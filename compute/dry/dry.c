/* The dry device: addresses without memory, operators without work. */
#include "base/memory.h"
#include "compute/backend.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* Addresses are handed out upwards, far from any real memory (beyond user space), never
 * twice. */
static const uintptr_t first_address = (uintptr_t)1 << 60;

typedef struct dry_device {
    hr_device cpu; /* whose needs it is to tell */
    atomic_size_t used;
} dry_device;

static hr_status dry_open(hr_device *device, const hr_device_options *options)
{
    void *memory;
    dry_device *dry;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *dry, "the dry device", &memory));
    dry = memory;
    dry->cpu.backend = &hr_backend_cpu;
    status = hr_backend_cpu.open(&dry->cpu, options);
    if (status != HR_OK) {
        hr_free(dry);
        return status;
    }
    device->threads = dry->cpu.threads;
    device->isa = dry->cpu.isa;
    device->has_bf16 = dry->cpu.has_bf16;
    snprintf(device->description, sizeof device->description, "dry: %.110s",
             dry->cpu.description);
    device->state = dry;
    return HR_OK;
}

static void dry_close(hr_device *device)
{
    dry_device *dry = device->state;

    hr_backend_cpu.close(&dry->cpu);
    hr_free(dry);
}

static hr_status dry_alloc(hr_device *device, size_t bytes, void **out)
{
    dry_device *dry = device->state;
    size_t aligned;

    HR_TRY(hr_size_add(bytes, ALIGNMENT - 1, &aligned));
    aligned -= aligned % ALIGNMENT;
    *out = (void *)(first_address + atomic_fetch_add(&dry->used, aligned));
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
    (void)stream;
    return HR_OK;
}

static void dry_stream_destroy(hr_stream *stream)
{
    (void)stream;
}

static hr_status dry_stream_sync(hr_stream *stream)
{
    (void)stream;
    return HR_OK;
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
    dry_device *dry = stream->device->state;

    (void)weight;
    HR_TRY(hr_cpu_packed_bytes(&dry->cpu, packed, &packed->bytes));
    hr_device_count_bytes(packed->device, (int64_t)packed->bytes);
    return HR_OK;
}

static void dry_unpack(hr_packed *packed)
{
    hr_device_count_bytes(packed->device, -(int64_t)packed->bytes);
}

#define DEFINE_OP(name, n_tensors)                                                       \
    static hr_status dry_##name(hr_stream *stream, const hr_##name##_args *args)         \
    {                                                                                    \
        (void)stream;                                                                    \
        (void)args;                                                                      \
        return HR_OK;                                                                    \
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
