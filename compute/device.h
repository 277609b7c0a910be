/* A device, its memory and its streams. All functions are local.
 *
 * Work is enqueued on a stream and runs in order; it may still be running when the call
 * returns. Memory that enqueued work uses stays valid (not freed, not written by the
 * host) until hr_stream_sync. Reuse by later work of the same stream needs no sync. */
#ifndef HR_COMPUTE_DEVICE_H
#define HR_COMPUTE_DEVICE_H

#include "base/status.h"
#include "compute/tensor.h"

typedef struct hr_stream hr_stream;

/* Instruction sets of the cpu device; HR_ISA_AUTO takes the best that the machine has. */
typedef enum hr_isa { HR_ISA_AUTO = 0, HR_ISA_PLAIN, HR_ISA_AVX2, HR_ISA_AVX512 } hr_isa;

/* What cpu devices of this process will run with. */
typedef struct hr_isa_level {
    hr_isa isa;
    bool has_bf16; /* multiplies bf16 itself */
} hr_isa_level;
/* Found without settling anything; `wanted` as in the options. HR_ERR_UNSUPPORTED
 * (logged) for one that the machine lacks. */
hr_status hr_isa_look(hr_isa wanted, hr_isa_level *out);
/* Before the first device is opened: no bf16 products here, for the sake of ranks whose
 * machines have none. */
void hr_isa_forbid_bf16(void);

/* Zeroed means: cpu, all cores of the process's affinity mask, best instruction set. */
typedef struct hr_device_options {
    const char *name; /* "cpu", "strict", "dry", "auto"; NULL is "auto" */
    int threads;      /* 0: as many as the process may run on */
    hr_isa isa;       /* the first device opened decides for the whole process */
} hr_device_options;

/* HR_ERR_ARG for an unknown name (logged with the names there are); HR_ERR_UNSUPPORTED
 * when this build or this machine does not have it. Caller closes, after everything made
 * from it. */
hr_status hr_device_open(const hr_device_options *options, hr_device **out);
void hr_device_close(hr_device *device);

/* The backend's name ("cpu"), and a line for people: "cpu, AVX2, 2 threads". */
const char *hr_device_name(const hr_device *device);
const char *hr_device_description(const hr_device *device);
/* How many threads compute. */
int hr_device_threads(const hr_device *device);
/* Whether matrix products with bf16 inputs run natively (else they are done in fp32 on
 * the bf16-rounded values). */
bool hr_device_has_bf16(const hr_device *device);
/* A dry device checks every call and counts memory and work, but holds no data and
 * computes nothing: running the real code on it is the estimate of what that code needs.
 * Reads from it give zeros. */
bool hr_device_is_dry(const hr_device *device);
/* Whether tensors lie in host memory: while the stream is idle the host may read and
 * write at their data. */
bool hr_device_is_host(const hr_device *device);

typedef struct hr_device_stats {
    size_t live_bytes;      /* device memory now, packed weights included */
    size_t peak_bytes;      /* at most so far, or since the last reset */
    size_t peak_all_bytes;  /* the same with what operators keep besides */
    uint64_t n_allocations; /* so far */
    double flops;           /* of linear, conv and attention, 2 per multiply-add */
} hr_device_stats;
hr_device_stats hr_device_get_stats(const hr_device *device);
void hr_device_reset_peak(hr_device *device);

/* A stream. Destroying it waits for its work. */
hr_status hr_stream_create(hr_device *device, hr_stream **out);
void hr_stream_destroy(hr_stream *stream);
hr_device *hr_stream_device(const hr_stream *stream);
/* Waits until all enqueued work is done; returns the first failure of that work. */
hr_status hr_stream_sync(hr_stream *stream);

/* Enqueued copies of a whole tensor; host memory is dense, of the same dtype. Between
 * tensors: same dtype and count, no overlap. */
hr_status hr_copy_to_device(hr_stream *stream, const hr_tensor *dst, const void *src);
hr_status hr_copy_to_host(hr_stream *stream, void *dst, const hr_tensor *src);
hr_status hr_copy(hr_stream *stream, const hr_tensor *dst, const hr_tensor *src);

/* A tensor with memory of its own (weights, results). Not initialised (the strict device
 * fills it with NaN). Freed by hr_tensor_free, which takes an absent tensor and makes it
 * absent. */
hr_status hr_tensor_create(hr_device *device, hr_dtype dtype, int n_dims,
                           const int64_t *dim, hr_tensor *out);
void hr_tensor_free(hr_tensor *t);

/* For the list-like call sites: HR_DIMS(3, 4) is "2, (const int64_t[]){3, 4}". */
#define HR_DIMS(...)                                                                     \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])   \
    {                                                                                    \
        __VA_ARGS__                                                                      \
    }

#endif
