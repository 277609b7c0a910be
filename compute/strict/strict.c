/* The strict device: the cpu backend as a device far away would look to host code.
 *
 * Memory. Two stretches of address space of the same size are reserved. Tensors'
 * addresses lie in the first, which nobody may touch: host code that follows one crashes
 * at once. What they stand for lies a fixed distance further on, and only this file adds
 * that distance. Addresses are never used twice, so stale tensors crash too. New memory
 * holds NaN.
 *
 * Order. Nothing runs before it has to: work is queued and done when the stream is waited
 * for, as if the device were infinitely slow (the cpu device, where a call returns with
 * the work done, is the other extreme). A destination on the host holds NaN until then; a
 * source on the host is read then; memory freed too early is gone then. */
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "compute/backend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const size_t space_bytes = (size_t)1 << 40;
enum { ALIGNMENT = 64, POISON = 0xff /* NaN as F32, BF16, F16, F64; -1 as integer */ };

typedef struct strict_device {
    hr_device cpu;
    char *space; /* the addresses that host code sees, then as many that are real */
    size_t used; /* of the first half */
    size_t page;
} strict_device;

typedef struct copy_args {
    void *dst;
    const void *src;
    size_t bytes;
    hr_copy_kind kind;
} copy_args;

typedef hr_status (*run_fn)(hr_stream *cpu, const void *args);

typedef struct job {
    run_fn run;
    union {
        copy_args copy;
#define ARGS_MEMBER(name, n_tensors) hr_##name##_args name;
        HR_OP_LIST(ARGS_MEMBER)
    } args;
} job;

typedef struct strict_stream {
    hr_stream cpu;
    job *jobs;
    size_t n_jobs, capacity;
} strict_stream;

static hr_status strict_open(hr_device *device, const hr_device_options *options)
{
    void *memory, *space;
    strict_device *strict;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *strict, "the strict device", &memory));
    strict = memory;
    strict->cpu.backend = &hr_backend_cpu;
    status = hr_backend_cpu.open(&strict->cpu, options);
    if (status != HR_OK) {
        hr_free(strict);
        return status;
    }
    space = mmap(NULL, 2 * space_bytes, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        hr_backend_cpu.close(&strict->cpu);
        hr_free(strict);
        return hr_fail(HR_ERR_NOMEM, "device strict: cannot reserve address space: %s",
                       strerror(errno));
    }
    strict->space = space;
    strict->page = (size_t)sysconf(_SC_PAGESIZE);
    device->threads = strict->cpu.threads;
    device->isa = strict->cpu.isa;
    device->has_bf16 = strict->cpu.has_bf16;
    snprintf(device->description, sizeof device->description, "strict: %.110s",
             strict->cpu.description);
    device->state = strict;
    return HR_OK;
}

static void strict_close(hr_device *device)
{
    strict_device *strict = device->state;

    munmap(strict->space, 2 * space_bytes);
    hr_backend_cpu.close(&strict->cpu);
    hr_free(strict);
}

static size_t round_up(size_t bytes, size_t step)
{
    return (bytes + step - 1) / step * step;
}

/* Memory ends where its last page does: an operator that writes past the end crashes. */
static hr_status strict_alloc(hr_device *device, size_t bytes, void **out)
{
    strict_device *strict = device->state;
    size_t aligned = round_up(bytes, ALIGNMENT), pages = round_up(aligned, strict->page);
    char *seen = strict->space + strict->used, *real = seen + space_bytes;

    if (bytes > space_bytes || pages + strict->page > space_bytes - strict->used)
        return hr_fail(HR_ERR_NOMEM, "device strict: its address space is used up");
    if (hr_fault_errno("device.map", ENOMEM) ||
        mprotect(real, pages, PROT_READ | PROT_WRITE) != 0)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes on device strict: %s",
                       bytes, strerror(errno));
    memset(real, POISON, pages);
    strict->used += pages + strict->page;
    *out = seen + pages - aligned;
    return HR_OK;
}

static void strict_free(hr_device *device, void *data, size_t bytes)
{
    strict_device *strict = device->state;
    size_t pages = round_up(round_up(bytes, ALIGNMENT), strict->page);
    char *real = (char *)data + round_up(bytes, ALIGNMENT) - pages + space_bytes;

    /* Over the old mapping, so that its memory goes back to the system; cannot fail in a
     * way that matters: the pages then stay until the device is closed. */
    if (mmap(real, pages, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
             0) == MAP_FAILED)
        memset(real, POISON, pages);
}

static hr_status strict_stream_create(hr_stream *stream)
{
    strict_device *device = stream->device->state;
    strict_stream *strict;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *strict, "a stream", &memory));
    strict = memory;
    strict->cpu.device = &device->cpu;
    status = hr_backend_cpu.stream_create(&strict->cpu);
    if (status != HR_OK) {
        hr_free(strict);
        return status;
    }
    stream->state = strict;
    return HR_OK;
}

/* Work after a failure is dropped. */
static hr_status strict_stream_sync(hr_stream *stream)
{
    strict_stream *strict = stream->state;
    size_t n_jobs = strict->n_jobs;

    strict->n_jobs = 0;
    for (size_t i = 0; i < n_jobs; i++)
        HR_TRY(strict->jobs[i].run(&strict->cpu, &strict->jobs[i].args));
    return hr_backend_cpu.stream_sync(&strict->cpu);
}

