#include "model/weights.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/weights_parts.h"

#include <string.h>

hr_status hr_weights_open(const char *folder, const char *stem, hr_weights **out)
{
    hr_weights *weights;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *weights, "weights", &memory));
    weights = memory;
    weights->folder = hr_strdup(folder);
    status = hr_alloc_or_fail(sizeof *weights->bytes_read, "weights", &memory);
    weights->bytes_read = status == HR_OK ? memory : NULL;
    if (status == HR_OK)
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
    hr_free(weights->bytes_read);
    hr_free(weights);
}

hr_status hr_weights_expect(hr_weights *weights, const char *name, int n_dims,
                            const int64_t *dim)
{
    hr_weight_entry *entry = hr_weight_files_find(&weights->files, name);
    hr_weight_declaration *declared;

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
    *declared = (hr_weight_declaration){.name = hr_strdup(name), .n_dims = n_dims};
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

static hr_status refuse_shape(const hr_weight_entry *entry,
                              const hr_weight_declaration *declared)
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

static hr_status check_one(const hr_weights *weights,
                           const hr_weight_declaration *declared)
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
