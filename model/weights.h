/* The weights of one component (transformer, text_encoder, vae): one or several
 * safetensors files, found by the index or the plain name, mapped, never read as a whole.
 * Local.
 *
 * A component first declares every tensor that it needs, as name and shape;
 * hr_weights_check then compares all of them with the headers before any data is read and
 * reports the first that is missing or wrong. Every failure is HR_ERR_MODEL, logged with
 * file and tensor. */
#ifndef HR_MODEL_WEIGHTS_H
#define HR_MODEL_WEIGHTS_H

#include "compute/device.h"
#include "compute/ops.h"

#include <stddef.h>

typedef struct hr_weights hr_weights;

/* Maps the files of `folder`; `stem` is "diffusion_pytorch_model" or "model". The first
 * of these that is there counts: the index STEM.safetensors.index.json, STEM.safetensors,
 * then the same two for the variants "fp16" and "bf16" (STEM.safetensors.index.fp16.json,
 * STEM.fp16.safetensors). Missing shard, truncated file, tensor in two shards, index
 * entry that its shard lacks: refused. Caller closes (NULL is fine). */
hr_status hr_weights_open(const char *folder, const char *stem, hr_weights **out);
void hr_weights_close(hr_weights *weights);

/* Declares a tensor of 1 to HR_TENSOR_MAX_DIMS dimensions. `name` is copied. */
hr_status hr_weights_expect(hr_weights *weights, const char *name, int n_dims,
                            const int64_t *dim);
/* All declared tensors are there, in F32, F16 or BF16, with the declared shapes. Tensors
 * of the files that nobody declared are ignored. */
hr_status hr_weights_check(const hr_weights *weights);

/* Whether the files hold a tensor of this name, declared or not. */
bool hr_weights_has(const hr_weights *weights, const char *name);

/* For people and for fingerprints: files, and per tensor name, dtype and size. */
size_t hr_weights_n_files(const hr_weights *weights);
const char *hr_weights_file(const hr_weights *weights, size_t i);
typedef struct hr_weights_totals {
    size_t n_tensors;
    uint64_t n_parameters, n_bytes;
    uint64_t parameters_by_dtype[HR_DTYPE_COUNT + 1]; /* the last: other types */
} hr_weights_totals;
hr_weights_totals hr_weights_get_totals(const hr_weights *weights);

/* Loads a declared and checked tensor to the stream's device as F32 or BF16 (rounded to
 * nearest even), in the declared shape. Refuses NaN and infinities by name. On a dry
 * device no data is read. Waits for the copy; host memory beside the tensor is a small
 * buffer. Caller frees with hr_tensor_free. */
hr_status hr_weights_load(const hr_weights *weights, hr_stream *stream, const char *name,
                          hr_dtype dtype, hr_tensor *out);
/* The same for a part only, and the rest of the tensor is not touched: entries [first,
 * first + n) along dimension `axis`; NULL for all. */
typedef struct hr_weights_slice {
    int axis;
    int64_t first, n;
} hr_weights_slice;
hr_status hr_weights_load_slice(const hr_weights *weights, hr_stream *stream,
                                const char *name, hr_dtype dtype,
                                const hr_weights_slice *slice, hr_tensor *out);
/* The same into packed weights for linear ([out, in, ...] with all later dimensions taken
 * together) and conv ([out, in, (kt,) kh, kw]). */
hr_status hr_weights_load_linear(const hr_weights *weights, hr_stream *stream,
                                 const char *name, hr_dtype dtype, hr_packed **out);
hr_status hr_weights_load_conv(const hr_weights *weights, hr_stream *stream,
                               const char *name, hr_dtype dtype, hr_packed **out);

/* Shards [first, first + n) of a matrix that is cut into `total` (hr_pack_linear_shards),
 * packed; and the slice of a declared tensor that belongs to them, along its dimension 0
 * by output, 1 by input. */
typedef struct hr_weights_shards {
    hr_shard_axis axis;
    int first, n, total; /* total divides that dimension */
} hr_weights_shards;
hr_status hr_weights_load_shards(const hr_weights *weights, hr_stream *stream,
                                 const char *name, hr_dtype dtype,
                                 const hr_weights_shards *shards, hr_packed **out);
hr_status hr_weights_slice_of(const hr_weights *weights, const char *name,
                              const hr_weights_shards *shards, hr_weights_slice *out);

/* Bytes of values that were read from the files so far, whatever they were read for. */
uint64_t hr_weights_bytes_read(const hr_weights *weights);

/* Reads all declared tensors and refuses NaN and infinities by name, for parts that are
 * loaded only after long work. */
hr_status hr_weights_check_values(const hr_weights *weights);
/* The same for one declared tensor, or a slice of it (NULL: all). */
hr_status hr_weights_check_slice(const hr_weights *weights, const char *name,
                                 const hr_weights_slice *slice);

/* Copies a declared tensor to host memory as F32 (small tables). `out` holds its
 * elements. */
hr_status hr_weights_read_f32(const hr_weights *weights, const char *name, float *out);

#endif
