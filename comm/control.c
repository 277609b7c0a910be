#include "comm/control.h"

#include "base/clock.h"
#include "base/memory.h"
#include "comm/control_inside.h"
#include "comm/wait.h"

#include <stdio.h>
#include <string.h>

static const double watch_seconds = 0.5, most_sign_seconds = 30;
/* Notices that are kept for a rank without memory: for each rank one that it fails, one
 * that another is lost and the verdict; and some with words. */
enum { SPARE_OF_EACH = 3, SPARE_WITH_BODY = 4 };
enum { END_LOOKS = 1000 }; /* a cancelled receive is done after a few */

/* A notice that is being sent. */
struct hr_outgoing {
    hr_outgoing *next; /* in the list of those on their way, or of spare ones */
    hr_request *request;
    bool has_body;
    hr_notice notice; /* ends with its body: the memory of the rest is not there */
};

static void fail_locally(hr_world *world, hr_status status)
{
    if (world->failure == HR_OK)
        world->failure = status;
}

static hr_status post(hr_world *world)
{
    const hr_message message = {.plane = HR_PLANE_CONTROL,
                                .peer = -1,
                                .data = &world->control->in,
                                .bytes = sizeof world->control->in};

    return hr_transport_receive(world->transport, &message, &world->control->receive);
}

static hr_outgoing *create_notice(bool has_body)
{
    size_t bytes = has_body ? sizeof(hr_notice) : offsetof(hr_notice, body);
    hr_outgoing *one = hr_alloc(offsetof(hr_outgoing, notice) + bytes);

    if (one != NULL)
        one->has_body = has_body;
    return one;
}

static hr_outgoing *take_spare(hr_control *control, bool has_body)
{
    hr_outgoing *one = control->spare[has_body];

    if (one != NULL)
        control->spare[has_body] = one->next;
    return one;
}

static void put_back(hr_control *control, hr_outgoing *one)
{
    one->next = control->spare[one->has_body];
    control->spare[one->has_body] = one;
}

static bool make_spare(hr_control *control, int size)
{
    int n_small = SPARE_OF_EACH * size;

    for (int i = 0; i < n_small + SPARE_WITH_BODY; i++) {
        hr_outgoing *one = create_notice(i >= n_small);

        if (one == NULL)
            return false;
        put_back(control, one);
    }
    return true;
}

hr_status hr_control_open(hr_world *world)
{
    hr_control *control = hr_alloc(sizeof *control);
    size_t n = (size_t)world->size;

    world->control = control;
    if (control != NULL) {
        control->heard_seconds = hr_alloc(n * sizeof *control->heard_seconds);
        control->waiting_seconds = hr_alloc(n * sizeof *control->waiting_seconds);
        control->process = hr_alloc(n * sizeof *control->process);
        control->is_watched = hr_alloc(n * sizeof *control->is_watched);
        control->arrival = hr_alloc(n * sizeof *control->arrival);
    }
    if (control == NULL || control->heard_seconds == NULL ||
        control->waiting_seconds == NULL || control->process == NULL ||
        control->is_watched == NULL || control->arrival == NULL ||
        !make_spare(control, world->size))
        return hr_fail(HR_ERR_NOMEM, "out of memory: the control channel");
    return post(world);
}

static void free_sent(hr_world *world, bool all)
{
    hr_control *control = world->control;
    hr_outgoing **at = &control->outgoing;

    while (*at != NULL) {
        hr_outgoing *one = *at;
        bool is_done = true;
        hr_status status = all ? HR_OK : hr_request_test(one->request, &is_done);

        if (status == HR_OK && !is_done) {
            at = &one->next;
            continue;
        }
        if (status != HR_OK)
            fail_locally(world, status);
        *at = one->next;
        hr_request_free(one->request);
        put_back(control, one);
    }
}

hr_status hr_control_flush(hr_world *world)
{
    hr_wait wait = hr_wait_begin(world, HR_TRAFFIC_OTHER);

    wait.is_for_end = true;
    while (world->control->outgoing != NULL && world->n_lost == 0)
        HR_TRY(hr_wait_pause(&wait));
    return world->n_lost > 0 ? world->failure : HR_OK;
}

