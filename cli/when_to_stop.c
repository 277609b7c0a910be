#include "cli/when_to_stop.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/cli.h"

#define GUESSED_BYTES_A_SECOND 2e8
#define GAP_MARGIN 1.5
#define LEAST_PAUSE 60.0
#define LEAST_RESERVE 1.0 /* for the end of the process */
#define MOST_RESERVE 10.0

static double choose_reserve(double left)
{
    double reserve = left / 20;

    if (reserve < LEAST_RESERVE)
        reserve = left / 3 < LEAST_RESERVE ? left / 3 : LEAST_RESERVE;
    return left >= 0 && reserve < MOST_RESERVE ? reserve : MOST_RESERVE;
}

void hr_when_to_stop_init(hr_when_to_stop *when, const hr_job *job, hr_time_limit *limit,
                          uint64_t checkpoint_bytes)
{
    double left = limit != NULL ? hr_time_limit_left(limit) : -1;

    when->budget = (hr_budget){
        .every_seconds = job->checkpoint_every.seconds,
        .every_steps = (int)job->checkpoint_every.steps,
        .guess_save_seconds = (double)checkpoint_bytes / GUESSED_BYTES_A_SECOND,
        .reserve_seconds = choose_reserve(left),
    };
    when->limit = limit;
    when->has_said = false;
}

static void say_limit(hr_when_to_stop *when, double left, bool saves)
{
    char text[24];

    if (when->has_said)
        return;
    when->has_said = true;
    hr_warn("the time limit%s comes in %s: stopping%s",
            when->limit->is_slurms ? " of the Slurm job" : "",
            hr_format_duration(left, text), saves ? " with a checkpoint" : "");
}

/* Text and decode: what is done is on the disk, or soon done again. */
static hr_wish wish_beside(hr_when_to_stop *when)
{
    double left = when->limit != NULL ? hr_time_limit_left(when->limit) : -1;
    double now = hr_clock_seconds(), longest;

    if (when->asked > 0) {
        when->gaps[0] = when->gaps[1];
        when->gaps[1] = now - when->asked;
    }
    when->asked = now;
    longest = when->gaps[0] > when->gaps[1] ? when->gaps[0] : when->gaps[1];
    if (left < 0 || left >= when->budget.reserve_seconds + GAP_MARGIN * longest)
        return HR_WISH_NONE;
    say_limit(when, left, false);
    return HR_WISH_STOP;
}

static bool may_try(const hr_when_to_stop *when)
{
    return hr_clock_seconds() >= when->again && when->steps_done >= when->again_step;
}

void hr_when_to_stop_saved(hr_when_to_stop *when, hr_status status)
{
    const hr_budget *budget = &when->budget;

    when->again = 0;
    when->again_step = 0;
    if (status == HR_OK)
        return;
    when->again =
        hr_clock_seconds() +
        (budget->every_seconds > LEAST_PAUSE ? budget->every_seconds : LEAST_PAUSE);
    when->again_step = when->steps_done + budget->every_steps;
}

hr_wish hr_when_to_stop_wish(hr_when_to_stop *when, const hr_pace *pace)
{
    hr_budget_now now;

    if (hr_signals_stop_wanted())
        return HR_WISH_STOP;
    if (pace == NULL)
        return wish_beside(when);
    now = (hr_budget_now){
        .left_seconds = when->limit != NULL ? hr_time_limit_left(when->limit) : -1,
        .round_seconds = pace->round_seconds,
        .late_round_seconds = pace->late_round_seconds,
        .save_seconds = pace->save_seconds,
        .since_save_seconds = pace->since_save_seconds,
        .steps_since_save = pace->steps_since_save,
    };
    when->steps_done = pace->steps_done;
    if (when->can_save)
        hr_signals_set_patience(hr_budget_stop_seconds(&when->budget, &now));
    switch (hr_budget_decide(&when->budget, &now)) {
    case HR_SAVE_AND_STOP:
        say_limit(when, now.left_seconds, when->can_save);
        return HR_WISH_STOP;
    case HR_SAVE:
        return when->can_save && may_try(when) ? HR_WISH_SAVE : HR_WISH_NONE;
    default:
        return HR_WISH_NONE;
    }
}

void hr_when_to_stop_work(hr_when_to_stop *when, hr_stage stage)
{
    when->asked = when->gaps[0] = when->gaps[1] = 0;
    hr_signals_set_patience(stage == HR_STAGE_DENOISE && when->can_save ? 0 : -1);
}
