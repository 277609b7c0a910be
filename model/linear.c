#include "model/linear.h"

#include <stdio.h>

hr_status hr_linear_expect(hr_weights *weights, const char *prefix, int64_t out,
                           int64_t in)
{
    char name[HR_TENSOR_NAME_MAX];

    snprintf(name, sizeof name, "%s.weight", prefix);
    HR_TRY(hr_weights_expect(weights, name, HR_DIMS(out, in)));
    snprintf(name, sizeof name, "%s.bias", prefix);
    return hr_weights_expect(weights, name, HR_DIMS(out));
}

hr_status hr_vector_load(hr_tensor *vector, const hr_loader *loader, const char *name,
                         const hr_weights_slice *slice)
{
    if (loader->stream == NULL)
        return hr_weights_check_slice(loader->weights, name, slice);
    return hr_weights_load_slice(loader->weights, loader->stream, name, HR_F32, slice,
                                 vector);
}

hr_status hr_linear_load(hr_linear *linear, const hr_loader *loader, const char *prefix,
                         hr_dtype dtype)
{
    const hr_weights_shards whole = {.n = 1, .total = 1};

    return hr_linear_load_shards(linear, loader, prefix, dtype, &whole);
}

static hr_status load_weight(hr_packed **out, const hr_loader *loader, const char *name,
                             hr_dtype dtype, const hr_weights_shards *shards)
{
    hr_weights_slice slice;

    if (loader->stream != NULL)
        return hr_weights_load_shards(loader->weights, loader->stream, name, dtype,
                                      shards, out);
    HR_TRY(hr_weights_slice_of(loader->weights, name, shards, &slice));
    return hr_weights_check_slice(loader->weights, name, &slice);
}

static hr_status load_bias(hr_tensor *out, const hr_loader *loader, const char *name,
                           const hr_weights_shards *shards)
{
    hr_weights_slice slice;

    if (shards->axis == HR_SHARDS_BY_IN)
        return shards->first > 0 ? HR_OK : hr_vector_load(out, loader, name, NULL);
    HR_TRY(hr_weights_slice_of(loader->weights, name, shards, &slice));
    return hr_vector_load(out, loader, name, &slice);
}

hr_status hr_linear_load_shards(hr_linear *linear, const hr_loader *loader,
                                const char *prefix, hr_dtype dtype,
                                const hr_weights_shards *shards)
{
    char name[HR_TENSOR_NAME_MAX];
    hr_linear loaded = {0};
    hr_status status;

    snprintf(name, sizeof name, "%s.bias", prefix);
    HR_TRY(load_bias(&loaded.bias, loader, name, shards));
    snprintf(name, sizeof name, "%s.weight", prefix);
    status = load_weight(&loaded.weight, loader, name, dtype, shards);
    if (status == HR_OK)
        *linear = loaded;
    else
        hr_tensor_free(&loaded.bias);
    return status;
}

void hr_linear_free(hr_linear *linear)
{
    hr_packed_destroy(linear->weight);
    linear->weight = NULL;
    hr_tensor_free(&linear->bias);
}

hr_status hr_linear_run(const hr_linear *linear, hr_stream *stream, const hr_tensor *x,
                        const hr_tensor *out, hr_activation activation)
{
    return hr_op_linear(stream, &(hr_linear_args){.x = *x,
                                                  .bias = linear->bias,
                                                  .out = *out,
                                                  .weight = linear->weight,
                                                  .activation = activation});
}
