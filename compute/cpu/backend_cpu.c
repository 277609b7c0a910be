/* The processor that the program runs on. A stream is done with an operator when its call
 * returns. */
#include "base/log.h"
#include "base/memory.h"
#include "compute/cpu/cpu.h"
#include "compute/cpu/isa.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 64 };

typedef struct cpu_stream {
    void *scratch;
    size_t scratch_bytes;
} cpu_stream;

#if defined(__x86_64__)
extern const hr_cpu_kernels hr_cpu_kernels_avx2, hr_cpu_kernels_avx512;
#endif
extern const hr_cpu_kernels hr_cpu_kernels_plain;

const hr_cpu_kernels *hr_cpu_kernels_of(hr_isa isa)
{
#if defined(__x86_64__)
    if (isa == HR_ISA_AVX512)
        return &hr_cpu_kernels_avx512;
    if (isa == HR_ISA_AVX2)
        return &hr_cpu_kernels_avx2;
#endif
    (void)isa;
    return &hr_cpu_kernels_plain;
}

/* A machine may have the instructions, and oneDNN no kernels that use them. */
static hr_status find_bf16(hr_isa isa, hr_onednn *onednn, bool *out)
{
    hr_onednn_shape usual = {
        .c_in = 64, .c_out = 64, .kernel_height = 1, .kernel_width = 1, .dtype = HR_BF16};

    *out = false;
    return hr_isa_has_bf16(isa) ? hr_onednn_is_fast(onednn, &usual, out) : HR_OK;
}

static hr_status cpu_open(hr_device *device, const hr_device_options *options)
{
    hr_cpu *cpu;
    void *memory;
    hr_status status;

    HR_TRY(hr_isa_settle(options->isa, &device->isa));
    HR_TRY(hr_alloc_or_fail(sizeof *cpu, "the cpu device", &memory));
    cpu = memory;
    device->threads = options->threads > 0 ? options->threads : omp_get_num_procs();
    cpu->kernels = hr_cpu_kernels_of(device->isa);
    status = hr_onednn_create(device->isa, device->threads, device, &cpu->onednn);
    if (status == HR_OK)
        status = find_bf16(device->isa, cpu->onednn, &device->has_bf16);
    if (status == HR_OK)
        status = hr_pool_create(device->measures ? 1 : device->threads, &cpu->pool);
    if (status != HR_OK) {
        hr_onednn_destroy(cpu->onednn);
        hr_free(cpu);
        return status;
    }
    snprintf(device->description, sizeof device->description, "cpu, %s, %d thread%s",
             hr_isa_name(device->isa), device->threads, device->threads == 1 ? "" : "s");
    device->state = cpu;
    return HR_OK;
}

static void cpu_close(hr_device *device)
{
    hr_cpu *cpu = device->state;

    hr_pool_destroy(cpu->pool);
    hr_onednn_destroy(cpu->onednn);
    hr_free(cpu);
}

static hr_status cpu_alloc(hr_device *device, size_t bytes, void **out)
{
    void *memory = hr_alloc_aligned(bytes, ALIGNMENT);

    if (memory == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes on device %s", bytes,
                       device->backend->name);
    *out = memory;
    return HR_OK;
}

static void cpu_free(hr_device *device, void *data, size_t bytes)
{
    (void)device;
    (void)bytes;
    hr_free(data);
}

static hr_status cpu_stream_create(hr_stream *stream)
{
    return hr_alloc_or_fail(sizeof(cpu_stream), "a stream", &stream->state);
}

static void cpu_stream_destroy(hr_stream *stream)
{
    cpu_stream *state = stream->state;

    hr_device_count_scratch(stream->device, -(int64_t)state->scratch_bytes);
    hr_free(state->scratch);
    hr_free(state);
}

static hr_status cpu_stream_sync(hr_stream *stream)
{
    (void)stream;
    return HR_OK;
}

static hr_status cpu_copy(hr_stream *stream, void *dst, const void *src, size_t bytes,
                          hr_copy_kind kind)
{
    (void)stream;
    (void)kind;
    memcpy(dst, src, bytes);
    return HR_OK;
}

static hr_status grow_scratch(hr_stream *stream, size_t bytes)
{
    cpu_stream *state = stream->state;

    hr_device_count_scratch(stream->device, -(int64_t)state->scratch_bytes);
    state->scratch_bytes = 0;
    if (!hr_cpu_measures(stream)) {
        hr_free(state->scratch);
        state->scratch = hr_alloc_aligned(bytes, ALIGNMENT);
        if (state->scratch == NULL)
            return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for an operator",
                           bytes);
    }
    state->scratch_bytes = bytes;
    hr_device_count_scratch(stream->device, (int64_t)bytes);
    return HR_OK;
}

hr_status hr_cpu_scratch(hr_stream *stream, size_t bytes, void **out)
{
    cpu_stream *state = stream->state;

    if (bytes > state->scratch_bytes)
        HR_TRY(grow_scratch(stream, bytes));
    *out = state->scratch;
    return HR_OK;
}

const hr_backend hr_backend_cpu = {.name = "cpu",
                                   .open = cpu_open,
                                   .close = cpu_close,
                                   .alloc = cpu_alloc,
                                   .free = cpu_free,
                                   .stream_create = cpu_stream_create,
                                   .stream_destroy = cpu_stream_destroy,
                                   .stream_sync = cpu_stream_sync,
                                   .copy = cpu_copy,
                                   .pack = hr_cpu_pack,
                                   .unpack = hr_cpu_unpack,
#define SLOT(name, n_tensors) .name = hr_cpu_op_##name,
                                   HR_OP_LIST(SLOT)
#undef SLOT
};
