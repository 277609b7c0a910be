#include "worker/denoise.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "worker/resume.h"
#include "worker/snapshot.h"
#include "worker/unit.h"

/* To all first stages of a window group, once for all branches of a round. */
enum { PARCEL_HEAD_BYTES = 64 };
typedef struct parcel {
    int32_t command;
    _Alignas(PARCEL_HEAD_BYTES) float frames[]; /* [length, C, h, w] */
} parcel;

/* The way of the data, on every rank in the static order of its units:
 *
 *   leader        gathers the frames that the window sees, from its own states and from
 *                 other leaders, and shares them with the first stages of its group;
 *   all           run their stage of the forward, hidden states go from stage to stage;
 *   last stage    sends the velocity, frame by frame, to the leaders that own the frames;
 *   leader        steps each own frame when all its predictions are there, and passes it
 *                 on to the leaders whose windows see it next.
 *
 * Nothing else orders the ranks: a window of the next step starts when its frames are
 * there. Now and then all meet (meeting.h): then a command takes the way of the frames
 * and hidden states instead. */
typedef struct denoise {
    const hr_run *run;
    hr_worker *worker;
    hr_render_times *times;
    hr_states *states;
    hr_rounds *rounds;
    hr_watch *watch;
    hr_meeting *meeting;
    hr_halo *halo;
    hr_stepper *stepper;
    hr_units *units; /* NULL on an idle rank */
    parcel *parcel;  /* the same */
    size_t parcel_bytes;
    float *velocity;      /* host, [length, C, h, w] */
    int64_t rounds_saved; /* by the last checkpoint */
} denoise;

static hr_status share(denoise *d)
{
    if (d->worker->branches != NULL)
        HR_TRY(hr_group_broadcast(d->worker->branches, 0, d->parcel, d->parcel_bytes));
    return hr_group_broadcast(d->worker->tensor, 0, d->parcel, d->parcel_bytes);
}

/* The rounds that this rank has units of are noted when they are shared. */
static bool is_shared(const denoise *d, const hr_unit *unit)
{
    const hr_unit *last = hr_rounds_last(d->rounds, d->worker->place.windows);

    return unit->step == last->step && unit->window == last->window;
}

/* For a first stage: the next round's frames, or why there are none. */
static hr_status receive_round(denoise *d, const hr_unit *next, hr_command *command)
{
    *command = HR_COMMAND_GO;
    if (next != NULL && is_shared(d, next))
        return HR_OK;
    if (hr_parts_is_leader(d->worker)) {
        HR_TRY(next == NULL
                   ? hr_stepper_finish(d->stepper, command)
                   : hr_stepper_take(d->stepper, next, d->parcel->frames, command));
        d->parcel->command = *command;
    }
    HR_TRY(share(d));
    *command = (hr_command)d->parcel->command;
    return HR_OK;
}

static hr_status receive_states(denoise *d, hr_command *command)
{
    uint8_t note;

    HR_TRY(hr_units_wait(d->units, &note));
    *command = (hr_command)note;
    return HR_OK;
}

/* What this rank is to do; `next` is the unit that would come, NULL after the last. */
static hr_status receive_command(denoise *d, const hr_unit *next, hr_command *command)
{
    hr_meeting_ask(d->meeting);
    HR_TRY(hr_meeting_look(d->meeting, command));
    if (d->units == NULL)
        return hr_stepper_finish(d->stepper, command);
    HR_TRY(hr_units_is_first_stage(d->units) ? receive_round(d, next, command)
                                             : receive_states(d, command));
    if (next == NULL && hr_world_is_pretended(d->worker->world))
        *command = HR_COMMAND_END; /* nobody is there to say so */
    if (*command == HR_COMMAND_GO)
        return HR_OK;
    return hr_units_tell(d->units, (uint8_t)*command);
}

/* In the middle of a forward, so that others need not wait for its end. */
static hr_status tick(void *user)
{
    const denoise *d = user;

    return hr_stepper_settle(d->stepper);
}

static hr_status run_unit(denoise *d, const hr_unit *unit)
{
    if (!is_shared(d, unit))
        hr_stepper_note(d->stepper, unit);
    HR_TRY(hr_units_run(d->units, unit, d->parcel->frames, d->velocity));
    if (hr_units_is_predictor(d->units))
        HR_TRY(hr_halo_send_predictions(d->halo, unit, d->velocity));
    HR_TRY(hr_stepper_settle(d->stepper));
    return hr_watch_done(d->watch, unit);
}

/* Twice: the frames that are stepped when all predictions have arrived are sent on. */
static hr_status take_in_all(denoise *d)
{
    for (int i = 0; i < 2; i++) {
        HR_TRY(hr_halo_settle(d->halo));
        HR_TRY(hr_stepper_settle(d->stepper));
    }
    return HR_OK;
}

/* All ranks come here, with the units of the same rounds done. */
static hr_status meet(denoise *d, bool is_last)
{
    hr_snapshot snapshot = {.run = d->run,
                            .states = d->states,
                            .halo = d->halo,
                            .rounds = d->rounds,
                            .is_last = is_last,
                            .rounds_saved = &d->rounds_saved};
    bool is_saved, is_stop;
    double began;

    hr_meeting_begin(d->meeting);
    HR_TRY(take_in_all(d));
    HR_TRY(hr_meeting_compare(d->meeting, d->states, d->rounds, &snapshot.minutes));
    began = hr_clock_seconds();
    HR_TRY(hr_snapshot_save(&snapshot, &is_saved));
    if (is_saved) {
        d->times->n_saves++;
        d->times->save_seconds += hr_clock_seconds() - began;
    }
    is_stop = snapshot.minutes->is_stop;
    hr_meeting_end(d->meeting, is_saved);
    if (!is_stop)
        return HR_OK;
    /* who leaves ends the others' waits, which may be those for the file */
    HR_TRY(hr_group_agree(d->worker->group, HR_OK));
    return HR_ERR_CANCELLED;
}

