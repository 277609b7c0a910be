#include "comm/world.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/control_inside.h"
#include "comm/wire.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double default_deadline_seconds = 600;

static void close_locally(hr_world *world, bool is_orderly)
{
    if (world == NULL)
        return;
    hr_wire_free_orphans(world, true);
    hr_control_close(world, is_orderly);
    hr_transport_end(world->transport, is_orderly);
    hr_group_destroy(world->all);
    hr_free(world->info);
    hr_free(world->reports);
    hr_free(world->report_seconds);
    hr_free(world->is_lost);
    hr_free(world);
}

static hr_status create(int rank, int size, hr_world **out)
{
    hr_world *world = hr_alloc(sizeof *world);
    size_t n = (size_t)size;

    if (world != NULL) {
        world->rank = rank;
        world->size = size;
        world->next_channel = 1;
        world->deadline_seconds = default_deadline_seconds;
        world->info = hr_alloc(n * sizeof *world->info);
        world->reports = hr_alloc(n * sizeof *world->reports);
        world->report_seconds = hr_alloc(n * sizeof *world->report_seconds);
        world->is_lost = hr_alloc(n * sizeof *world->is_lost);
    }
    if (world == NULL || world->info == NULL || world->reports == NULL ||
        world->report_seconds == NULL || world->is_lost == NULL) {
        close_locally(world, false);
        return hr_fail(HR_ERR_NOMEM, "out of memory: a world of %d ranks", size);
    }
    *out = world;
    return HR_OK;
}

/* Of the same name and, where that is known, with the same network: two containers may
 * have the name of the machine. */
static bool share_host(const hr_world *world, int a, int b)
{
    const hr_process *process = world->control == NULL ? NULL : world->control->process;

    return strcmp(world->info[a].host, world->info[b].host) == 0 &&
           (process == NULL || process[a].network == process[b].network);
}

/* Numbers hosts and the ranks on them. */
static void number_hosts(hr_world *world)
{
    for (int i = 0; i < world->size; i++) {
        hr_rank_info *mine = &world->info[i];
        int first = 0;

        while (!share_host(world, first, i))
            first++;
        mine->host_index = first < i ? world->info[first].host_index : world->n_hosts++;
        mine->local_index = world->info[first].n_local++;
    }
    for (int i = 0; i < world->size; i++)
        for (int j = 0; j < i; j++)
            if (world->info[j].host_index == world->info[i].host_index) {
                world->info[i].n_local = world->info[j].n_local;
                break;
            }
}

static void name_host(char out[HR_HOST_NAME_BYTES])
{
    if (gethostname(out, HR_HOST_NAME_BYTES - 1) != 0)
        snprintf(out, HR_HOST_NAME_BYTES, "unknown");
}

/* A world without a transport: its hosts are named. */
static hr_status finish(hr_world *world, hr_world **out)
{
    hr_status status = hr_group_create_all(world, &world->all);

    number_hosts(world);
    if (status == HR_OK)
        *out = world;
    else
        hr_world_close(world);
    return status;
}

hr_status hr_world_open_alone(hr_world **out)
{
    hr_world *world = NULL;

    HR_TRY(create(0, 1, &world));
    name_host(world->info[0].host);
    world->info[0].pid = getpid();
    return finish(world, out);
}

/* What ranks tell each other at the start. */
typedef struct facts {
    char host[HR_HOST_NAME_BYTES];
    hr_process process;
} facts;

static hr_status gather_facts(hr_world *world)
{
    facts mine = {.process = hr_process_self()}, *all;
    void *memory = NULL;
    hr_status status;

    HR_TRY(hr_alloc_or_fail((size_t)world->size * sizeof mine, "facts", &memory));
    all = memory;
    name_host(mine.host);
    status = hr_group_all_gather(world->all, &mine, sizeof mine, all);
    for (int i = 0; i < world->size && status == HR_OK; i++) {
        memcpy(world->info[i].host, all[i].host, sizeof all[i].host);
        world->info[i].pid = all[i].process.pid;
        world->control->process[i] = all[i].process;
        world->control->is_watched[i] =
            i != world->rank && hr_process_is_visible(&all[i].process);
    }
    hr_free(all);
    return status;
}

/* Local: what the ranks need to speak to each other. */
static hr_status prepare(hr_transport *transport, hr_world **out)
{
    HR_TRY(create(hr_transport_rank(transport), hr_transport_size(transport), out));
    (*out)->transport = transport;
    HR_TRY(hr_control_open(*out));
    return hr_group_create_all(*out, &(*out)->all);
}

static hr_status open_launched(hr_world **out)
{
    hr_transport *transport = NULL;
    hr_world *world = NULL;
    hr_status status;

    HR_TRY(hr_transport_start(&transport));
    status = hr_transport_agree(prepare(transport, &world));
    if (status == HR_OK) /* one that fails right afterwards does not end it for others */
        status = hr_control_agree(world, gather_facts(world), false);
    if (status != HR_OK) {
        hr_log_speak_up();
        if (world == NULL)
            hr_transport_end(transport, false);
        close_locally(world, false);
        return status;
    }
    number_hosts(world);
    world->traffic = (hr_traffic_stats){0};
    *out = world;
    return HR_OK;
}

