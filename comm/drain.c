#include "base/log.h"
#include "base/memory.h"
#include "comm/control_inside.h"
#include "comm/wait.h"

/* Receives one message that nobody waits for, and drops it. */
static hr_status drop(hr_world *world, hr_wait *wait, hr_message *message)
{
    hr_request *request = NULL;
    hr_status status = HR_OK;
    bool is_done = false;

    HR_TRY(hr_alloc_or_fail(message->bytes, "a message to drop", &message->data));
    status = hr_transport_receive(world->transport, message, &request);
    while (status == HR_OK && !is_done && world->n_lost == 0) {
        status = hr_request_test(request, &is_done);
        if (status == HR_OK && !is_done)
            status = hr_wait_pause(wait);
    }
    hr_request_free(request);
    hr_free(message->data);
    return status != HR_OK ? status : world->n_lost > 0 ? world->failure : HR_OK;
}

/* All that `peer` has sent before it began to recover. */
static hr_status drain_peer(hr_world *world, hr_wait *wait, int peer)
{
    const hr_arrival *arrival = &world->control->arrival[peer];
    bool is_done = false;

    wait->peer = peer;
    while (!is_done) {
        hr_message message = {.plane = HR_PLANE_DATA, .peer = peer};
        bool is_there = false, are_ours_done;

        if (world->n_lost > 0)
            return world->failure;
        HR_TRY(hr_transport_test_all(world->transport, &are_ours_done));
        if (arrival->has_drained && arrival->drain_epoch == world->epoch) {
            is_done = hr_transport_n_received(world->transport, peer) >= arrival->n_sent;
            if (!is_done)
                HR_TRY(hr_transport_probe(world->transport, &message, &is_there));
        }
        if (is_there)
            HR_TRY(drop(world, wait, &message));
        else if (!is_done)
            HR_TRY(hr_wait_pause(wait));
    }
    return HR_OK;
}

hr_status hr_control_drain(hr_world *world)
{
    hr_wait wait = hr_wait_begin(world, HR_TRAFFIC_OTHER);
    hr_notice notice = {.kind = HR_NOTICE_DRAIN, .epoch = world->epoch};
    bool is_done = false;

    wait.is_for_end = true;
    hr_transport_cancel_all(world->transport);
    for (int i = 1; i < world->size; i++) {
        int to = (world->rank + i) % world->size;

        notice.number = hr_transport_n_sent(world->transport, to);
        hr_control_send(world, to, &notice);
    }
    for (int i = 1; i < world->size; i++)
        HR_TRY(drain_peer(world, &wait, (world->rank + i) % world->size));
    while (!is_done) { /* the others take what we have sent */
        if (world->n_lost > 0)
            return world->failure;
        HR_TRY(hr_transport_test_all(world->transport, &is_done));
        if (!is_done)
            HR_TRY(hr_wait_pause(&wait));
    }
    hr_wait_end(&wait);
    return HR_OK;
}
