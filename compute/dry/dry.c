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
    atomic_size_t used;
} dry_device;

/* Has the properties of the cpu device, whose needs it is to tell. */
static hr_status dry_open(hr_device *device, const hr_device_options *options)
{
    hr_device cpu = {.backend = &hr_backend_cpu};
    void *memory;

    HR_TRY(hr_backend_cpu.open(&cpu, options));
    device->threads = cpu.threads;
    device->isa = cpu.isa;
    device->has_bf16 = cpu.has_bf16;
    snprintf(device->description, sizeof device->description, "dry: %.110s",
             cpu.description);
    hr_backend_cpu.close(&cpu);
    HR_TRY(hr_alloc_or_fail(sizeof(dry_device), "the dry device", &memory));
    device->state = memory;
    return HR_OK;
}

static void dry_close(hr_device *device)
{
    hr_free(device->state);
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

static size_t round_up(int64_t n, int64_t step)
{
    return (size_t)((n + step - 1) / step * step);
}

/* What the cpu backend keeps: blocks of whole vectors of channels, as fp32 where it
 * cannot multiply bf16. */
static size_t packed_bytes(const hr_device *device, const hr_packed *packed)
{
    bool narrow = packed->dtype == HR_BF16 && device->has_bf16;
    bool by_in = packed->shards.axis == HR_SHARDS_BY_IN;
    int64_t block = device->isa == HR_ISA_AVX512 ? 16 : 8, shards = packed->shards.n;
    size_t n = round_up(packed->dim[0] / (by_in ? 1 : shards), block) *
               round_up(packed->dim[1] / (by_in ? shards : 1), block) * (size_t)shards;

    for (int i = 2; i < packed->n_dims; i++)
        n *= (size_t)packed->dim[i];
    return n * hr_dtype_size(narrow ? HR_BF16 : HR_F32);
}

static hr_status dry_pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed)
{
    (void)weight;
    packed->bytes = packed_bytes(stream->device, packed);
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
