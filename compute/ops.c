/* Checks, counts and hands over to the backend. */
#include "compute/ops.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "compute/backend.h"

#include <stdio.h>

/* One line: operator, broken rule, and the tensors in the order of the struct. */
static hr_status violated(const char *op, const char *rule, const hr_tensor *t, int n)
{
    char line[1024], shape[96];
    int at = 0;

    for (int i = 0; i < n && at < (int)sizeof line; i++) {
        bool absent = hr_tensor_is_absent(&t[i]);

        at +=
            snprintf(line + at, sizeof line - (size_t)at, "%s%s%s%s", i == 0 ? "" : ", ",
                     absent ? "absent" : hr_dtype_name(t[i].dtype), absent ? "" : " ",
                     absent ? "" : hr_tensor_shape_text(&t[i], shape));
    }
    return hr_fail(HR_ERR_INTERNAL, "operator %s: expected that %s; tensors: %s", op,
                   rule, line);
}

/* What every tensor must be, whatever the operator. */
static const char *rule_of_sound(const hr_stream *stream, const hr_tensor *t)
{
    if (hr_tensor_is_absent(t))
        return NULL;
    if (t->n_dims < 0 || t->n_dims > HR_TENSOR_MAX_DIMS ||
        (unsigned)t->dtype >= HR_DTYPE_COUNT)
        return "tensors have 1 to 5 dimensions and a type";
    for (int i = 0; i < t->n_dims; i++)
        if (t->dim[i] < 1)
            return "tensors are not empty";
    if (t->device != stream->device)
        return "tensors are on the device of the stream";
    if (t->data == NULL || (uintptr_t)t->data % hr_dtype_size(t->dtype) != 0)
        return "tensors have aligned memory";
    return NULL;
}

static hr_status check_sound(const hr_stream *stream, const char *op, const hr_tensor *t,
                             int n)
{
    const char *rule;

    for (int i = 0; i < n; i++) {
        rule = rule_of_sound(stream, &t[i]);
        if (rule != NULL)
            return hr_fail(HR_ERR_INTERNAL,
                           "operator %s: expected that %s; tensor %d is not", op, rule,
                           i);
    }
    return HR_OK;
}

/* Multiply-adds per element of the result. */
static double depth_of_weight(const hr_packed *weight)
{
    double depth = 1;

    for (int i = 1; i < weight->n_dims; i++)
        depth *= (double)weight->dim[i];
    return depth;
}

static double work_of_linear(const hr_linear_args *args)
{
    return depth_of_weight(args->weight) * (double)hr_tensor_count(&args->out);
}

static double work_of_conv(const hr_conv_args *args)
{
    return depth_of_weight(args->weight) * (double)hr_tensor_count(&args->out);
}

static double work_of_attention(const hr_attention_args *args)
{
    return 2 * (double)args->k.dim[0] * (double)hr_tensor_count(&args->q);
}

static double work_of_others(const void *args)
{
    (void)args;
    return 0;
}

/* Multiply-adds of the call. */
#define WORK(args)                                                                       \
    _Generic((args), const hr_linear_args *                                              \
             : work_of_linear, const hr_conv_args *                                      \
             : work_of_conv, const hr_attention_args *                                   \
             : work_of_attention, default                                                \
             : work_of_others)(args)

#define DEFINE_OP(name, n_tensors)                                                       \
    hr_status hr_op_##name(hr_stream *stream, const hr_##name##_args *args)              \
    {                                                                                    \
        const hr_tensor *tensors = (const hr_tensor *)args;                              \
        const char *rule;                                                                \
                                                                                         \
        HR_TRY(check_sound(stream, #name, tensors, n_tensors));                          \
        rule = hr_op_check_##name(args);                                                 \
        if (rule != NULL)                                                                \
            return violated(#name, rule, tensors, n_tensors);                            \
        if (hr_fault("device." #name))                                                   \
            return hr_fail(HR_ERR_DEVICE, "operator %s has failed", #name);              \
        stream->device->flops += 2 * WORK(args);                                         \
        return stream->device->backend->name(stream, args);                              \
    }
HR_OP_LIST(DEFINE_OP)

static hr_status pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed)
{
    const char *rule = rule_of_sound(stream, weight);

    if (rule == NULL && weight->dtype != HR_F32 && weight->dtype != HR_BF16)
        rule = "the weight is F32 or BF16";
    if (rule != NULL)
        return violated("pack", rule, weight, 1);
    packed->device = stream->device;
    packed->dtype = weight->dtype;
    packed->n_dims = weight->n_dims;
    for (int i = 0; i < weight->n_dims; i++)
        packed->dim[i] = weight->dim[i];
    HR_TRY(hr_stream_sync(stream));
    if (hr_fault("device.pack"))
        return hr_fail(HR_ERR_DEVICE, "packing of weights has failed");
    return stream->device->backend->pack(stream, weight, packed);
}

static hr_status create_packed(hr_stream *stream, const hr_tensor *weight,
                               hr_packed_kind kind, const hr_shards *shards,
                               hr_packed **out)
{
    hr_packed *packed;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *packed, "packed weights", &memory));
    packed = memory;
    packed->kind = kind;
    packed->shards = *shards;
    status = pack(stream, weight, packed);
    if (status != HR_OK) {
        hr_free(packed);
        return status;
    }
    *out = packed;
    return HR_OK;
}

static const hr_shards whole = {.n = 1, .total = 1};

hr_status hr_pack_linear(hr_stream *stream, const hr_tensor *weight, hr_packed **out)
{
    return hr_pack_linear_shards(stream, weight, &whole, out);
}

hr_status hr_pack_linear_shards(hr_stream *stream, const hr_tensor *weight,
                                const hr_shards *shards, hr_packed **out)
{
    bool by_in = shards->axis == HR_SHARDS_BY_IN;
    int n = shards->n;

    if (weight->n_dims != 2)
        return violated("pack", "the weight is [out, in]", weight, 1);
    if (n < 1 || n > shards->total || shards->total > HR_SHARDS_MAX ||
        (n & (n - 1)) != 0 || (shards->total & (shards->total - 1)) != 0 ||
        weight->dim[by_in ? 1 : 0] % n != 0)
        return violated("pack", "the shards divide the weight, 1, 2, 4 or 8 of them",
                        weight, 1);
    return create_packed(stream, weight, HR_PACKED_LINEAR, shards, out);
}

hr_status hr_pack_conv(hr_stream *stream, const hr_tensor *weight, hr_packed **out)
{
    const int64_t *dim = weight->dim;
    hr_tensor cubic = *weight;

    if (weight->n_dims != 4 && weight->n_dims != 5)
        return violated("pack", "the weight is [out, in, (kt,) kh, kw]", weight, 1);
    if (weight->n_dims == 4)
        cubic = hr_tensor_reshape(weight, HR_DIMS(dim[0], dim[1], 1, dim[2], dim[3]));
    return create_packed(stream, &cubic, HR_PACKED_CONV, &whole, out);
}

void hr_packed_destroy(hr_packed *packed)
{
    if (packed == NULL)
        return;
    packed->device->backend->unpack(packed);
    hr_free(packed);
}
