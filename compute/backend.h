/* Inside compute/ only: what a backend provides. One constant hr_backend per backend;
 * table.c lists them. Callers of compute/ use device.h, arena.h and ops.h. */
#ifndef HR_COMPUTE_BACKEND_H
#define HR_COMPUTE_BACKEND_H

#include "compute/device.h"
#include "compute/ops.h"

#include <stdatomic.h>

typedef struct hr_backend hr_backend;

struct hr_device {
    const hr_backend *backend;
    int threads;
    hr_isa isa;
    bool has_bf16;
    bool measures; /* the dry device: the cpu backend holds and computes nothing on it */
    char description[128];
    /* Counted by device.c, packed weights by backends. */
    atomic_size_t live_bytes, peak_bytes;
    atomic_size_t live_all_bytes, peak_all_bytes; /* with scratch memory of backends */
    atomic_uint_fast64_t n_allocations;
    double flops; /* counted by ops.c on the enqueuing thread */
    void *state;  /* the backend's own */
};

struct hr_stream {
    hr_device *device;
    void *state; /* the backend's own */
};

typedef enum hr_packed_kind { HR_PACKED_LINEAR = 0, HR_PACKED_CONV } hr_packed_kind;

struct hr_packed {
    hr_device *device;
    hr_packed_kind kind;
    hr_dtype dtype;
    /* Of the unpacked weight: [out, in] or [out, in, kt, kh, kw] (2-d kernels: kt 1). */
    int n_dims;
    int64_t dim[HR_TENSOR_MAX_DIMS];
    hr_shards shards; /* of linear; 1 of 1 where it is whole */
    size_t bytes;     /* device memory that it takes */
    void *state;      /* the backend's own */
};

typedef enum hr_copy_kind {
    HR_COPY_TO_DEVICE = 0,
    HR_COPY_TO_HOST,
    HR_COPY_WITHIN
} hr_copy_kind;

struct hr_backend {
    const char *name;
    /* Fills threads, isa, has_bf16, description and state; HR_ERR_UNSUPPORTED where it
     * cannot run. */
    hr_status (*open)(hr_device *device, const hr_device_options *options);
    void (*close)(hr_device *device);
    /* 64-byte aligned. HR_ERR_NOMEM is logged by the backend. */
    hr_status (*alloc)(hr_device *device, size_t bytes, void **out);
    void (*free)(hr_device *device, void *data, size_t bytes);
    hr_status (*stream_create)(hr_stream *stream);
    void (*stream_destroy)(hr_stream *stream);
    hr_status (*stream_sync)(hr_stream *stream);
    hr_status (*copy)(hr_stream *stream, void *dst, const void *src, size_t bytes,
                      hr_copy_kind kind);
    /* `packed` has all plain fields set but bytes, `weight` has its shape; the stream is
     * idle. */
    hr_status (*pack)(hr_stream *stream, const hr_tensor *weight, hr_packed *packed);
    void (*unpack)(hr_packed *packed); /* frees state */
#define HR_BACKEND_SLOT(name, n_tensors)                                                 \
    hr_status (*name)(hr_stream * stream, const hr_##name##_args *args);
    HR_OP_LIST(HR_BACKEND_SLOT)
#undef HR_BACKEND_SLOT
};

extern const hr_backend hr_backend_cpu;
extern const hr_backend
    hr_backend_strict; /* the cpu backend in an address space of its own */
extern const hr_backend hr_backend_dry; /* no data, no work */

/* For backends: counts memory of packed weights. `bytes` may be negative. */
void hr_device_count_bytes(hr_device *device, int64_t bytes);
/* The same for what operators keep beside tensors and packed weights. */
void hr_device_count_scratch(hr_device *device, int64_t bytes);

/* For device.c and arena.c: counted memory of the device; HR_ERR_NOMEM is logged. */
hr_status hr_device_alloc(hr_device *device, size_t bytes, void **out);
void hr_device_free(hr_device *device, void *data, size_t bytes);
/* A tensor of that type and shape without memory, and its bytes; HR_ERR_INTERNAL for
 * impossible shapes (empty ones too). */
hr_status hr_tensor_shape(hr_tensor *out, hr_device *device, hr_dtype dtype, int n_dims,
                          const int64_t *dim, size_t *bytes);

/* table.c: the backend of that name ("auto" too); HR_ERR_ARG or HR_ERR_UNSUPPORTED are
 * logged. */
hr_status hr_backend_find(const char *name, const hr_backend **out);

/* ops_check.c: the rule that `args` breaks, in words, or NULL. Looks at shapes, dtypes
 * and overlap; the tensors have been found sound by themselves. */
#define HR_OP_CHECK(name, n_tensors)                                                     \
    const char *hr_op_check_##name(const hr_##name##_args *args);
HR_OP_LIST(HR_OP_CHECK)
#undef HR_OP_CHECK

#endif