static hr_status run_units(denoise *d, hr_unit *unit)
{
    hr_unit *next = unit;
    hr_command command = HR_COMMAND_GO;

    while (command != HR_COMMAND_END) {
        if (next != NULL)
            hr_watch_begin(d->watch, next);
        HR_TRY(receive_command(d, next, &command));
        if (command != HR_COMMAND_GO) {
            HR_TRY(meet(d, command == HR_COMMAND_END));
            continue;
        }
        HR_TRY(run_unit(d, unit));
        if (!hr_rounds_next(d->rounds, &d->worker->place, unit))
            next = NULL;
    }
    return HR_OK;
}

static hr_status begin_frames(denoise *d)
{
    const hr_stepper_parts parts = {d->run, d->states, d->halo, d->rounds, d->meeting};
    float *room = d->parcel != NULL ? d->parcel->frames : NULL;

    if (hr_resume_path(d->worker, d->run->render) == NULL)
        return hr_stepper_start(d->stepper, room);
    HR_TRY(hr_resume_frames(&parts));
    return hr_stepper_go_on(d->stepper, room);
}

/* Mean over the steps, or the parts of steps, that were done here. */
static double step_seconds(const denoise *d, double work_seconds)
{
    const hr_schedule *s = &d->run->schedule;
    int64_t all = hr_rounds_of_steps(s, s->n_steps);
    int64_t here = all - hr_rounds_n_before(d->rounds);

    return here > 0 ? work_seconds * (double)all / (double)here / s->n_steps : 0;
}

static hr_status denoise_all(denoise *d)
{
    hr_unit unit = {.step = -1};
    double began;
    bool has_work;

    HR_TRY(begin_frames(d));
    has_work = hr_rounds_next(d->rounds, &d->worker->place, &unit);
    if (has_work)
        HR_TRY(hr_units_load(d->units, unit.step));
    HR_TRY(hr_stream_sync(d->worker->stream));
    d->times->start_seconds = hr_clock_process_seconds();
    hr_watch_start(d->watch, hr_rounds_n_before(d->rounds) * d->run->schedule.n_branches);
    began = hr_clock_seconds();
    HR_TRY(run_units(d, has_work ? &unit : NULL));
    d->times->step_seconds = step_seconds(d, hr_clock_seconds() - began);
    hr_watch_end(d->watch);
    return HR_OK;
}

static hr_status open_units(denoise *d)
{
    size_t bytes =
        (size_t)d->run->schedule.windows.length * d->run->frame_floats * sizeof(float);

    d->parcel_bytes = sizeof(parcel) + bytes;
    d->parcel = hr_alloc_aligned(d->parcel_bytes, PARCEL_HEAD_BYTES);
    if (d->parcel == NULL)
        return hr_fail(HR_ERR_NOMEM,
                       "out of memory: %zu bytes for the frames of a window",
                       d->parcel_bytes);
    HR_TRY(hr_alloc_or_fail(bytes, "the predictions of a window", (void **)&d->velocity));
    return hr_units_open(d->run, &(hr_tick){.run = tick, .user = d}, &d->units);
}

static hr_status open_all(denoise *d, hr_stage_clock *clock)
{
    hr_stepper_parts parts;
    hr_halo_ear ear;

    HR_TRY(hr_rounds_open(&d->run->schedule, &d->rounds));
    HR_TRY(hr_watch_open(d->run, clock, &d->watch));
    HR_TRY(hr_meeting_open(d->run, d->watch, &d->meeting));
    ear = hr_meeting_ear(d->meeting);
    HR_TRY(hr_halo_open(d->run, d->rounds, &ear, &d->halo));
    hr_meeting_set_halo(d->meeting, d->halo);
    parts = (hr_stepper_parts){d->run, d->states, d->halo, d->rounds, d->meeting};
    HR_TRY(hr_stepper_open(&parts, &d->stepper));
    return d->worker->place.is_idle ? HR_OK : open_units(d);
}

static void close_all(denoise *d)
{
    hr_units_close(d->units);
    hr_free(d->velocity);
    hr_free(d->parcel);
    hr_stepper_close(d->stepper);
    hr_halo_close(d->halo);
    hr_meeting_close(d->meeting);
    hr_watch_close(d->watch);
    hr_rounds_close(d->rounds);
}

hr_status hr_denoise_stage(const hr_run *run, hr_states *states, hr_stage_clock *clock,
                           hr_render_times *times, bool *is_saved)
{
    denoise d = {.run = run,
                 .worker = run->worker,
                 .times = times,
                 .states = states,
                 .rounds_saved = -1};
    hr_arena_mark mark = hr_arena_get_mark(run->worker->arena);
    hr_status status = open_all(&d, clock), after;

    if (status == HR_OK)
        status = denoise_all(&d);
    *is_saved =
        d.rounds_saved == hr_rounds_of_steps(&run->schedule, run->schedule.n_steps);
    after = hr_stream_sync(run->worker->stream); /* nothing uses what is freed now */
    close_all(&d);
    hr_arena_rewind(run->worker->arena, mark);
    return status != HR_OK ? status : after;
}
