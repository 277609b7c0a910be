/* One call of an operator on the device under test, compared with the reference loops.
 *
 * The call is described with host tensors: the operator's struct, with tensors from
 * hr_case_random and its kin. Two tensors with the same data are one tensor on the device
 * (aliases). hr_case_run repeats the call with 1, 2, 3 and 4 threads and with memory that
 * is aligned as the arena does it and off by one element (a pixel for conv); it asserts
 * that
 *   - the result is as near to the reference as tolerance.h says,
 *   - its bits are the same for all threads,
 *   - nothing was written around the result and no other operand has changed. */
#ifndef HR_TESTS_OP_CASE_H
#define HR_TESTS_OP_CASE_H

#include "compute/ops.h"

/* Host tensors, alive until hr_case_clear. Values are rounded to the dtype. An empty
 * tensor holds NaN: results that are only written. */
hr_tensor hr_case_random(hr_dtype dtype, int n_dims, const int64_t *dim);
hr_tensor hr_case_values(hr_dtype dtype, int n_dims, const int64_t *dim,
                         const float *values);
hr_tensor hr_case_empty(hr_dtype dtype, int n_dims, const int64_t *dim);
/* I32, each in 0..limit-1. */
hr_tensor hr_case_ids(int64_t n, int32_t limit);
/* Multiplies all values (and rounds again). */
void hr_case_scale(hr_tensor *t, float factor);
/* Frees all of them; also usable as a teardown. */
int hr_case_clear(void **state);

#define HR_CASE_RUN(name, n_tensors)                                                     \
    void hr_case_run_##name(const hr_##name##_args *args, const hr_tensor *weight);
HR_OP_LIST(HR_CASE_RUN)
#undef HR_CASE_RUN

/* hr_case_run(norm, {.x = x, ...}); with the host weight of linear and conv:
 * hr_case_run_weight. */
/* The same for linear with a weight that is packed as these shards. */
void hr_case_run_shards(const hr_linear_args *args, const hr_tensor *weight,
                        const hr_shards *shards);

#define hr_case_run(name, ...) hr_case_run_##name(&(hr_##name##_args)__VA_ARGS__, NULL)
#define hr_case_run_weight(name, weight, ...)                                            \
    hr_case_run_##name(&(hr_##name##_args)__VA_ARGS__, weight)

#endif
