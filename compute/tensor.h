/* A tensor: a view of device memory, passed by value; owns nothing.
 *
 * Always contiguous and row-major. `data` is an address of the device: host code never
 * follows it, only operators and copies do (device.h). A tensor with n_dims == 0 is
 * "absent". */
#ifndef HR_COMPUTE_TENSOR_H
#define HR_COMPUTE_TENSOR_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HR_TENSOR_MAX_DIMS = 5 };

typedef struct hr_device hr_device;

typedef struct hr_tensor {
    void *data;
    hr_device *device;
    hr_dtype dtype;
    int n_dims;
    int64_t dim[HR_TENSOR_MAX_DIMS];
} hr_tensor;

static inline bool hr_tensor_is_absent(const hr_tensor *t)
{
    return t->n_dims == 0;
}

/* Product of all dimensions. */
int64_t hr_tensor_count(const hr_tensor *t);
/* Bytes of all elements. */
size_t hr_tensor_bytes(const hr_tensor *t);
/* Product of all dimensions but the last, and the last. */
int64_t hr_tensor_rows(const hr_tensor *t);
int64_t hr_tensor_width(const hr_tensor *t);

/* Elements [first, first + n) along dimension 0. The range is inside. */
hr_tensor hr_tensor_slice(const hr_tensor *t, int64_t first, int64_t n);
/* Element `i` of dimension 0, with that dimension dropped (1-d tensors keep dim 1). */
hr_tensor hr_tensor_at(const hr_tensor *t, int64_t i);
/* The same memory under another shape with as many elements (checked by HR_ASSERT). */
hr_tensor hr_tensor_reshape(const hr_tensor *t, int n_dims, const int64_t *dim);
bool hr_tensor_same_shape(const hr_tensor *a, const hr_tensor *b);

/* "(6, 16, 10)" into out; returns out. */
char *hr_tensor_shape_text(const hr_tensor *t, char out[96]);

#endif
