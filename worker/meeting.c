#include "worker/meeting.h"

#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

/* What is called. */
enum {
    CALL_MEET = 1, /* rank 0 to the leaders and idle ranks */
    CALL_END,      /* the same */
    CALL_STOP,     /* any rank to rank 0: its user wants to stop */
    CALL_THROUGH   /* leaders to rank 0: no frame of mine has a step to go */
};

static const double seconds_between_asking = 0.1; /* while a rank waits */

struct hr_meeting {
    const hr_run *run;
    hr_watch *watch;
    hr_halo *halo;
    int rank;
    bool is_alone; /* or in a pretended world: all others agree */
    hr_wish wish;  /* of the user of this rank; on rank 0 of any */
    bool has_told_stop, has_told_through;
    hr_command called;   /* MEET or END; GO: neither */
    bool *is_through;    /* of each window group; on rank 0 */
    int64_t units_met;   /* done in all at the last meeting; on rank 0 */
    double asked, began; /* when; the meeting */
    hr_minutes minutes;
};

hr_status hr_meeting_open(const hr_run *run, hr_watch *watch, hr_meeting **out)
{
    hr_group *all = run->worker->group;
    hr_meeting *meeting;
    void *memory, *is_through;

    HR_TRY(hr_alloc_or_fail(sizeof *meeting, "the meetings", &memory));
    meeting = memory;
    *meeting = (hr_meeting){.run = run,
                            .watch = watch,
                            .rank = hr_group_rank(all),
                            .is_alone = hr_group_size(all) == 1 ||
                                        hr_world_is_pretended(run->worker->world)};
    if (hr_alloc_or_fail((size_t)run->schedule.layout.windows *
                             sizeof *meeting->is_through,
                         "the meetings", &is_through) != HR_OK) {
        hr_free(meeting);
        return HR_ERR_NOMEM;
    }
    meeting->is_through = is_through;
    *out = meeting;
    return HR_OK;
}

void hr_meeting_close(hr_meeting *meeting)
{
    if (meeting == NULL)
        return;
    hr_free(meeting->minutes.frame_steps);
    hr_free(meeting->is_through);
    hr_free(meeting);
}

static void hear(void *user, int call, int from)
{
    hr_meeting *meeting = user;

    if (call == CALL_MEET)
        meeting->called = HR_COMMAND_MEET;
    else if (call == CALL_END)
        meeting->called = HR_COMMAND_END;
    else if (call == CALL_STOP)
        meeting->wish = HR_WISH_STOP;
    else
        meeting
            ->is_through[hr_layout_place(&meeting->run->schedule.layout, from).windows] =
            true;
}

hr_halo_ear hr_meeting_ear(hr_meeting *meeting)
{
    return (hr_halo_ear){.hear = hear, .user = meeting};
}

void hr_meeting_set_halo(hr_meeting *meeting, hr_halo *halo)
{
    meeting->halo = halo;
}

void hr_meeting_ask(hr_meeting *meeting)
{
    const hr_worker_hooks *hooks = meeting->run->render->hooks;
    hr_pace pace;
    hr_wish wish;

    meeting->asked = hr_clock_seconds();
    if (hooks == NULL || hooks->wish == NULL)
        return;
    if (meeting->rank == 0)
        hr_watch_pace(meeting->watch, &pace);
    wish = hooks->wish(hooks->user, meeting->rank == 0 ? &pace : NULL);
    /* Without anything done since, a checkpoint would be the same again, and a user who
     * always wants one would stop the work. */
    if (wish == HR_WISH_SAVE &&
        (meeting->rank != 0 || hr_watch_units(meeting->watch) == meeting->units_met))
        return;
    if (wish > meeting->wish)
        meeting->wish = wish;
}

/* Rank 0 to all that listen while they wait. */
static hr_status call_all(hr_meeting *meeting, int call)
{
    const hr_layout *layout = &meeting->run->schedule.layout;

    for (int rank = 1; rank < hr_group_size(meeting->run->worker->group); rank++) {
        hr_place place = hr_layout_place(layout, rank);

        if (place.is_idle || (place.cfg == 0 && place.stage == 0 && place.tensor == 0))
            HR_TRY(hr_halo_call(meeting->halo, rank, call));
    }
    return HR_OK;
}

/* What the user of this rank wants, where it is not known yet. */
static bool has_news(const hr_meeting *meeting)
{
    return meeting->called == HR_COMMAND_GO && meeting->wish != HR_WISH_NONE &&
           !meeting->has_told_stop;
}

hr_status hr_meeting_look(hr_meeting *meeting, hr_command *command)
{
    if (meeting->wish == HR_WISH_STOP &&
        meeting->run->render->checkpointing.folder == NULL)
        return HR_ERR_CANCELLED;
    if (has_news(meeting) && meeting->rank == 0) {
        HR_TRY(call_all(meeting, CALL_MEET));
        meeting->called = HR_COMMAND_MEET;
    } else if (has_news(meeting)) {
        HR_TRY(hr_halo_call(meeting->halo, 0, CALL_STOP));
        meeting->has_told_stop = true;
    }
    *command = meeting->called;
    return HR_OK;
}

