#include "model/weights.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/weight_files.h"

#include <stdint.h>
#include <string.h>

/* Values converted at a time. */
enum { CHUNK = 1 << 20 };

typedef struct declaration {
    char *name;
    int n_dims;
    int64_t dim[HR_TENSOR_MAX_DIMS];
} declaration;

struct hr_weights {
    char *folder;
    hr_weight_files files;
    declaration *declared;
    size_t n_declared, capacity;
};

hr_status hr_weights_open(const char *folder, const char *stem, hr_weights **out)
{
    hr_weights *weights;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *weights, "weights", &memory));
    weights = memory;
    weights->folder = hr_strdup(folder);
    status = weights->folder == NULL
                 ? hr_fail(HR_ERR_NOMEM, "out of memory: the name of a folder")
                 : hr_weight_files_open(folder, stem, &weights->files);
    if (status != HR_OK) {
        hr_weights_close(weights);
        return status;
    }
    *out = weights;
    return HR_OK;
}

void hr_weights_close(hr_weights *weights)
{
    if (weights == NULL)
        return;
    hr_weight_files_close(&weights->files);
    for (size_t i = 0; i < weights->n_declared; i++)
        hr_free(weights->declared[i].name);
    hr_free(weights->declared);
    hr_free(weights->folder);
    hr_free(weights);
}

