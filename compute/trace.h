/* Looking at intermediate tensors by name: tests compare them with the reference's. */
#ifndef HR_COMPUTE_TRACE_H
#define HR_COMPUTE_TRACE_H

#include "compute/device.h"

/* Called when `t` has been enqueued on `stream`, before its memory is reused. May copy
 * and sync. */
typedef struct hr_trace {
    hr_status (*on_tensor)(void *user, hr_stream *stream, const char *name,
                           const hr_tensor *t);
    void *user;
} hr_trace;

/* Does nothing for a NULL trace. */
static inline hr_status hr_trace_tensor(const hr_trace *trace, hr_stream *stream,
                                        const char *name, const hr_tensor *t)
{
    return trace == NULL ? HR_OK : trace->on_tensor(trace->user, stream, name, t);
}

#endif
