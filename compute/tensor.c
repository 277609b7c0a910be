#include "compute/tensor.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>

int64_t hr_tensor_count(const hr_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i < t->n_dims; i++)
        n *= t->dim[i];
    return t->n_dims == 0 ? 0 : n;
}

size_t hr_tensor_bytes(const hr_tensor *t)
{
    return (size_t)hr_tensor_count(t) * hr_dtype_size(t->dtype);
}

int64_t hr_tensor_width(const hr_tensor *t)
{
    return t->n_dims == 0 ? 0 : t->dim[t->n_dims - 1];
}

int64_t hr_tensor_rows(const hr_tensor *t)
{
    int64_t n = 1;

    for (int i = 0; i + 1 < t->n_dims; i++)
        n *= t->dim[i];
    return t->n_dims == 0 ? 0 : n;
}

static size_t bytes_per_slice(const hr_tensor *t)
{
    return t->dim[0] == 0 ? 0 : hr_tensor_bytes(t) / (size_t)t->dim[0];
}

hr_tensor hr_tensor_slice(const hr_tensor *t, int64_t first, int64_t n)
{
    hr_tensor part = *t;

    HR_ASSERT(t->n_dims > 0 && first >= 0 && n >= 0 && first + n <= t->dim[0]);
    part.data = (char *)t->data + (size_t)first * bytes_per_slice(t);
    part.dim[0] = n;
    return part;
}

hr_tensor hr_tensor_at(const hr_tensor *t, int64_t i)
{
    hr_tensor part = hr_tensor_slice(t, i, 1);

    if (t->n_dims > 1) {
        part.n_dims = t->n_dims - 1;
        for (int d = 0; d < part.n_dims; d++)
            part.dim[d] = t->dim[d + 1];
    }
    return part;
}

hr_tensor hr_tensor_reshape(const hr_tensor *t, int n_dims, const int64_t *dim)
{
    hr_tensor view = *t;

    HR_ASSERT(n_dims >= 1 && n_dims <= HR_TENSOR_MAX_DIMS);
    view.n_dims = n_dims;
    for (int i = 0; i < n_dims; i++)
        view.dim[i] = dim[i];
    HR_ASSERT(hr_tensor_count(&view) == hr_tensor_count(t));
    return view;
}

bool hr_tensor_same_shape(const hr_tensor *a, const hr_tensor *b)
{
    if (a->n_dims != b->n_dims)
        return false;
    for (int i = 0; i < a->n_dims; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

char *hr_tensor_shape_text(const hr_tensor *t, char out[96])
{
    int at = snprintf(out, 96, "(");

    for (int i = 0; i < t->n_dims; i++)
        at += snprintf(out + at, 96 - (size_t)at, i == 0 ? "%" PRId64 : ", %" PRId64,
                       t->dim[i]);
    snprintf(out + at, 96 - (size_t)at, ")");
    return out;
}
