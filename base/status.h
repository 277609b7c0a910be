/* What every function that can fail returns.
 *
 * Data comes back through an `out` parameter, which is set only when the status is HR_OK.
 * The function that first knows the cause of a failure logs it (base/log.h), once; its
 * callers only pass the status on. */
#ifndef HR_BASE_STATUS_H
#define HR_BASE_STATUS_H

/* Ordered by severity: where ranks differ, the largest wins (comm/group.h). */
typedef enum hr_status {
    HR_OK = 0,
    HR_ERR_CANCELLED, /* stopped on request */
    HR_ERR_ARG,       /* the command line or the job file asks for something impossible */
    HR_ERR_FORMAT,    /* a file is not what it claims to be */
    HR_ERR_MODEL,     /* the model folder is incomplete, damaged or not supported */
    HR_ERR_CHECKPOINT,  /* a checkpoint is damaged or belongs to another job */
    HR_ERR_UNSUPPORTED, /* this build or this device cannot do it */
    HR_ERR_NOMEM,       /* not enough memory or disk */
    HR_ERR_IO,          /* reading or writing failed: disk full, no permission, ... */
    HR_ERR_TIMEOUT,     /* a deadline passed */
    HR_ERR_DEVICE,      /* a device or another rank failed */
    HR_ERR_INTERNAL,    /* a bug in haloreel */
    HR_STATUS_COUNT
} hr_status;

/* Returns a short lower-case name ("out of memory"). Local, never fails. */
const char *hr_status_name(hr_status status);

/* Passes a failure on to the caller. */
#define HR_TRY(call)                                                                     \
    do {                                                                                 \
        hr_status hr_try_status = (call);                                                \
        if (hr_try_status != HR_OK)                                                      \
            return hr_try_status;                                                        \
    } while (0)

/* Like HR_TRY where something has to be undone: sets `status` and jumps. */
#define HR_TRY_GOTO(call, label)                                                         \
    do {                                                                                 \
        status = (call);                                                                 \
        if (status != HR_OK)                                                             \
            goto label;                                                                  \
    } while (0)

#endif
