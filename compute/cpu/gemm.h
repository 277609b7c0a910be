/* Inside cpu/ only: matrix products, and the convolutions that are done as one. */
#ifndef HR_COMPUTE_CPU_GEMM_H
#define HR_COMPUTE_CPU_GEMM_H

#include "compute/cpu/cpu.h"

/* out = activation(rows W^T + bias), or out += rows W^T + bias. */
typedef struct hr_cpu_gemm {
    const hr_packed *weight; /* not one for direct convolution */
    int64_t rows, depth;
    const void *x;         /* dense rows; NULL where `fetch` makes them */
    hr_dtype x_dtype;      /* of x: that of the product, or BF16 for one in F32 */
    hr_cpu_fetch_fn fetch; /* only for weights without shards */
    const void *fetch_args;
    int64_t max_rows; /* of a tile; 0: as many as are good */
    hr_tensor out, bias;
    hr_activation activation;
    bool accumulate;
} hr_cpu_gemm;

hr_status hr_cpu_gemm_run(hr_stream *stream, const hr_cpu_gemm *gemm);

#endif
