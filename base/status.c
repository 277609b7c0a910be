#include "base/status.h"

const char *hr_status_name(hr_status status)
{
    static const char *const names[HR_STATUS_COUNT] = {
        [HR_OK] = "ok",
        [HR_ERR_CANCELLED] = "stopped on request",
        [HR_ERR_ARG] = "bad argument",
        [HR_ERR_FORMAT] = "bad file",
        [HR_ERR_MODEL] = "bad model folder",
        [HR_ERR_CHECKPOINT] = "checkpoint does not fit",
        [HR_ERR_UNSUPPORTED] = "not supported",
        [HR_ERR_NOMEM] = "out of memory or disk",
        [HR_ERR_IO] = "input/output error",
        [HR_ERR_TIMEOUT] = "deadline passed",
        [HR_ERR_DEVICE] = "device failed",
        [HR_ERR_INTERNAL] = "internal error",
    };

    if ((int)status < 0 || status >= HR_STATUS_COUNT)
        return "unknown status";
    return names[status];
}
