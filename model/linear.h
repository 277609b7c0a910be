/* A matrix with its bias, as the transformer's files hold them: PREFIX.weight and
 * PREFIX.bias. Local. */
#ifndef HR_MODEL_LINEAR_H
#define HR_MODEL_LINEAR_H

#include "compute/ops.h"
#include "model/weights.h"

typedef struct hr_linear {
    hr_packed *weight;
    hr_tensor bias; /* F32 [out]; absent where a part has none */
} hr_linear;

/* Longest tensor name that the functions below make. */
enum { HR_TENSOR_NAME_MAX = 128 };

/* Declares PREFIX.weight [out, in] and PREFIX.bias [out]. */
hr_status hr_linear_expect(hr_weights *weights, const char *prefix, int64_t out,
                           int64_t in);
/* Where the values of a component come from and go to. */
typedef struct hr_loader {
    const hr_weights *weights;
    hr_stream *stream; /* NULL: nothing is loaded, values are only checked */
} hr_loader;

/* Loads both, the weight as `dtype`. On failure *linear is as before. */
hr_status hr_linear_load(hr_linear *linear, const hr_loader *loader, const char *prefix,
                         hr_dtype dtype);
/* Loads some shards: those by output have their part of the bias, of those by input the
 * first has it all. */
hr_status hr_linear_load_shards(hr_linear *linear, const hr_loader *loader,
                                const char *prefix, hr_dtype dtype,
                                const hr_weights_shards *shards);
/* A tensor of its own, F32; `slice` NULL: all of it. */
hr_status hr_vector_load(hr_tensor *vector, const hr_loader *loader, const char *name,
                         const hr_weights_slice *slice);
/* Takes a zeroed one too. */
void hr_linear_free(hr_linear *linear);

/* out = activation(x W^T + b); x: [M, in] in the type of the weight. */
hr_status hr_linear_run(const hr_linear *linear, hr_stream *stream, const hr_tensor *x,
                        const hr_tensor *out, hr_activation activation);

#endif