/* Nothing can be written into the control channel's memory afterwards. */
static void end_receive(hr_control *control)
{
    bool is_done = false;

    hr_request_cancel(control->receive);
    for (int i = 0; i < END_LOOKS && !is_done; i++)
        if (hr_request_test(control->receive, &is_done) != HR_OK)
            is_done = true;
    hr_request_free(control->receive);
}

void hr_control_close(hr_world *world, bool is_orderly)
{
    hr_control *control = world->control;

    if (control == NULL)
        return;
    free_sent(world, true);
    if (is_orderly && control->receive != NULL)
        end_receive(control);
    else
        hr_request_free(control->receive);
    for (int i = 0; i < 2; i++)
        while (control->spare[i] != NULL)
            hr_free(take_spare(control, i));
    hr_free(control->heard_seconds);
    hr_free(control->waiting_seconds);
    hr_free(control->process);
    hr_free(control->is_watched);
    hr_free(control->arrival);
    hr_free(control);
    world->control = NULL;
}

hr_status hr_control_send(hr_world *world, int to, const hr_notice *notice)
{
    hr_control *control = world->control;
    bool has_body = notice->body_bytes > 0;
    hr_outgoing *one = take_spare(control, has_body);
    hr_message message = {.plane = HR_PLANE_CONTROL,
                          .peer = to,
                          .bytes = offsetof(hr_notice, body) + notice->body_bytes};
    hr_status status;

    if (one == NULL)
        one = create_notice(has_body);
    if (one == NULL) {
        status = hr_fail(HR_ERR_NOMEM, "out of memory: a notice");
        fail_locally(world, status);
        return status;
    }
    memcpy(&one->notice, notice, message.bytes);
    message.data = &one->notice;
    status = hr_transport_send(world->transport, &message, &one->request);
    if (status != HR_OK) { /* this rank is to leave; whoever waits should hear it */
        fail_locally(world, status);
        status = hr_transport_send(world->transport, &message, &one->request);
    }
    if (status != HR_OK) {
        control->is_mute = true;
        put_back(control, one);
        return status;
    }
    one->next = control->outgoing;
    control->outgoing = one;
    return HR_OK;
}

void hr_control_send_all(hr_world *world, const hr_notice *notice)
{
    for (int i = 1; i < world->size; i++) {
        int to = (world->rank + i) % world->size;

        if (!world->is_lost[to])
            hr_control_send(world, to, notice);
    }
}

void hr_control_give_up(hr_world *world, hr_status status)
{
    const hr_notice notice = {.kind = HR_NOTICE_GIVE_UP,
                              .status = (int32_t)status,
                              .lost = -1,
                              .epoch = world->epoch};

    hr_control_send_all(world, &notice);
}

void hr_control_sign(hr_world *world)
{
    const hr_notice notice = {.kind = HR_NOTICE_SIGN};
    hr_control *control = world->control;
    double now = hr_clock_seconds(), pause = world->deadline_seconds / 4;

    if (now < control->next_sign_seconds)
        return;
    control->next_sign_seconds =
        now + (pause < most_sign_seconds ? pause : most_sign_seconds);
    hr_control_send_all(world, &notice);
}

void hr_control_say_waiting(hr_world *world)
{
    const hr_notice notice = {.kind = HR_NOTICE_WAITING};

    hr_control_send_all(world, &notice);
}

void hr_control_report(hr_world *world, const hr_report *report)
{
    const hr_notice notice = {
        .kind = HR_NOTICE_REPORT, .body_bytes = sizeof *report, .body.report = *report};

    hr_control_send(world, 0, &notice);
}

static bool is_lowest_left(const hr_world *world)
{
    for (int i = 0; i < world->rank; i++)
        if (!world->is_lost[i])
            return false;
    return true;
}

/* Once one is lost the others leave, each in its time: that is no news. Rank 0 tells
 * nobody its phase. */
