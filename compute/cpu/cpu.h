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

/* On such a device operators end once their memory is counted: tensors have no data. */
static inline bool hr_cpu_measures(const hr_stream *stream)
{
    return stream->device->measures;
}

/* Memory for the length of one operator, 64-byte aligned: grown when needed, kept by the
 * stream. Counted; where the device only measures, NULL. */
hr_status hr_cpu_scratch(hr_stream *stream, size_t bytes, void **out);

hr_status hr_cpu_pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed);
void hr_cpu_unpack(hr_packed *packed);

#define HR_CPU_OP(name, n_tensors)                                                       \
    hr_status hr_cpu_op_##name(hr_stream *stream, const hr_##name##_args *args);
HR_OP_LIST(HR_CPU_OP)
#undef HR_CPU_OP

/* The state of packed weights: pieces, each for primitives of its own. No piece lies in
 * two shards. "Columns" are those of the product. */
typedef struct hr_cpu_packed {
    hr_dtype dtype;      /* of the product: F32 for bf16 weights where it must be */
    bool direct;         /* a conv that is not done as a matrix product */
    int n_pieces;        /* in all: direct: by steps in time, else [in_shards][n] */
    int in_shards;       /* shards by input */
    int n;               /* pieces that the columns are cut into */
    int per_shard;       /* of those, how many in one shard by output */
    int n_of_matrix;     /* n if all shards of the matrix were here */
    int64_t shard_width; /* columns of a shard */
    int64_t piece_width; /* columns per piece, the last of a shard may have fewer */
    hr_onednn_weight *piece[];
} hr_cpu_packed;

/* Where the columns of piece `i` of the n begin, and how many they are. */
static inline int64_t hr_cpu_piece_column(const hr_cpu_packed *packed, int64_t i)
{
    return i / packed->per_shard * packed->shard_width +
           i % packed->per_shard * packed->piece_width;
}

static inline int64_t hr_cpu_piece_columns(const hr_cpu_packed *packed, int64_t i)
{
    int64_t left = packed->shard_width - i % packed->per_shard * packed->piece_width;

    return left < packed->piece_width ? left : packed->piece_width;
}

#endif
