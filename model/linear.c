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

hr_status hr_linear_load(hr_linear *linear, const hr_weights *weights, hr_stream *stream,
                         const char *prefix, hr_dtype dtype)
{
    char name[HR_TENSOR_NAME_MAX];
    hr_linear loaded = {0};
    hr_status status;

    snprintf(name, sizeof name, "%s.bias", prefix);
    HR_TRY(hr_weights_load(weights, stream, name, HR_F32, &loaded.bias));
    snprintf(name, sizeof name, "%s.weight", prefix);
    status = hr_weights_load_linear(weights, stream, name, dtype, &loaded.weight);
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