static void log_loss(hr_world *world, int rank, hr_status status)
{
    const hr_rank_info *info = &world->info[rank];
    const char *phase = world->reports[rank == 0 ? world->rank : rank].phase;
    const char *before = rank == 0 ? "; this rank: " : ", ";
    char who[256], what[64] = "is gone";

    snprintf(who, sizeof who, "rank %d (host %s, pid %lld%s%.*s)", rank, info->host,
             (long long)info->pid, phase[0] != '\0' ? before : "", HR_PHASE_BYTES, phase);
    if (status == HR_ERR_TIMEOUT)
        snprintf(what, sizeof what, "has not answered for %.3g s",
                 world->deadline_seconds);
    if (world->n_lost > 1 || !is_lowest_left(world)) {
        hr_info("%s %s", who, what);
        return;
    }
    hr_log_speak_up();
    hr_error("%s %s", who, what);
    hr_log_forget_error(); /* it is told */
}

void hr_control_lose(hr_world *world, int rank, hr_status status)
{
    const hr_notice notice = {.kind = HR_NOTICE_GIVE_UP,
                              .status = (int32_t)status,
                              .lost = rank,
                              .epoch = world->epoch};

    if (world->is_lost[rank])
        return;
    world->has_told = true; /* below */
    world->is_lost[rank] = true;
    world->n_lost++;
    fail_locally(world, status);
    if (rank == world->rank) /* the others wait no longer */
        return;
    log_loss(world, rank, status);
    hr_control_send_all(world, &notice);
}

/* The sender tells all. */
static void hear(hr_world *world, hr_status status)
{
    if (world->failure == HR_OK)
        world->has_told = true;
    fail_locally(world, status);
}

static void take_give_up(hr_world *world, const hr_notice *in)
{
    hr_status status = (hr_status)in->status;

    if (in->lost >= 0 && in->lost < world->size)
        hr_control_lose(world, in->lost, status);
    else if (in->epoch == world->epoch)
        hear(world, status);
    else if (in->epoch == world->epoch + 1)
        world->control->next_failure = status;
}

static void take_notice(hr_world *world, int from, const hr_notice *in)
{
    hr_control *control = world->control;
    hr_arrival *arrival = &control->arrival[from];

    switch ((hr_notice_kind)in->kind) {
    case HR_NOTICE_GIVE_UP:
        take_give_up(world, in);
        break;
    case HR_NOTICE_REPORT:
        world->reports[from] = in->body.report;
        world->report_seconds[from] = hr_clock_seconds();
        control->heard_seconds[from] = world->report_seconds[from];
        break;
    case HR_NOTICE_SIGN:
        control->heard_seconds[from] = hr_clock_seconds();
        break;
    case HR_NOTICE_WAITING:
        control->waiting_seconds[from] = hr_clock_seconds();
        break;
    case HR_NOTICE_ARRIVED:
        arrival->number = in->number;
        arrival->status = (hr_status)in->status;
        arrival->is_leaving = in->is_leaving;
        arrival->line[0] = '\0';
        if (in->body_bytes > 0)
            memcpy(arrival->line, in->body.line, in->body_bytes);
        break;
    case HR_NOTICE_VERDICT:
        control->verdict_number = in->number;
        control->verdict = (hr_status)in->status;
        break;
    case HR_NOTICE_DRAIN:
        arrival->has_drained = true;
        arrival->drain_epoch = in->epoch;
        arrival->n_sent = in->number;
        break;
    }
}

static void look_for_lost(hr_world *world)
{
    hr_control *control = world->control;
    double now = hr_clock_seconds();

    if (now < control->next_watch_seconds)
        return;
    control->next_watch_seconds = now + watch_seconds;
    for (int i = 0; i < world->size; i++)
        if (control->is_watched[i] && !world->is_lost[i] &&
            !hr_process_is_alive(&control->process[i]))
            hr_control_lose(world, i, HR_ERR_DEVICE);
}

void hr_control_poll(hr_world *world)
{
    hr_control *control = world->control;
    bool is_done = true;

    while (is_done && control->receive != NULL) {
        hr_status status = hr_request_test(control->receive, &is_done);

        if (status == HR_OK && is_done) {
            take_notice(world, hr_request_peer(control->receive), &control->in);
            hr_request_free(control->receive);
            control->receive = NULL;
            status = post(world);
        }
        if (status != HR_OK) {
            fail_locally(world, status);
            hr_request_free(control->receive);
            control->receive = NULL;
        }
    }
    free_sent(world, false);
    look_for_lost(world);
}
