#include "worker/stepper.h"

#include "base/memory.h"
#include "worker/fuse.h"
#include "worker/noise.h"

struct hr_stepper {
    hr_stepper_parts with;
    hr_fuser *fuser;  /* NULL where this rank leads no group */
    int group;        /* of this rank */
    hr_range changed; /* own frames that may be ready to be stepped; frame 0 too */
};

hr_status hr_stepper_open(const hr_stepper_parts *parts, hr_stepper **out)
{
    const hr_worker *worker = parts->run->worker;
    hr_stepper *stepper;
    void *memory;
    hr_status status = HR_OK;

    HR_TRY(hr_alloc_or_fail(sizeof *stepper, "the stepper", &memory));
    stepper = memory;
    stepper->with = *parts;
    stepper->group = worker->place.windows;
    if (hr_parts_is_leader(worker))
        status = hr_fuser_open(parts->run, parts->states, parts->halo, &stepper->fuser);
    if (status == HR_OK)
        *out = stepper;
    else
        hr_stepper_close(stepper);
    return status;
}

void hr_stepper_close(hr_stepper *stepper)
{
    if (stepper == NULL)
        return;
    hr_fuser_close(stepper->fuser);
    hr_free(stepper);
}

static hr_range owned(const hr_stepper *stepper)
{
    return hr_states_owned(stepper->with.states);
}

static bool owns(const hr_stepper *stepper, int64_t frame)
{
    return hr_range_has(owned(stepper), frame);
}

static bool is_read(const hr_stepper *stepper, int64_t frame, int step)
{
    return hr_rounds_is_read(stepper->with.rounds, stepper->group, frame, step);
}

hr_status hr_stepper_start(hr_stepper *stepper, float *room)
{
    const hr_stepper_parts *with = &stepper->with;
    hr_range mine = owned(stepper);
    hr_noise *noise;
    hr_status status = HR_OK;

    stepper->changed = mine;
    if (stepper->fuser == NULL)
        return HR_OK;
    HR_TRY(hr_noise_open(with->run, &noise));
    for (int64_t f = mine.first; f < mine.first + mine.n && status == HR_OK; f++) {
        status = hr_noise_read(noise, f, room);
        if (status == HR_OK)
            status = hr_states_write(with->states, f, 0, room);
        if (status == HR_OK)
            status = hr_halo_send_frame(with->halo, f, 0, room);
    }
    hr_noise_close(noise);
    return status;
}

hr_status hr_stepper_go_on(hr_stepper *stepper, float *room)
{
    const hr_stepper_parts *with = &stepper->with;
    hr_range mine = owned(stepper);

    stepper->changed = mine;
    for (int64_t f = mine.first; f < mine.first + mine.n; f++) {
        int step = hr_states_step(with->states, f);

        HR_TRY(hr_states_read(with->states, f, step, room));
        HR_TRY(hr_halo_send_frame(with->halo, f, step, room));
    }
    return HR_OK;
}

static bool can_step(const hr_stepper *stepper, int64_t frame)
{
    int step = hr_states_step(stepper->with.states, frame);

    return step < stepper->with.run->schedule.n_steps &&
           hr_halo_is_complete(stepper->with.halo, frame, step) &&
           (step == 0 || !is_read(stepper, frame, step - 1));
}

/* Steps an own frame as often as it can be, and passes it on. */
static hr_status step_frame(hr_stepper *stepper, int64_t frame)
{
    const hr_stepper_parts *with = &stepper->with;
    const float *x;

    while (can_step(stepper, frame)) {
        HR_TRY(hr_fuser_step(stepper->fuser, frame, &x));
        HR_TRY(hr_halo_send_frame(with->halo, frame, hr_states_step(with->states, frame),
                                  x));
    }
    return HR_OK;
}

/* Looks only at frames that something has happened to: a video has many. */
hr_status hr_stepper_settle(hr_stepper *stepper)
{
    hr_range news;

    HR_TRY(hr_halo_receive(stepper->with.halo));
    news = hr_range_join(hr_halo_take_news(stepper->with.halo), stepper->changed);
    stepper->changed = (hr_range){0};
    if (owns(stepper, 0))
        HR_TRY(step_frame(stepper, 0));
    for (int64_t f = news.first; f < news.first + news.n; f++)
        HR_TRY(step_frame(stepper, f));
    return HR_OK;
}

