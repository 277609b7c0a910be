/* Values of weights: read from the mapped files, converted, checked, copied. */
#include "base/log.h"
#include "base/memory.h"
#include "model/weights_parts.h"

#include <string.h>

/* Values converted at a time. */
enum { CHUNK = 1 << 20 };

/* A part of a stored tensor: runs of neighbours, equally far apart, one after another. */
typedef struct weight_runs {
    const hr_weights *weights;
    const hr_weight_entry *entry;
    size_t start, length, stride; /* of the first; of each; from one to the next */
    size_t n_elements;            /* of all runs */
} weight_runs;

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

uint64_t hr_weights_bytes_read(const hr_weights *weights)
{
    return *weights->bytes_read;
}

/* All of a declared tensor; what was not declared is a bug of the caller. */
static hr_status find_declared(const hr_weights *weights, const char *name,
                               weight_runs *out)
{
    const hr_weight_entry *entry = hr_weight_files_find(&weights->files, name);
    size_t n;

    if (entry == NULL || entry->declared == 0)
        return hr_fail(HR_ERR_INTERNAL, "tensor %s: loaded without being declared", name);
    n = entry->tensor->n_elements;
    *out = (weight_runs){weights, entry, .length = n, .stride = n, .n_elements = n};
    return HR_OK;
}

static const hr_weight_declaration *declaration_of(const weight_runs *runs)
{
    return &runs->weights->declared[runs->entry->declared - 1];
}

/* `slice` of a declared tensor, and its shape. */
static hr_status find_slice(const hr_weights *weights, const char *name,
                            const hr_weights_slice *slice, weight_runs *out,
                            hr_tensor *shape)
{
    const hr_weight_declaration *declared;
    size_t inner = 1;

    HR_TRY(find_declared(weights, name, out));
    declared = declaration_of(out);
    shape->n_dims = declared->n_dims;
    memcpy(shape->dim, declared->dim, sizeof declared->dim);
    if (slice == NULL)
        return HR_OK;
    if (slice->axis < 0 || slice->axis >= declared->n_dims || slice->first < 0 ||
        slice->n < 1 || slice->n > declared->dim[slice->axis] - slice->first)
        return hr_fail(HR_ERR_INTERNAL, "tensor %s: found a slice outside of it", name);
    for (int i = slice->axis + 1; i < declared->n_dims; i++)
        inner *= (size_t)declared->dim[i];
    out->n_elements /= (size_t)declared->dim[slice->axis];
    out->n_elements *= (size_t)slice->n;
    out->start = (size_t)slice->first * inner;
    out->length = (size_t)slice->n * inner;
    out->stride = (size_t)declared->dim[slice->axis] * inner;
    shape->dim[slice->axis] = slice->n;
    return HR_OK;
}

/* Elements [first, first + n) of the file's tensor as `dtype` into `out`. `raw` has room
 * for them as they are stored: the file may hold them at any address. */
static hr_status convert(const weight_runs *runs, size_t first, size_t n, hr_dtype dtype,
                         void *raw, void *out)
{
    const hr_stored_tensor *t = runs->entry->tensor;
    size_t size = hr_dtype_size(t->dtype), bad;
    const char *src = (const char *)t->data + first * size;

    *runs->weights->bytes_read += n * size;
    if ((uintptr_t)src % size != 0) {
        memcpy(raw, src, n * size);
        src = raw;
    }
    if (hr_dtype_convert(out, dtype, src, t->dtype, n) != 0)
        return hr_fail(HR_ERR_INTERNAL, "tensor %s: no conversion from %s to %s", t->name,
                       t->dtype_name, hr_dtype_name(dtype));
    bad = hr_dtype_first_not_finite(out, dtype, n);
    if (bad < n)
        return hr_fail(HR_ERR_MODEL,
                       "file %s: tensor %s: element %zu is not a finite number",
                       hr_safetensors_path(runs->entry->file), t->name, first + bad);
    return HR_OK;
}

/* The same for elements [first, first + n) of the part. */
static hr_status read_runs(const weight_runs *runs, size_t first, size_t n,
                           hr_dtype dtype, void *raw, char *out)
{
    size_t count;

    for (size_t at = first; at < first + n; at += count) {
        size_t inside = at % runs->length;

        count = smaller(runs->length - inside, first + n - at);
        HR_TRY(convert(runs, runs->start + at / runs->length * runs->stride + inside,
                       count, dtype, raw, out + (at - first) * hr_dtype_size(dtype)));
    }
    return HR_OK;
}

/* Reads the part `step` elements at a time through the two halves of `buffer`; into
 * `flat`, the device tensor as one row, unless the stream is NULL. */
static hr_status load_chunks(const weight_runs *runs, hr_stream *stream,
                             const hr_tensor *flat, size_t step, char *buffer)
{
    char *values = buffer + step * sizeof(float);

    for (size_t first = 0; first < runs->n_elements; first += step) {
        size_t count = smaller(step, runs->n_elements - first);
        hr_tensor part;

        HR_TRY(read_runs(runs, first, count, flat->dtype, buffer, values));
        if (stream == NULL)
            continue;
        part = hr_tensor_slice(flat, (int64_t)first, (int64_t)count);
        HR_TRY(hr_copy_to_device(stream, &part, values));
        HR_TRY(hr_stream_sync(stream));
    }
    return HR_OK;
}

