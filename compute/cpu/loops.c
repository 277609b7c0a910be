/* The operators that are nothing but a loop over independent units. */
#include "compute/cpu/cpu.h"

#include <omp.h>

enum {
    GRAIN = 64, /* units are handed out in multiples of this: whole cache lines */
    MIN_ELEMENTS = 16 * 1024 /* below, waking threads costs more than it saves */
};

static int64_t first_dim(const hr_tensor *t)
{
    return t->dim[0];
}

static void run(const hr_stream *stream, hr_cpu_kernel kernel, const void *args,
                int64_t units, int64_t elements)
{
    int threads = stream->device->threads;
    int64_t grain = units >= GRAIN * threads ? GRAIN : 1, pieces;

    if (threads == 1 || elements < MIN_ELEMENTS || units == 1) {
        kernel(args, 0, units);
        return;
    }
    pieces = (units + grain - 1) / grain;
    omp_set_num_threads(1);
#pragma omp parallel num_threads(threads)
    {
        int64_t n = omp_get_num_threads(), i = omp_get_thread_num();
        int64_t first = pieces * i / n * grain, last = pieces * (i + 1) / n * grain;

        kernel(args, first, last < units ? last : units);
    }
}

#define HR_CPU_DEFINE(name, tensor, count_units)                                         \
    hr_status hr_cpu_op_##name(hr_stream *stream, const hr_##name##_args *args)          \
    {                                                                                    \
        run(stream, hr_cpu_of(stream)->kernels->name, args, count_units(&args->tensor),  \
            hr_tensor_count(&args->tensor));                                             \
        return HR_OK;                                                                    \
    }
HR_CPU_LOOP_LIST(HR_CPU_DEFINE)
