#include "worker/halo.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

struct hr_halo {
    const hr_run *run;
    const hr_rounds *rounds;
    hr_halo_ear ear;
    hr_range owned;
    bool is_pretended;
    int rank;
    hr_mailbox *mailbox;
    hr_inbox *inbox;
    int *arrived;  /* predictions of each own frame at its present step */
    hr_range news; /* own frames with predictions since hr_halo_take_news */
};

static hr_status open_all(hr_halo *halo, size_t frame_bytes)
{
    hr_worker *w = halo->run->worker;
    void *memory;

    if (hr_parts_is_leader(w))
        halo->owned = hr_schedule_owned(&halo->run->schedule, w->place.windows);
    HR_TRY(hr_alloc_or_fail((size_t)halo->owned.n * sizeof *halo->arrived,
                            "the counts of predictions", &memory));
    halo->arrived = memory;
    HR_TRY(hr_inbox_open(frame_bytes, &halo->inbox));
    return hr_mailbox_open(w->group, frame_bytes, HR_TRAFFIC_HALO, &halo->mailbox);
}

hr_status hr_halo_open(const hr_run *run, const hr_rounds *rounds, const hr_halo_ear *ear,
                       hr_halo **out)
{
    hr_halo *halo;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *halo, "the halo", &memory));
    halo = memory;
    halo->run = run;
    halo->rounds = rounds;
    halo->ear = *ear;
    halo->rank = hr_group_rank(run->worker->group);
    halo->is_pretended = hr_world_is_pretended(run->worker->world);
    status = open_all(halo, run->frame_floats * sizeof(float));
    if (status != HR_OK) {
        hr_halo_close(halo);
        return status;
    }
    *out = halo;
    return HR_OK;
}

void hr_halo_close(hr_halo *halo)
{
    if (halo == NULL)
        return;
    hr_mailbox_close(halo->mailbox);
    hr_inbox_close(halo->inbox);
    hr_free(halo->arrived);
    hr_free(halo);
}

static bool owns(const hr_halo *halo, int64_t frame)
{
    return hr_range_has(halo->owned, frame);
}

static int *arrived_at(const hr_halo *halo, int64_t frame)
{
    HR_ASSERT(owns(halo, frame));
    return &halo->arrived[frame - halo->owned.first];
}

static hr_mail_head frame_head(int64_t frame, int step)
{
    return (hr_mail_head){.kind = HR_MAIL_FRAME, .step = step, .frame = (int32_t)frame};
}

static hr_mail_head prediction_head(const hr_unit *unit, int64_t frame)
{
    return (hr_mail_head){.kind = HR_MAIL_PREDICTION,
                          .step = unit->step,
                          .window = (int32_t)unit->window,
                          .branch = unit->branch,
                          .frame = (int32_t)frame};
}

hr_status hr_halo_send_frame(hr_halo *halo, int64_t frame, int step, const float *x)
{
    const hr_schedule *s = &halo->run->schedule;
    const hr_mail_head head = frame_head(frame, step);
    hr_range seeing;
    int last = halo->run->worker->place.windows; /* served already */

    if (step >= s->n_steps)
        return HR_OK;
    seeing = hr_windows_seeing(&s->windows, step, frame);
    for (int64_t i = seeing.first; i < seeing.first + seeing.n; i++) {
        int group = hr_schedule_group(s, step, i);

        if (group == last || group == halo->run->worker->place.windows ||
            hr_rounds_is_done(halo->rounds, step, i))
            continue;
        last = group;
        HR_TRY(hr_mailbox_send(halo->mailbox, hr_run_leader(halo->run, group), &head, x,
                               halo->run->frame_floats * sizeof(float)));
    }
    return HR_OK;
}

static hr_status put_prediction(hr_halo *halo, const hr_mail_head *head, const float *v)
{
    HR_TRY(hr_inbox_put(halo->inbox, head, v));
    (*arrived_at(halo, head->frame))++;
    halo->news = hr_range_join(halo->news, (hr_range){head->frame, 1});
    return HR_OK;
}

hr_status hr_halo_send_predictions(hr_halo *halo, const hr_unit *unit,
                                   const float *velocity)
{
    const hr_windows *w = &halo->run->schedule.windows;
    size_t floats = halo->run->frame_floats;
    int64_t start = hr_windows_start(w, unit->step, unit->window);

    for (int64_t i = 0; i < w->length; i++) {
        const float *v = velocity + (size_t)i * floats;
        hr_mail_head head = prediction_head(unit, start + i);

        if (hr_windows_weight(w, unit->step, unit->window, start + i) <= 0)
            continue;
        if (owns(halo, start + i))
            HR_TRY(put_prediction(halo, &head, v));
        else
            HR_TRY(hr_mailbox_send(halo->mailbox, hr_run_owner(halo->run, start + i),
                                   &head, v, floats * sizeof(float)));
    }
    return HR_OK;
}

hr_status hr_halo_call(hr_halo *halo, int to, int call)
{
    const hr_mail_head head = {.kind = HR_MAIL_CALL, .step = call};

    return hr_mailbox_send(halo->mailbox, to, &head, NULL, 0);
}