static void strict_stream_destroy(hr_stream *stream)
{
    strict_stream *strict = stream->state;

    strict_stream_sync(stream);
    hr_backend_cpu.stream_destroy(&strict->cpu);
    hr_free(strict->jobs);
    hr_free(strict);
}

/* The next free place of the queue, zeroed; NULL (logged) without memory. */
static job *add_job(hr_stream *stream, run_fn run)
{
    strict_stream *strict = stream->state;
    size_t capacity = strict->capacity > 0 ? 2 * strict->capacity : 64;
    job *jobs;

    if (strict->n_jobs == strict->capacity) {
        jobs = hr_realloc(strict->jobs, capacity * sizeof *jobs);
        if (jobs == NULL) {
            hr_error("out of memory: %zu queued operators", capacity);
            return NULL;
        }
        strict->jobs = jobs;
        strict->capacity = capacity;
    }
    strict->jobs[strict->n_jobs] = (job){.run = run};
    return &strict->jobs[strict->n_jobs++];
}

static void *real_address(const void *seen)
{
    return (char *)(uintptr_t)seen + space_bytes;
}

static hr_tensor real_tensor(const hr_stream *stream, const hr_tensor *seen)
{
    strict_device *strict = stream->device->state;
    hr_tensor real = *seen;

    if (!hr_tensor_is_absent(seen)) {
        real.data = real_address(seen->data);
        real.device = &strict->cpu;
    }
    return real;
}

static hr_status run_copy(hr_stream *cpu, const void *args)
{
    const copy_args *copy = args;

    return hr_backend_cpu.copy(cpu, copy->dst, copy->src, copy->bytes, copy->kind);
}

static hr_status strict_copy(hr_stream *stream, void *dst, const void *src, size_t bytes,
                             hr_copy_kind kind)
{
    job *added = add_job(stream, run_copy);

    if (added == NULL)
        return HR_ERR_NOMEM;
    if (kind == HR_COPY_TO_HOST)
        memset(dst, POISON, bytes);
    added->args.copy = (copy_args){
        .dst = kind == HR_COPY_TO_HOST ? dst : real_address(dst),
        .src = kind == HR_COPY_TO_DEVICE ? src : real_address(src),
        .bytes = bytes,
        .kind = kind,
    };
    return HR_OK;
}

/* The state of packed weights is what the cpu backend made of them. */
static hr_status strict_pack(hr_stream *stream, const hr_tensor *weight,
                             hr_packed *packed)
{
    strict_stream *strict = stream->state;
    hr_tensor real = real_tensor(stream, weight);
    hr_packed *inner;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *inner, "packed weights", &memory));
    inner = memory;
    *inner = *packed;
    inner->device = strict->cpu.device;
    status = hr_backend_cpu.pack(&strict->cpu, &real, inner);
    if (status != HR_OK) {
        hr_free(inner);
        return status;
    }
    packed->bytes = inner->bytes;
    packed->state = inner;
    hr_device_count_bytes(packed->device, (int64_t)packed->bytes);
    return HR_OK;
}

static void strict_unpack(hr_packed *packed)
{
    hr_backend_cpu.unpack(packed->state);
    hr_free(packed->state);
    hr_device_count_bytes(packed->device, -(int64_t)packed->bytes);
}

#define DEFINE_RUN(name, n_tensors)                                                      \
    static hr_status run_##name(hr_stream *cpu, const void *args)                        \
    {                                                                                    \
        return hr_backend_cpu.name(cpu, args);                                           \
    }
HR_OP_LIST(DEFINE_RUN)

/* Queues an operator: its struct, with real addresses and the cpu backend's packed
 * weights. */
static hr_status add_op(hr_stream *stream, run_fn run, const void *args,
                        size_t args_bytes, int n_tensors)
{
    job *added = add_job(stream, run);
    hr_tensor *tensors;

    if (added == NULL)
        return HR_ERR_NOMEM;
    memcpy(&added->args, args, args_bytes);
    tensors = (hr_tensor *)&added->args;
    for (int i = 0; i < n_tensors; i++)
        tensors[i] = real_tensor(stream, &tensors[i]);
    if (run == run_linear)
        added->args.linear.weight = added->args.linear.weight->state;
    if (run == run_conv)
        added->args.conv.weight = added->args.conv.weight->state;
    return HR_OK;
}

#define DEFINE_OP(name, n_tensors)                                                       \
    static hr_status strict_##name(hr_stream *stream, const hr_##name##_args *args)      \
    {                                                                                    \
        return add_op(stream, run_##name, args, sizeof *args, n_tensors);                \
    }
HR_OP_LIST(DEFINE_OP)

const hr_backend hr_backend_strict = {.name = "strict",
                                      .open = strict_open,
                                      .close = strict_close,
                                      .alloc = strict_alloc,
                                      .free = strict_free,
                                      .stream_create = strict_stream_create,
                                      .stream_destroy = strict_stream_destroy,
                                      .stream_sync = strict_stream_sync,
                                      .copy = strict_copy,
                                      .pack = strict_pack,
                                      .unpack = strict_unpack,
#define SLOT(name, n_tensors) .name = strict_##name,
                                      HR_OP_LIST(SLOT)
#undef SLOT
};