hr_status hr_weights_expect(hr_weights *weights, const char *name, int n_dims,
                            const int64_t *dim)
{
    hr_weight_entry *entry = hr_weight_files_find(&weights->files, name);
    declaration *declared;

    for (int i = 0; i < n_dims; i++)
        if (dim[i] < 1)
            return hr_fail(HR_ERR_MODEL,
                           "%s: the config makes it %lld wide, at least 1 is needed",
                           name, (long long)dim[i]);
    if (weights->n_declared == weights->capacity) {
        size_t capacity = weights->capacity == 0 ? 64 : 2 * weights->capacity;

        declared = hr_realloc(weights->declared, capacity * sizeof *declared);
        if (declared == NULL)
            return hr_fail(HR_ERR_NOMEM, "out of memory: the list of expected weights");
        weights->declared = declared;
        weights->capacity = capacity;
    }
    declared = &weights->declared[weights->n_declared];
    *declared = (declaration){.name = hr_strdup(name), .n_dims = n_dims};
    if (declared->name == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the name of a tensor");
    memcpy(declared->dim, dim, (size_t)n_dims * sizeof *dim);
    weights->n_declared++;
    if (entry != NULL)
        entry->declared = weights->n_declared;
    return HR_OK;
}

static hr_status add_shape(hr_text *text, int n_dims, const int64_t *dim)
{
    HR_TRY(hr_text_add(text, "("));
    for (int i = 0; i < n_dims; i++)
        HR_TRY(hr_text_printf(text, i == 0 ? "%lld" : ", %lld", (long long)dim[i]));
    return hr_text_add(text, ")");
}

static hr_status refuse_shape(const hr_weight_entry *entry, const declaration *declared)
{
    hr_text text = {0};
    hr_status status = hr_text_add(&text, "found shape ");

    if (status == HR_OK)
        status = add_shape(&text, entry->tensor->n_dims, entry->tensor->dim);
    if (status == HR_OK)
        status = hr_text_add(&text, ", expected ");
    if (status == HR_OK)
        status = add_shape(&text, declared->n_dims, declared->dim);
    if (status == HR_OK)
        status = hr_fail(HR_ERR_MODEL, "file %s: tensor %s: %s",
                         hr_safetensors_path(entry->file), declared->name, text.s);
    hr_text_free(&text);
    return status;
}

static hr_status check_one(const hr_weights *weights, const declaration *declared)
{
    const hr_weight_entry *entry = hr_weight_files_find(&weights->files, declared->name);
    const hr_stored_tensor *t;

    if (entry == NULL)
        return hr_fail(HR_ERR_MODEL,
                       "folder %s: tensor %s: is in none of the %zu file(s)",
                       weights->folder, declared->name, weights->files.n_files);
    t = entry->tensor;
    if (t->n_dims != declared->n_dims ||
        memcmp(t->dim, declared->dim, (size_t)t->n_dims * sizeof t->dim[0]) != 0)
        return refuse_shape(entry, declared);
    if (t->dtype != HR_F32 && t->dtype != HR_F16 && t->dtype != HR_BF16)
        return hr_fail(HR_ERR_MODEL,
                       "file %s: tensor %s: found type %s, expected F32, F16 or BF16",
                       hr_safetensors_path(entry->file), declared->name, t->dtype_name);
    return HR_OK;
}

hr_status hr_weights_check(const hr_weights *weights)
{
    for (size_t i = 0; i < weights->n_declared; i++)
        HR_TRY(check_one(weights, &weights->declared[i]));
    return HR_OK;
}

bool hr_weights_has(const hr_weights *weights, const char *name)
{
    return hr_weight_files_find(&weights->files, name) != NULL;
}

size_t hr_weights_n_files(const hr_weights *weights)
{
    return weights->files.n_files;
}

const char *hr_weights_file(const hr_weights *weights, size_t i)
{
    return hr_safetensors_path(weights->files.file[i]);
}

hr_weights_totals hr_weights_get_totals(const hr_weights *weights)
{
    hr_weights_totals totals = {.n_tensors = weights->files.n_entries};

    for (size_t i = 0; i < weights->files.n_entries; i++) {
        const hr_stored_tensor *t = weights->files.entry[i].tensor;

        totals.n_parameters += t->n_elements;
        totals.n_bytes += t->n_bytes;
        totals.parameters_by_dtype[t->dtype] += t->n_elements;
    }
    return totals;
}

/* NULL, logged, when it is a bug of the caller. */
static const hr_weight_entry *find_declared(const hr_weights *weights, const char *name)
{
    const hr_weight_entry *entry = hr_weight_files_find(&weights->files, name);

    if (entry != NULL && entry->declared != 0)
        return entry;
    hr_error("tensor %s: loaded without being declared", name);
    return NULL;
}

/* Elements [first, first + n) as `dtype` into `out`. `raw` has room for them as they are
 * stored: the file may hold them at any address. */
static hr_status convert(const hr_weight_entry *entry, size_t first, size_t n,
                         hr_dtype dtype, void *raw, void *out)
{
    const hr_stored_tensor *t = entry->tensor;
    size_t size = hr_dtype_size(t->dtype), bad;
    const char *src = (const char *)t->data + first * size;

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
                       hr_safetensors_path(entry->file), t->name, first + bad);
    return HR_OK;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static hr_status check_values(const hr_weight_entry *entry, char *buffer)
{
    size_t n = entry->tensor->n_elements;

    for (size_t first = 0; first < n; first += CHUNK)
        HR_TRY(convert(entry, first, smaller(CHUNK, n - first), HR_F32, buffer,
                       buffer + CHUNK * sizeof(float)));
    hr_safetensors_release(entry->tensor);
    return HR_OK;
}

hr_status hr_weights_check_values(const hr_weights *weights)
{
    hr_status status = HR_OK;
    void *buffer;

    HR_TRY(hr_alloc_or_fail(2 * CHUNK * sizeof(float), "a buffer for weights", &buffer));
    for (size_t i = 0; i < weights->files.n_entries && status == HR_OK; i++)
        if (weights->files.entry[i].declared != 0)
            status = check_values(&weights->files.entry[i], buffer);
    hr_free(buffer);
    return status;
}

/* Fills `flat`, the device tensor as one row, `step` elements at a time through the two
 * halves of `buffer`. */
static hr_status load_chunks(const hr_weight_entry *entry, hr_stream *stream,
                             const hr_tensor *flat, size_t step, char *buffer)
{
    size_t n = entry->tensor->n_elements, half = step * sizeof(float);

    for (size_t first = 0; first < n; first += step) {
        size_t count = smaller(step, n - first);
        hr_tensor part = hr_tensor_slice(flat, (int64_t)first, (int64_t)count);

        HR_TRY(convert(entry, first, count, flat->dtype, buffer, buffer + half));
        HR_TRY(hr_copy_to_device(stream, &part, buffer + half));
        HR_TRY(hr_stream_sync(stream));
    }
    return HR_OK;
}

static hr_status load_into(const hr_weight_entry *entry, hr_stream *stream,
                           const hr_tensor *t)
{
    hr_tensor flat = hr_tensor_reshape(t, HR_DIMS(hr_tensor_count(t)));
    size_t step = smaller(CHUNK, entry->tensor->n_elements);
    void *buffer;
    hr_status status;

    if (hr_device_is_dry(hr_stream_device(stream)))
        return HR_OK;
    HR_TRY(hr_alloc_or_fail(2 * step * sizeof(float), "a buffer for weights", &buffer));
    status = load_chunks(entry, stream, &flat, step, buffer);
    hr_free(buffer);
    hr_safetensors_release(entry->tensor);
    return status;
}

hr_status hr_weights_load(const hr_weights *weights, hr_stream *stream, const char *name,
                          hr_dtype dtype, hr_tensor *out)
{
    const hr_weight_entry *entry = find_declared(weights, name);
    const declaration *declared;
    hr_tensor t;
    hr_status status;

    if (entry == NULL)
        return HR_ERR_INTERNAL;
    declared = &weights->declared[entry->declared - 1];
    HR_TRY(hr_tensor_create(hr_stream_device(stream), dtype, declared->n_dims,
                            declared->dim, &t));
    status = load_into(entry, stream, &t);
    if (status == HR_OK)
        *out = t;
    else
        hr_tensor_free(&t);
    return status;
}

hr_status hr_weights_load_linear(const hr_weights *weights, hr_stream *stream,
                                 const char *name, hr_dtype dtype, hr_packed **out)
{
    hr_tensor t, flat;
    hr_status status;

    HR_TRY(hr_weights_load(weights, stream, name, dtype, &t));
    flat = hr_tensor_reshape(&t, HR_DIMS(t.dim[0], hr_tensor_count(&t) / t.dim[0]));
    status = hr_pack_linear(stream, &flat, out);
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
    const hr_weight_entry *entry = find_declared(weights, name);
    size_t n, step;
    void *raw;
    hr_status status = HR_OK;

    if (entry == NULL)
        return HR_ERR_INTERNAL;
    n = entry->tensor->n_elements;
    step = smaller(CHUNK, n);
    HR_TRY(hr_alloc_or_fail(step * sizeof(float), "a buffer for weights", &raw));
    for (size_t first = 0; status == HR_OK && first < n; first += step)
        status =
            convert(entry, first, smaller(step, n - first), HR_F32, raw, out + first);
    hr_free(raw);
    return status;
}
