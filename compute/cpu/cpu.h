/* Inside cpu/ only: what its files share. */
#ifndef HR_COMPUTE_CPU_CPU_H
#define HR_COMPUTE_CPU_CPU_H

#include "compute/backend.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/onednn.h"
#include "compute/cpu/pool.h"

/* The state of a cpu device. */
typedef struct hr_cpu {
    const hr_cpu_kernels *kernels;
    hr_onednn *onednn;
    hr_pool *pool;
} hr_cpu;

static inline hr_cpu *hr_cpu_of(const hr_stream *stream)
{
    return stream->device->state;
}

/* Memory for the length of one operator, 64-byte aligned: grown when needed, kept by the
 * stream. */
hr_status hr_cpu_scratch(hr_stream *stream, size_t bytes, void **out);

hr_status hr_cpu_pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed);
void hr_cpu_unpack(hr_packed *packed);

#define HR_CPU_OP(name, n_tensors)                                                       \
    hr_status hr_cpu_op_##name(hr_stream *stream, const hr_##name##_args *args);
HR_OP_LIST(HR_CPU_OP)
#undef HR_CPU_OP

/* The state of packed weights: pieces, each for primitives of its own. */
typedef struct hr_cpu_packed {
    hr_dtype dtype; /* of the product: F32 for bf16 weights where it must be */
    bool direct;    /* a conv that is not done as a matrix product */
    int n;
    int64_t piece_width; /* columns per piece, the last one may have fewer; direct: all */
    hr_onednn_weight *piece[]; /* by columns; direct: by steps in time */
} hr_cpu_packed;

#endif
