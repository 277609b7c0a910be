#include "worker/progress.h"

#include "base/clock.h"

const char *hr_stage_name(hr_stage stage)
{
    static const char *const names[HR_STAGE_COUNT] = {
        [HR_STAGE_TEXT] = "text",
        [HR_STAGE_DENOISE] = "denoise",
        [HR_STAGE_DECODE] = "decode",
    };

    return names[stage];
}

void hr_stage_show(const hr_stage_clock *clock, hr_progress *progress)
{
    double now = hr_clock_seconds();

    progress->stage = clock->stage;
    progress->total = clock->total;
    progress->seconds = now - clock->began;
    progress->work_seconds = clock->work_began > 0 ? now - clock->work_began : 0;
    if (clock->hooks != NULL && clock->hooks->on_progress != NULL)
        clock->hooks->on_progress(clock->hooks->user, progress);
}

void hr_stage_done(const hr_stage_clock *clock, int64_t done)
{
    hr_progress progress = {
        .done = done, .units_done = done, .n_units = clock->total, .slowest_rank = -1};

    hr_stage_show(clock, &progress);
}

hr_stage_clock hr_stage_begin(const hr_worker_hooks *hooks, hr_stage stage, int64_t total)
{
    hr_stage_clock clock = {
        .hooks = hooks, .stage = stage, .total = total, .began = hr_clock_seconds()};

    hr_stage_done(&clock, 0);
    return clock;
}

void hr_stage_work(hr_stage_clock *clock)
{
    if (clock->work_began > 0)
        return;
    clock->work_began = hr_clock_seconds();
    if (clock->hooks != NULL && clock->hooks->on_work != NULL)
        clock->hooks->on_work(clock->hooks->user, clock->stage);
}

hr_status hr_stage_next(hr_stage_clock *clock)
{
    hr_stage_work(clock);
    if (clock->hooks != NULL && clock->hooks->wish != NULL &&
        clock->hooks->wish(clock->hooks->user, NULL) == HR_WISH_STOP)
        return HR_ERR_CANCELLED;
    return HR_OK;
}