static hr_status take_in(hr_halo *halo, const hr_mail *mail)
{
    if (mail->head.kind == HR_MAIL_CALL) {
        halo->ear.hear(halo->ear.user, mail->head.step, mail->head.from);
        return HR_OK;
    }
    HR_ASSERT(mail->bytes == halo->run->frame_floats * sizeof(float));
    if (mail->head.kind == HR_MAIL_PREDICTION)
        return put_prediction(halo, &mail->head, mail->data);
    return hr_inbox_put(halo->inbox, &mail->head, mail->data);
}

hr_status hr_halo_receive(hr_halo *halo)
{
    hr_mail *mail = NULL;
    hr_status status;

    HR_TRY(hr_world_progress(halo->run->worker->world));
    do {
        HR_TRY(hr_mailbox_take(halo->mailbox, &mail));
        status = mail == NULL ? HR_OK : take_in(halo, mail);
        hr_mail_free(mail);
        HR_TRY(status);
    } while (mail != NULL);
    return HR_OK;
}

hr_range hr_halo_take_news(hr_halo *halo)
{
    hr_range news = halo->news;

    halo->news = (hr_range){0};
    return news;
}

hr_status hr_halo_wait(hr_halo *halo, const hr_mailbox_wait_args *args)
{
    return hr_mailbox_wait(halo->mailbox, args);
}

hr_status hr_halo_settle(hr_halo *halo)
{
    return hr_mailbox_settle(halo->mailbox);
}

bool hr_halo_has_frame(const hr_halo *halo, int64_t frame, int step)
{
    const hr_mail_head head = frame_head(frame, step);

    return halo->is_pretended || hr_inbox_find(halo->inbox, &head) != NULL;
}

void hr_halo_read_frame(const hr_halo *halo, int64_t frame, int step, float *out)
{
    const hr_mail_head head = frame_head(frame, step);
    const float *x = hr_inbox_find(halo->inbox, &head);

    if (x != NULL)
        memcpy(out, x, halo->run->frame_floats * sizeof(float));
}

void hr_halo_drop_frame(hr_halo *halo, int64_t frame, int step)
{
    const hr_mail_head head = frame_head(frame, step);

    hr_inbox_drop(halo->inbox, &head);
}

/* Whether this rank gets to see the unit's prediction: in a pretended world only its own.
 */
static bool will_arrive(const hr_halo *halo, const hr_unit *unit)
{
    return !halo->is_pretended || hr_run_predictor(halo->run, unit->step, unit->window,
                                                   unit->branch) == halo->rank;
}

bool hr_halo_is_complete(const hr_halo *halo, int64_t frame, int step)
{
    const hr_schedule *s = &halo->run->schedule;
    hr_range who;
    int n = 0;

    if (*arrived_at(halo, frame) == 0 && !halo->is_pretended)
        return false;
    who = hr_windows_predicting(&s->windows, step, frame);
    for (int64_t i = who.first; i < who.first + who.n; i++)
        for (int b = 0; b < s->n_branches; b++)
            n += will_arrive(halo, &(hr_unit){.step = step, .window = i, .branch = b});
    return *arrived_at(halo, frame) == n;
}

int hr_halo_missing(const hr_halo *halo, int64_t frame, int step)
{
    const hr_schedule *s = &halo->run->schedule;
    hr_range who = hr_windows_predicting(&s->windows, step, frame);

    for (int64_t i = who.first; i < who.first + who.n; i++)
        for (int b = 0; b < s->n_branches; b++) {
            const hr_unit unit = {.step = step, .window = i, .branch = b};

            if (hr_halo_prediction(halo, &unit, frame) == NULL)
                return hr_run_predictor(halo->run, step, i, b);
        }
    return -1;
}

const float *hr_halo_prediction(const hr_halo *halo, const hr_unit *unit, int64_t frame)
{
    const hr_mail_head head = prediction_head(unit, frame);

    return hr_inbox_find(halo->inbox, &head);
}

void hr_halo_drop_predictions(hr_halo *halo, int64_t frame, int step)
{
    const hr_schedule *s = &halo->run->schedule;
    hr_range who = hr_windows_predicting(&s->windows, step, frame);

    for (int64_t i = who.first; i < who.first + who.n; i++)
        for (int b = 0; b < s->n_branches; b++) {
            const hr_unit unit = {.step = step, .window = i, .branch = b};
            const hr_mail_head head = prediction_head(&unit, frame);

            hr_inbox_drop(halo->inbox, &head);
        }
    *arrived_at(halo, frame) = 0;
}

const hr_inbox *hr_halo_inbox(const hr_halo *halo)
{
    return halo->inbox;
}

hr_status hr_halo_restore(hr_halo *halo, const hr_mail_head *head, const float *data)
{
    if (head->kind == HR_MAIL_PREDICTION)
        return put_prediction(halo, head, data);
    return hr_inbox_put(halo->inbox, head, data);
}