hr_status hr_world_open(hr_world **out)
{
    return hr_process_was_launched() ? open_launched(out) : hr_world_open_alone(out);
}

hr_status hr_world_open_pretended(int rank, int size, int ranks_per_host, hr_world **out)
{
    hr_world *world = NULL;

    HR_ASSERT(rank >= 0 && rank < size && ranks_per_host > 0);
    HR_TRY(create(rank, size, &world));
    world->is_pretended = true;
    for (int i = 0; i < size; i++)
        snprintf(world->info[i].host, HR_HOST_NAME_BYTES, "host-%d", i / ranks_per_host);
    return finish(world, out);
}

/* All ranks leave together, with nothing on its way; whether that has to be seen to first
 * is agreed on too, as not all may have heard of a failure. */
static bool is_end_orderly(hr_world *world)
{
    hr_status status = world->failure != HR_OK ? HR_ERR_CANCELLED : HR_OK;

    if (world->n_lost > 0 || world->all == NULL)
        return false;
    if (hr_transport_is_broken(world->transport))
        status = HR_ERR_DEVICE;
    status = hr_control_agree(world, status, true);
    if (status != HR_OK && status != HR_ERR_CANCELLED)
        return false;
    if (status != HR_OK && hr_world_recover(world) != HR_OK)
        return false;
    return hr_control_flush(world) == HR_OK;
}

void hr_world_close(hr_world *world)
{
    if (world == NULL)
        return;
    if (world->transport != NULL) {
        bool is_orderly = is_end_orderly(world);

        hr_log_speak_up();
        close_locally(world, is_orderly);
    } else {
        close_locally(world, true);
    }
}

hr_group *hr_world_group(hr_world *world)
{
    return world->all;
}

bool hr_world_is_pretended(const hr_world *world)
{
    return world->is_pretended;
}

const hr_rank_info *hr_world_rank_info(const hr_world *world, int rank)
{
    HR_ASSERT(rank >= 0 && rank < world->size);
    return &world->info[rank];
}

int hr_world_n_hosts(const hr_world *world)
{
    return world->n_hosts;
}

void hr_world_set_deadline(hr_world *world, double seconds)
{
    world->deadline_seconds = seconds;
}

void hr_world_give_up(hr_world *world, hr_status status)
{
    HR_ASSERT(status != HR_OK);
    if (world->failure == HR_OK)
        world->failure = status;
    if (world->control != NULL && !world->has_told)
        hr_control_give_up(world, world->failure);
    world->has_told = true;
}

hr_status hr_world_recover(hr_world *world)
{
    if (world->n_lost > 0)
        return world->failure;
    if (world->control != NULL) {
        HR_TRY(hr_control_drain(world));
        hr_wire_free_orphans(world, false);
    }
    world->failure = HR_OK;
    world->has_told = false;
    world->is_agreed = false;
    if (world->control != NULL) {
        world->failure = world->control->next_failure;
        world->has_told = world->failure != HR_OK;
        world->control->next_failure = HR_OK;
    }
    world->epoch++;
    hr_group_renew(world->all);
    return HR_OK;
}

void hr_world_report(hr_world *world, const hr_report *report)
{
    world->reports[world->rank] = *report;
    world->report_seconds[world->rank] = hr_clock_seconds();
    if (world->control == NULL)
        return;
    if (world->rank != 0 && !world->is_lost[0])
        hr_control_report(world, report);
    hr_control_sign(world);
}

bool hr_world_latest_report(const hr_world *world, int rank, hr_report *out, double *age)
{
    HR_ASSERT(rank >= 0 && rank < world->size);
    if (world->report_seconds[rank] == 0)
        return false;
    *out = world->reports[rank];
    *age = hr_clock_seconds() - world->report_seconds[rank];
    return true;
}

hr_status hr_world_check_silence(hr_world *world)
{
    const double now = hr_clock_seconds();

    for (int i = 0; i < world->size && world->control != NULL; i++)
        if (i != world->rank && world->report_seconds[i] > 0 && !world->is_lost[i] &&
            now - world->control->heard_seconds[i] > world->deadline_seconds)
            hr_control_lose(world, i, HR_ERR_TIMEOUT);
    return world->n_lost > 0 ? world->failure : HR_OK;
}

int hr_world_find_lost(const hr_world *world)
{
    for (int i = 0; i < world->size; i++) /* others may have left because of it */
        if (world->is_lost[i] && i != world->rank)
            return i;
    for (int i = 0; i < world->size && world->control != NULL; i++)
        if (world->control->is_watched[i] &&
            !hr_process_is_alive(&world->control->process[i]))
            return i;
    return -1;
}

hr_status hr_world_progress(hr_world *world)
{
    if (world->control != NULL) {
        hr_control_poll(world);
        hr_control_sign(world);
    }
    return world->failure;
}

const char *hr_traffic_name(hr_traffic traffic)
{
    static const char *const names[HR_TRAFFIC_COUNT] = {"halo", "stage", "tensor", "rows",
                                                        "other"};

    return (unsigned)traffic < HR_TRAFFIC_COUNT ? names[traffic] : "unknown";
}

hr_traffic_stats hr_world_traffic(const hr_world *world)
{
    return world->traffic;
}

void hr_world_reset_traffic(hr_world *world)
{
    world->traffic = (hr_traffic_stats){0};
}
