/* The operators that are nothing but a loop over independent units. */
#include "compute/cpu/cpu.h"

enum {
    GRAIN = 64, /* units are handed out in multiples of this: whole cache lines */
    SHARES = 4, /* ... so many times per thread: one that is held up does less */
    MIN_ELEMENTS = 16 * 1024 /* below, waking threads costs more than it saves */
};

static int64_t first_dim(const hr_tensor *t)
{
    return t->dim[0];
}

/* Pieces of units, cut into shares. */
typedef struct loop {
    hr_cpu_kernel kernel;
    const void *args;
    int64_t units, grain, pieces, shares;
} loop;

static hr_status run_share(void *user, int64_t i, int thread)
{
    const loop *l = user;
    int64_t first = l->pieces * i / l->shares * l->grain;
    int64_t last = l->pieces * (i + 1) / l->shares * l->grain;

    (void)thread;
    l->kernel(l->args, first, last < l->units ? last : l->units);
    return HR_OK;
}

static hr_status run(const hr_stream *stream, hr_cpu_kernel kernel, const void *args,
                     int64_t units, int64_t elements)
{
    int threads = stream->device->threads;
    loop l = {.kernel = kernel,
              .args = args,
              .units = units,
              .grain = units >= GRAIN * threads ? GRAIN : 1};

    if (hr_cpu_measures(stream))
        return HR_OK;
    if (threads == 1 || elements < MIN_ELEMENTS || units == 1) {
        kernel(args, 0, units);
        return HR_OK;
    }
    l.pieces = (units + l.grain - 1) / l.grain;
    l.shares = l.pieces < SHARES * threads ? l.pieces : SHARES * threads;
    return hr_pool_run(hr_cpu_of(stream)->pool, run_share, &l, l.shares);
}

#define HR_CPU_DEFINE(name, tensor, count_units)                                         \
    hr_status hr_cpu_op_##name(hr_stream *stream, const hr_##name##_args *args)          \
    {                                                                                    \
        return run(stream, hr_cpu_of(stream)->kernels->name, args,                       \
                   count_units(&args->tensor), hr_tensor_count(&args->tensor));          \
    }
HR_CPU_LOOP_LIST(HR_CPU_DEFINE)
