#include "model/vae_layers.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_NAME = 160 };

/* "PREFIX.LAST" into out; returns out. */
static const char *join(const char *prefix, const char *last, char out[MAX_NAME])
{
    snprintf(out, MAX_NAME, "%s.%s", prefix, last);
    return out;
}

static hr_status tensor_make(hr_vae_source *source, const char *name, int n_dims,
                             const int64_t *dim, hr_tensor *out)
{
    if (source->declare != NULL)
        return hr_weights_expect(source->declare, name, n_dims, dim);
    return hr_weights_load(source->load, source->stream, name, HR_F32, out);
}

static hr_status bias_make(hr_vae_source *source, const char *prefix, int64_t width,
                           hr_tensor *out)
{
    char name[MAX_NAME];

    return tensor_make(source, join(prefix, "bias", name), HR_DIMS(width), out);
}

hr_status hr_vae_norm_make(hr_vae_source *source, const char *prefix, int n_dims,
                           int64_t width, hr_tensor *out)
{
    const int64_t dim[HR_TENSOR_MAX_DIMS] = {width, 1, 1, 1, 1};
    char name[MAX_NAME];

    HR_TRY(tensor_make(source, join(prefix, "gamma", name), n_dims, dim, out));
    if (source->load != NULL)
        *out = hr_tensor_reshape(out, HR_DIMS(width));
    return HR_OK;
}

hr_status hr_vae_linear_make(hr_vae_source *source, const char *prefix, int n_dims,
                             const int64_t *dim, hr_vae_linear *out)
{
    char name[MAX_NAME];

    out->out = dim[0];
    join(prefix, "weight", name);
    if (source->declare != NULL)
        HR_TRY(hr_weights_expect(source->declare, name, n_dims, dim));
    else
        HR_TRY(hr_weights_load_linear(source->load, source->stream, name, HR_F32,
                                      &out->weight));
    return bias_make(source, prefix, dim[0], &out->bias);
}

hr_status hr_vae_conv_make(hr_vae_source *source, const char *prefix, int n_dims,
                           const int64_t *dim, hr_vae_conv *out)
{
    char name[MAX_NAME];

    out->out = dim[0];
    out->in = dim[1];
    out->kernel[0] = n_dims == 5 ? dim[2] : 1;
    out->kernel[1] = dim[n_dims - 2];
    out->kernel[2] = dim[n_dims - 1];
    out->slot = out->kernel[0] > 1 ? source->n_slots++ : -1;
    join(prefix, "weight", name);
    if (source->declare != NULL)
        HR_TRY(hr_weights_expect(source->declare, name, n_dims, dim));
    else
        HR_TRY(hr_weights_load_conv(source->load, source->stream, name, HR_F32,
                                    &out->weight));
    return bias_make(source, prefix, dim[0], &out->bias);
}

hr_status hr_vae_resnet_make(hr_vae_source *source, const char *prefix, int64_t n_in,
                             int64_t n_out, hr_vae_resnet *out)
{
    char name[MAX_NAME];

    HR_TRY(hr_vae_norm_make(source, join(prefix, "norm1", name), 4, n_in, &out->norm1));
    HR_TRY(hr_vae_norm_make(source, join(prefix, "norm2", name), 4, n_out, &out->norm2));
    HR_TRY(hr_vae_conv_make(source, join(prefix, "conv1", name),
                            HR_DIMS(n_out, n_in, 3, 3, 3), &out->conv1));
    HR_TRY(hr_vae_conv_make(source, join(prefix, "conv2", name),
                            HR_DIMS(n_out, n_out, 3, 3, 3), &out->conv2));
    out->has_shortcut = n_in != n_out;
    if (!out->has_shortcut)
        return HR_OK;
    return hr_vae_linear_make(source, join(prefix, "conv_shortcut", name),
                              HR_DIMS(n_out, n_in, 1, 1, 1), &out->shortcut);
}

/* The rows of to_qkv are q, k and v one after the other; each becomes a product of its
 * own, since attention wants them apart. */
