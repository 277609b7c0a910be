#include "base/clock.h"
#include "comm/control_inside.h"
#include "comm/wait.h"

#include <string.h>

/* One whose transport has failed does not wait for the others. */
static bool can_talk(const hr_control *control)
{
    return !control->is_mute && control->receive != NULL;
}

/* The first rank that rank 0 still waits for, or -1. */
static int missing(const hr_world *world)
{
    for (int i = 1; i < world->size; i++)
        if (!world->is_lost[i] &&
            world->control->arrival[i].number < world->control->n_agreements)
            return i;
    return -1;
}

/* Tells what ranks that failed by themselves logged last, equal lines once. */
static void tell_errors(const hr_world *world)
{
    const hr_arrival *arrival = world->control->arrival;

    for (int i = 1; i < world->size; i++) {
        bool is_known = arrival[i].line[0] == '\0' || world->is_lost[i];

        for (int j = 0; j < i && !is_known; j++)
            is_known = strcmp(arrival[j].line, arrival[i].line) == 0;
        if (!is_known)
            hr_error("rank %d (host %s): %s", i, world->info[i].host, arrival[i].line);
    }
}

/* Some ranks end their program while others go on. (One that could not be heard has left
 * this agreement by itself.) */
static hr_status check_leaving(const hr_world *world)
{
    const hr_arrival *arrival = world->control->arrival;

    for (int i = 1; i < world->size; i++)
        if (!world->is_lost[i] && arrival[i].number == arrival[0].number &&
            arrival[i].is_leaving != arrival[0].is_leaving)
            return hr_fail(HR_ERR_INTERNAL, "rank %d (host %s) ends before the others",
                           arrival[0].is_leaving ? 0 : i,
                           world->info[arrival[0].is_leaving ? 0 : i].host);
    return HR_OK;
}

static hr_status judge(hr_world *world, hr_wait *wait)
{
    hr_control *control = world->control;
    hr_notice notice = {.kind = HR_NOTICE_VERDICT, .number = control->n_agreements};
    hr_status worst = HR_OK, status;

    while (can_talk(control) && (wait->peer = missing(world)) >= 0) {
        HR_TRY(hr_wait_pause(wait));
        if (world->is_lost[0]) /* the others have left */
            return world->failure;
    }
    if (!control->arrival[0].is_leaving)
        worst = world->failure;
    for (int i = 0; i < world->size; i++)
        if (!world->is_lost[i] && control->arrival[i].status > worst)
            worst = control->arrival[i].status;
    if (world->n_lost > 0 && world->failure > worst)
        worst = world->failure;
    tell_errors(world);
    status = check_leaving(world);
    if (status > worst)
        worst = status;
    notice.status = (int32_t)worst;
    hr_control_send_all(world, &notice);
    return worst;
}

/* The verdict of rank 0; without it, and without rank 0, each leaves by itself. */
static hr_status ask(hr_world *world, hr_wait *wait, const hr_arrival *mine)
{
    hr_control *control = world->control;
    hr_notice notice = {.kind = HR_NOTICE_ARRIVED,
                        .status = (int32_t)mine->status,
                        .is_leaving = mine->is_leaving,
                        .number = mine->number};

    if (mine->line[0] != '\0') {
        notice.body_bytes = (uint32_t)strlen(mine->line) + 1;
        memcpy(notice.body.line, mine->line, notice.body_bytes);
    }
    hr_control_send(world, 0, &notice);
    wait->peer = 0;
    while (can_talk(control) && control->verdict_number < mine->number &&
           !world->is_lost[0] && !world->is_lost[world->rank])
        HR_TRY(hr_wait_pause(wait));
    if (control->verdict_number < mine->number) {
        hr_log_speak_up();
        return world->failure;
    }
    hr_log_forget_error();
    return control->verdict;
}

hr_status hr_control_agree(hr_world *world, hr_status mine, bool is_leaving)
{
    hr_control *control = world->control;
    hr_arrival *arrival = &control->arrival[world->rank];
    hr_wait wait = hr_wait_begin(world, HR_TRAFFIC_OTHER);
    hr_status status;

    if (mine != HR_OK)
        hr_world_give_up(world, mine);
    wait.is_for_end = true;
    arrival->number = ++control->n_agreements;
    arrival->status = mine;
    arrival->is_leaving = is_leaving;
    arrival->line[0] = '\0';
    if (mine != HR_OK)
        hr_log_last_error(arrival->line);
    status = world->rank == 0 ? judge(world, &wait) : ask(world, &wait, arrival);
    hr_wait_end(&wait);
    if (world->rank == 0 && mine != HR_OK)
        hr_log_forget_error();
    if (status != HR_OK) {
        world->failure = status;
        world->has_told = true;
        world->is_agreed = true;
    }
    return status;
}
