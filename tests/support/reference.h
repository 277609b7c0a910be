/* The operators once more, as plain loops over host memory that accumulate in double:
 * what the devices are compared with.
 *
 * The structs are those of compute/ops.h, but their tensors' data are arrays of float on
 * the host (whatever the dtype says; ids are int32_t), and the weight of linear and conv
 * comes beside them. `out` gets as many elements as the operator's result has. */
#ifndef HR_TESTS_REFERENCE_H
#define HR_TESTS_REFERENCE_H

#include "compute/ops.h"

typedef void (*hr_reference_fn)(const void *args, const hr_tensor *weight, double *out);

#define HR_REFERENCE(name, n_tensors)                                                    \
    void hr_reference_##name(const void *args, const hr_tensor *weight, double *out);
HR_OP_LIST(HR_REFERENCE)
#undef HR_REFERENCE

#endif