static hr_status load_qkv(hr_vae_source *source, const char *name, hr_vae_attention *out)
{
    hr_packed **parts[] = {&out->q, &out->k, &out->v};
    hr_status status = HR_OK;
    hr_tensor whole, rows;

    HR_TRY(hr_weights_load(source->load, source->stream, name, HR_F32, &whole));
    rows = hr_tensor_reshape(&whole, HR_DIMS(3 * out->width, out->width));
    for (int i = 0; i < 3; i++) {
        hr_tensor part = hr_tensor_slice(&rows, i * out->width, out->width);

        HR_TRY_GOTO(hr_pack_linear(source->stream, &part, parts[i]), done);
    }
done:
    hr_tensor_free(&whole);
    return status;
}

hr_status hr_vae_attention_make(hr_vae_source *source, const char *prefix, int64_t width,
                                hr_vae_attention *out)
{
    char name[MAX_NAME];

    out->width = width;
    HR_TRY(hr_vae_norm_make(source, join(prefix, "norm", name), 3, width, &out->norm));
    HR_TRY(bias_make(source, join(prefix, "to_qkv", name), 3 * width, &out->qkv_bias));
    join(prefix, "to_qkv.weight", name);
    if (source->declare != NULL)
        HR_TRY(hr_weights_expect(source->declare, name, HR_DIMS(3 * width, width, 1, 1)));
    else
        HR_TRY(load_qkv(source, name, out));
    return hr_vae_linear_make(source, join(prefix, "proj", name),
                              HR_DIMS(width, width, 1, 1), &out->proj);
}

hr_status hr_vae_stage_make(hr_vae_source *source, const char *prefix,
                            const hr_vae_stage_plan *plan, hr_vae_stage *out)
{
    char name[MAX_NAME], part[64];
    void *memory;
    size_t bytes;

    HR_TRY(hr_size_mul((size_t)plan->n_resnets, sizeof *out->resnets, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "VAE blocks", &memory));
    out->resnets = memory;
    out->n_resnets = plan->n_resnets;
    for (int64_t i = 0; i < plan->n_resnets; i++) {
        snprintf(part, sizeof part, "resnets.%" PRId64, i);
        HR_TRY(hr_vae_resnet_make(source, join(prefix, part, name),
                                  i == 0 ? plan->in : plan->out, plan->out,
                                  &out->resnets[i]));
    }
    out->has_upsampler = plan->upsampler != NULL;
    out->is_temporal = plan->is_temporal;
    out->has_duplicate = plan->has_duplicate;
    if (plan->upsampler == NULL)
        return HR_OK;
    if (plan->is_temporal) {
        snprintf(part, sizeof part, "%s.time_conv", plan->upsampler);
        HR_TRY(hr_vae_conv_make(source, join(prefix, part, name),
                                HR_DIMS(2 * plan->out, plan->out, 3, 1, 1),
                                &out->time_conv));
    }
    snprintf(part, sizeof part, "%s.resample.1", plan->upsampler);
    return hr_vae_conv_make(source, join(prefix, part, name),
                            HR_DIMS(plan->up_out, plan->out, 3, 3), &out->spatial_conv);
}

void hr_vae_linear_free(hr_vae_linear *linear)
{
    hr_packed_destroy(linear->weight);
    hr_tensor_free(&linear->bias);
}

void hr_vae_conv_free(hr_vae_conv *conv)
{
    hr_packed_destroy(conv->weight);
    hr_tensor_free(&conv->bias);
}

void hr_vae_resnet_free(hr_vae_resnet *resnet)
{
    hr_tensor_free(&resnet->norm1);
    hr_tensor_free(&resnet->norm2);
    hr_vae_conv_free(&resnet->conv1);
    hr_vae_conv_free(&resnet->conv2);
    hr_vae_linear_free(&resnet->shortcut);
}

void hr_vae_attention_free(hr_vae_attention *attention)
{
    hr_tensor_free(&attention->norm);
    hr_tensor_free(&attention->qkv_bias);
    hr_packed_destroy(attention->q);
    hr_packed_destroy(attention->k);
    hr_packed_destroy(attention->v);
    hr_vae_linear_free(&attention->proj);
}

void hr_vae_stage_free(hr_vae_stage *stage)
{
    for (int64_t i = 0; i < stage->n_resnets; i++)
        hr_vae_resnet_free(&stage->resnets[i]);
    hr_vae_conv_free(&stage->time_conv);
    hr_vae_conv_free(&stage->spatial_conv);
    hr_free(stage->resnets);
}
