/* The one room that knows oneDNN (2.6 or 3.x): convolutions with packed weights.
 *
 * Only 2-d convolutions with stride 1, channels last, single pictures. A matrix product
 * is one of a 1 x 1 kernel over a picture of one row; a kernel over time is a sum of
 * several. Primitives are made for one thread, and hr_onednn_run runs on the calling
 * thread only: how work is split over threads is never oneDNN's decision, or results
 * would change with their number. All functions are local; creating and packing from one
 * thread at a time. */
#ifndef HR_COMPUTE_CPU_ONEDNN_H
#define HR_COMPUTE_CPU_ONEDNN_H

#include "compute/device.h"

typedef struct hr_onednn hr_onednn; /* engine, and the primitives made so far */
typedef struct hr_onednn_weight hr_onednn_weight; /* packed */
typedef struct hr_onednn_conv hr_onednn_conv;     /* a primitive */

/* Everything that tells two primitives apart. The picture is dense [height, width, c_in]
 * of `dtype`; the result is dense F32 [.., .., c_out]. No padding between fields:
 * compared as bytes. */
typedef struct hr_onednn_shape {
    int64_t height, width, c_in, c_out;
    int64_t kernel_height, kernel_width;
    int64_t pad_top, pad_bottom, pad_left, pad_right;
    int32_t dtype;      /* of picture and weight: F32, or BF16 where the device has it */
    int16_t has_bias;   /* F32 [c_out] */
    int16_t accumulate; /* result += ... */
} hr_onednn_shape;

/* Limits oneDNN to the level when it is the first of the process. `threads` is how many
 * threads will call hr_onednn_run at once. On `device` it counts what it takes beside
 * packed weights; where that only measures, it makes descriptors, but no primitives, and
 * weights have no data. NULL: nobody counts. */
hr_status hr_onednn_create(hr_isa isa, int threads, hr_device *device, hr_onednn **out);
void hr_onednn_destroy(hr_onednn *onednn);

/* Whether oneDNN has more than its plain loops for weights of this kind; only kernel,
 * channels and dtype count. HR_ERR_NOMEM: not known, and as the bits depend on it, no
 * reason to go on. */
hr_status hr_onednn_is_fast(hr_onednn *onednn, const hr_onednn_shape *shape, bool *out);

/* Packs `weight`, dense [c_out, c_in, kernel_height, kernel_width] of the shape's dtype;
 * only those fields of the shape count. */
hr_status hr_onednn_pack(hr_onednn *onednn, const hr_onednn_shape *shape,
                         const void *weight, hr_onednn_weight **out);
void hr_onednn_weight_destroy(const hr_onednn *onednn, hr_onednn_weight *weight);
/* The bytes that hr_onednn_pack makes of a weight of that shape. */
hr_status hr_onednn_weight_bytes(hr_onednn *onednn, const hr_onednn_shape *shape,
                                 size_t *out);

/* The primitive of the shape, made at the first request; lent, lives as long as `onednn`.
 */
hr_status hr_onednn_get(hr_onednn *onednn, const hr_onednn_shape *shape,
                        const hr_onednn_conv **out);
/* What oneDNN calls its implementation ("jit_1x1:avx2"). */
const char *hr_onednn_conv_name(const hr_onednn_conv *conv);

/* The weight in the layout that the primitive reads; a second one is made at the first
 * request, and lives as long as the weight. Any thread. */
hr_status hr_onednn_lay(hr_onednn *onednn, const hr_onednn_conv *conv,
                        hr_onednn_weight *weight, hr_onednn_weight **out);

typedef struct hr_onednn_run_args {
    const hr_onednn_conv *conv;
    hr_onednn_weight *weight; /* may get a second layout (hr_onednn_lay) */
    const void *picture;
    const float *bias; /* when the shape has one */
    float *out;
    int thread; /* 0..threads-1, a different one for each caller at a time */
} hr_onednn_run_args;
hr_status hr_onednn_run(hr_onednn *onednn, const hr_onednn_run_args *args);

#endif
