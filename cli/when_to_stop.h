/* When a render saves and when it stops: signals, time limit, checkpoint.every. Every
 * rank has one; local. */
#ifndef HR_CLI_WHEN_TO_STOP_H
#define HR_CLI_WHEN_TO_STOP_H

#include "cli/time_limit.h"
#include "coordinator/budget.h"
#include "io/job.h"
#include "worker/worker.h"

typedef struct hr_when_to_stop {
    hr_budget budget;
    hr_time_limit *limit; /* of the call; NULL on other ranks than the first */
    bool can_save;        /* else a stop is one at once */
    bool has_said;        /* that the time limit is near */
    double asked;         /* beside the denoising: when it was asked last; 0: not yet */
    double gaps[2];       /* the last times between such questions */
    int steps_done;       /* when it was asked last */
    double again;         /* hr_clock_seconds: after a failure not before */
    int again_step;
} hr_when_to_stop;

/* `checkpoint_bytes`: about the size of one, for a first guess of its time. */
void hr_when_to_stop_init(hr_when_to_stop *when, const hr_job *job, hr_time_limit *limit,
                          uint64_t checkpoint_bytes);

/* For the worker's hooks of these names. */
hr_wish hr_when_to_stop_wish(hr_when_to_stop *when, const hr_pace *pace);
void hr_when_to_stop_work(hr_when_to_stop *when, hr_stage stage);
/* A disk that is full or gone is not tried again at each window. */
void hr_when_to_stop_saved(hr_when_to_stop *when, hr_status status);

#endif