int hr_meeting_missing(const hr_meeting *meeting)
{
    if (meeting->rank != 0)
        return 0;
    for (int g = 1; g < meeting->run->schedule.layout.windows; g++)
        if (!meeting->is_through[g])
            return hr_run_leader(meeting->run, g);
    return -1;
}

hr_status hr_meeting_look_through(hr_meeting *meeting, hr_command *command)
{
    HR_TRY(hr_meeting_look(meeting, command));
    if (*command != HR_COMMAND_GO)
        return HR_OK;
    if (meeting->rank != 0 && !meeting->has_told_through &&
        hr_parts_is_leader(meeting->run->worker)) {
        HR_TRY(hr_halo_call(meeting->halo, 0, CALL_THROUGH));
        meeting->has_told_through = true;
    }
    if (meeting->rank == 0 && (meeting->is_alone || hr_meeting_missing(meeting) < 0)) {
        HR_TRY(call_all(meeting, CALL_END));
        meeting->called = HR_COMMAND_END;
    } else if (meeting->is_alone) {
        meeting->called = HR_COMMAND_END;
    }
    *command = meeting->called;
    return HR_OK;
}

static bool is_enough(void *user)
{
    hr_meeting *meeting = user;

    if (hr_clock_seconds() > meeting->asked + seconds_between_asking)
        hr_meeting_ask(meeting);
    return has_news(meeting);
}

hr_status hr_meeting_wait(hr_meeting *meeting, int rank)
{
    return hr_halo_wait(meeting->halo, &(hr_mailbox_wait_args){.waiting_for = rank,
                                                               .is_enough = is_enough,
                                                               .user = meeting});
}

void hr_meeting_begin(hr_meeting *meeting)
{
    meeting->began = hr_clock_seconds();
    meeting->called = HR_COMMAND_GO; /* the next call comes after this meeting */
    hr_watch_meet(meeting->watch);
}

/* A group's leader to all: its last round, whether to stop (rank 0's counts), and the
 * steps of its frames. */
enum { AT_STEP = 0, AT_WINDOW, AT_STOP, AT_FRAMES };

static void fill(const hr_meeting *meeting, const hr_states *states,
                 const hr_rounds *rounds, int32_t *page)
{
    int group = meeting->run->worker->place.windows;
    const hr_unit *last = hr_rounds_last(rounds, group);
    hr_range owned = hr_states_owned(states);

    page[AT_STEP] = last->step;
    page[AT_WINDOW] = (int32_t)last->window;
    page[AT_STOP] = meeting->wish == HR_WISH_STOP;
    for (int64_t i = 0; i < owned.n; i++)
        page[AT_FRAMES + i] = hr_states_step(states, owned.first + i);
}

static void read(hr_meeting *meeting, int group, const int32_t *page, hr_rounds *rounds)
{
    const hr_unit last = {.step = page[AT_STEP], .window = page[AT_WINDOW]};
    hr_range owned = hr_schedule_owned(&meeting->run->schedule, group);

    hr_rounds_note(rounds, group, &last);
    if (group == 0)
        meeting->minutes.is_stop = page[AT_STOP] != 0;
    memcpy(meeting->minutes.frame_steps + owned.first, page + AT_FRAMES,
           (size_t)owned.n * sizeof *page);
}

static hr_status pass_round(hr_meeting *meeting, const hr_states *states,
                            hr_rounds *rounds, int32_t *page)
{
    const hr_schedule *s = &meeting->run->schedule;

    for (int g = 0; g < s->layout.windows; g++) {
        size_t n = AT_FRAMES + (size_t)hr_schedule_owned(s, g).n;
        int leader = hr_run_leader(meeting->run, g);

        if (leader == meeting->rank)
            fill(meeting, states, rounds, page);
        HR_TRY(hr_group_broadcast(meeting->run->worker->group, leader, page,
                                  n * sizeof *page));
        read(meeting, g, page, rounds);
    }
    return HR_OK;
}

hr_status hr_meeting_compare(hr_meeting *meeting, const hr_states *states,
                             hr_rounds *rounds, const hr_minutes **out)
{
    hr_minutes *minutes = &meeting->minutes;
    size_t n_frames = (size_t)meeting->run->schedule.windows.n_frames;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(n_frames * sizeof *minutes->frame_steps,
                            "the steps of all frames", &memory));
    minutes->frame_steps = memory;
    HR_TRY(hr_alloc_or_fail((AT_FRAMES + n_frames) * sizeof(int32_t),
                            "the steps of all frames", &memory));
    status = pass_round(meeting, states, rounds, memory);
    hr_free(memory);
    HR_TRY(status);
    minutes->steps_done = minutes->frame_steps[0];
    for (size_t i = 1; i < n_frames; i++)
        if (minutes->frame_steps[i] < minutes->steps_done)
            minutes->steps_done = minutes->frame_steps[i];
    *out = minutes;
    return HR_OK;
}

void hr_meeting_end(hr_meeting *meeting, bool is_saved)
{
    hr_free(meeting->minutes.frame_steps);
    meeting->minutes = (hr_minutes){0};
    if (meeting->rank == 0)
        meeting->units_met = hr_watch_units(meeting->watch);
    if (meeting->wish == HR_WISH_SAVE)
        meeting->wish = HR_WISH_NONE;
    hr_watch_met(meeting->watch, is_saved ? hr_clock_seconds() - meeting->began : 0);
}