static hr_status load_into(const weight_runs *runs, hr_stream *stream,
                           const hr_tensor *flat)
{
    size_t step = smaller(CHUNK, runs->n_elements);
    void *buffer;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(2 * step * sizeof(float), "a buffer for weights", &buffer));
    status = load_chunks(runs, stream, flat, step, buffer);
    hr_free(buffer);
    hr_safetensors_release(runs->entry->tensor);
    return status;
}

hr_status hr_weights_check_values(const hr_weights *weights)
{
    for (size_t i = 0; i < weights->files.n_entries; i++) {
        const hr_weight_entry *entry = &weights->files.entry[i];

        if (entry->declared != 0)
            HR_TRY(hr_weights_check_slice(weights, entry->tensor->name, NULL));
    }
    return HR_OK;
}

hr_status hr_weights_check_slice(const hr_weights *weights, const char *name,
                                 const hr_weights_slice *slice)
{
    hr_tensor shape = {.dtype = HR_F32};
    weight_runs runs;

    HR_TRY(find_slice(weights, name, slice, &runs, &shape));
    return load_into(&runs, NULL, &shape);
}

hr_status hr_weights_load(const hr_weights *weights, hr_stream *stream, const char *name,
                          hr_dtype dtype, hr_tensor *out)
{
    return hr_weights_load_slice(weights, stream, name, dtype, NULL, out);
}

hr_status hr_weights_load_slice(const hr_weights *weights, hr_stream *stream,
                                const char *name, hr_dtype dtype,
                                const hr_weights_slice *slice, hr_tensor *out)
{
    hr_tensor shape, t, flat;
    weight_runs runs;
    hr_status status;

    HR_TRY(find_slice(weights, name, slice, &runs, &shape));
    HR_TRY(
        hr_tensor_create(hr_stream_device(stream), dtype, shape.n_dims, shape.dim, &t));
    flat = hr_tensor_reshape(&t, HR_DIMS(hr_tensor_count(&t)));
    status = hr_device_is_dry(hr_stream_device(stream)) ? HR_OK
                                                        : load_into(&runs, stream, &flat);
    if (status == HR_OK)
        *out = t;
    else
        hr_tensor_free(&t);
    return status;
}

hr_status hr_weights_load_linear(const hr_weights *weights, hr_stream *stream,
                                 const char *name, hr_dtype dtype, hr_packed **out)
{
    const hr_weights_shards whole = {.n = 1, .total = 1};

    return hr_weights_load_shards(weights, stream, name, dtype, &whole, out);
}

hr_status hr_weights_slice_of(const hr_weights *weights, const char *name,
                              const hr_weights_shards *shards, hr_weights_slice *out)
{
    int axis = shards->axis == HR_SHARDS_BY_IN ? 1 : 0;
    weight_runs runs;
    int64_t dim = 0, width;

    HR_TRY(find_declared(weights, name, &runs));
    if (axis < declaration_of(&runs)->n_dims)
        dim = declaration_of(&runs)->dim[axis];
    if (dim == 0 || dim % shards->total != 0)
        return hr_fail(HR_ERR_INTERNAL, "tensor %s: %d shards do not divide it", name,
                       shards->total);
    width = dim / shards->total;
    *out = (hr_weights_slice){axis, shards->first * width, shards->n * width};
    return HR_OK;
}

hr_status hr_weights_load_shards(const hr_weights *weights, hr_stream *stream,
                                 const char *name, hr_dtype dtype,
                                 const hr_weights_shards *shards, hr_packed **out)
{
    const hr_shards packed = {shards->axis, shards->n, shards->total};
    hr_weights_slice slice;
    hr_tensor t, flat;
    hr_status status;

    HR_TRY(hr_weights_slice_of(weights, name, shards, &slice));
    HR_TRY(hr_weights_load_slice(weights, stream, name, dtype, &slice, &t));
    flat = hr_tensor_reshape(&t, HR_DIMS(t.dim[0], hr_tensor_count(&t) / t.dim[0]));
    status = hr_pack_linear_shards(stream, &flat, &packed, out);
    hr_tensor_free(&t);
    return status;
}

hr_status hr_weights_load_conv(const hr_weights *weights, hr_stream *stream,
                               const char *name, hr_dtype dtype, hr_packed **out)
{
    hr_tensor t;
    hr_status status;

    HR_TRY(hr_weights_load(weights, stream, name, dtype, &t));
    status = hr_pack_conv(stream, &t, out);
    hr_tensor_free(&t);
    return status;
}

hr_status hr_weights_read_f32(const hr_weights *weights, const char *name, float *out)
{
    size_t n, step;
    weight_runs runs;
    void *raw;
    hr_status status = HR_OK;

    HR_TRY(find_declared(weights, name, &runs));
    n = runs.n_elements;
    step = smaller(CHUNK, n);
    HR_TRY(hr_alloc_or_fail(step * sizeof(float), "a buffer for weights", &raw));
    for (size_t first = 0; status == HR_OK && first < n; first += step)
        status =
            convert(&runs, first, smaller(step, n - first), HR_F32, raw, out + first);
    hr_free(raw);
    return status;
}
