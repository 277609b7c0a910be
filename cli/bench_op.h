/* How fast an operator is here. Local to cli/. */
#ifndef HR_CLI_BENCH_OP_H
#define HR_CLI_BENCH_OP_H

#include "compute/device.h"
#include "compute/ops.h"

typedef struct hr_bench_case {
    const char *what; /* linear, conv, attention, norm */
    hr_dtype dtype;
    int64_t a, b, c, d; /* linear: M, in, out; conv: T, H, W, channels; attention: L,
                           heads, D; norm: rows, width */
    double budget_seconds;
} hr_bench_case;

typedef struct hr_bench_result {
    double seconds, flops; /* of one call */
} hr_bench_result;

/* The best of several runs that take about budget_seconds together, one at least. */
hr_status hr_bench_run(hr_device *device, const hr_bench_case *c, hr_bench_result *out);

#endif