static bool is_here(const hr_stepper *stepper, int64_t frame, int step)
{
    return owns(stepper, frame) ? hr_states_step(stepper->with.states, frame) >= step
                                : hr_halo_has_frame(stepper->with.halo, frame, step);
}

/* Whom this rank waits for when it misses the sample of a frame. */
static int whom_to_wait_for(const hr_stepper *stepper, int64_t frame)
{
    if (!owns(stepper, frame))
        return hr_run_owner(stepper->with.run, frame);
    return hr_halo_missing(stepper->with.halo, frame,
                           hr_states_step(stepper->with.states, frame));
}

static hr_status wait_for_frame(hr_stepper *stepper, int64_t frame, int step,
                                hr_command *command)
{
    HR_TRY(hr_meeting_look(stepper->with.meeting, command));
    while (*command == HR_COMMAND_GO && !is_here(stepper, frame, step)) {
        HR_TRY(hr_stepper_settle(stepper));
        HR_TRY(hr_meeting_look(stepper->with.meeting, command));
        if (*command == HR_COMMAND_GO && !is_here(stepper, frame, step))
            HR_TRY(
                hr_meeting_wait(stepper->with.meeting, whom_to_wait_for(stepper, frame)));
    }
    return HR_OK;
}

static hr_status read_frame(const hr_stepper *stepper, int64_t frame, int step,
                            float *out)
{
    const hr_stepper_parts *with = &stepper->with;

    if (owns(stepper, frame) && hr_states_keeps(with->states, frame, step))
        return hr_states_read(with->states, frame, step, out);
    hr_halo_read_frame(with->halo, frame, step, out);
    return HR_OK;
}

hr_status hr_stepper_take(hr_stepper *stepper, const hr_unit *round, float *out,
                          hr_command *command)
{
    const hr_windows *w = &stepper->with.run->schedule.windows;

    *command = HR_COMMAND_GO;
    for (int64_t i = 0; i < w->length && *command == HR_COMMAND_GO; i++) {
        int64_t frame = hr_windows_shown(w, round->step, round->window, i);

        HR_TRY(wait_for_frame(stepper, frame, round->step, command));
        if (*command == HR_COMMAND_GO)
            HR_TRY(read_frame(stepper, frame, round->step,
                              out + (size_t)i * stepper->with.run->frame_floats));
    }
    return HR_OK;
}

void hr_stepper_note(hr_stepper *stepper, const hr_unit *round)
{
    const hr_windows *w = &stepper->with.run->schedule.windows;
    const hr_range seen = {hr_windows_start(w, round->step, round->window), w->length};

    hr_rounds_note(stepper->with.rounds, stepper->group, round);
    stepper->changed =
        hr_range_join(stepper->changed, hr_range_cut(seen, owned(stepper)));
    if (stepper->fuser == NULL)
        return;
    for (int64_t i = 0; i < w->length; i++) {
        int64_t frame = hr_windows_shown(w, round->step, round->window, i);

        if (!is_read(stepper, frame, round->step))
            hr_halo_drop_frame(stepper->with.halo, frame, round->step);
    }
}

/* An own frame that has steps to go, or -1. */
static int64_t find_open(const hr_stepper *stepper)
{
    hr_range mine = owned(stepper);

    for (int64_t f = mine.first; f < mine.first + mine.n; f++)
        if (hr_states_step(stepper->with.states, f) < stepper->with.run->schedule.n_steps)
            return f;
    return -1;
}

hr_status hr_stepper_finish(hr_stepper *stepper, hr_command *command)
{
    hr_meeting *meeting = stepper->with.meeting;

    for (;;) {
        int64_t open;

        HR_TRY(hr_stepper_settle(stepper));
        open = find_open(stepper);
        HR_TRY(open < 0 ? hr_meeting_look_through(meeting, command)
                        : hr_meeting_look(meeting, command));
        if (*command != HR_COMMAND_GO)
            return HR_OK;
        HR_TRY(hr_meeting_wait(meeting, open < 0 ? hr_meeting_missing(meeting)
                                                 : whom_to_wait_for(stepper, open)));
    }
}
