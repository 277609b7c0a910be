#include "comm/world.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "comm/inside.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double default_deadline_seconds = 600;

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
        hr_world_close(world);
        return hr_fail(HR_ERR_NOMEM, "out of memory: a world of %d ranks", size);
    }
    *out = world;
    return HR_OK;
}

/* Numbers hosts and the ranks on them, from the names. */
static void number_hosts(hr_world *world)
{
    for (int i = 0; i < world->size; i++) {
        hr_rank_info *mine = &world->info[i];
        int first = 0;

        while (strcmp(world->info[first].host, mine->host) != 0)
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

static hr_status open_alone(hr_world **out)
{
    hr_world *world = NULL;
    hr_status status;

    HR_TRY(create(0, 1, &world));
    if (gethostname(world->info[0].host, HR_HOST_NAME_BYTES - 1) != 0)
        snprintf(world->info[0].host, HR_HOST_NAME_BYTES, "this host");
    world->info[0].pid = getpid();
    number_hosts(world);
    status = hr_group_create_all(world, &world->all);
    if (status == HR_OK)
        *out = world;
    else
        hr_world_close(world);
    return status;
}

hr_status hr_world_open(hr_world **out)
{
    return open_alone(out);
}

hr_status hr_world_open_pretended(int rank, int size, int ranks_per_host, hr_world **out)
{
    hr_world *world = NULL;
    hr_status status;

    HR_ASSERT(rank >= 0 && rank < size && ranks_per_host > 0);
    HR_TRY(create(rank, size, &world));
    world->is_pretended = true;
    for (int i = 0; i < size; i++)
        snprintf(world->info[i].host, HR_HOST_NAME_BYTES, "host-%d", i / ranks_per_host);
    number_hosts(world);
    status = hr_group_create_all(world, &world->all);
    if (status == HR_OK)
        *out = world;
    else
        hr_world_close(world);
    return status;
}

void hr_world_close(hr_world *world)
{
    if (world == NULL)
        return;
    hr_group_destroy(world->all);
    hr_free(world->info);
    hr_free(world->reports);
    hr_free(world->report_seconds);
    hr_free(world->is_lost);
    hr_free(world);
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
}

hr_status hr_world_recover(hr_world *world)
{
    world->failure = HR_OK;
    world->epoch++;
    world->all->epoch = world->epoch;
    return HR_OK;
}

hr_status hr_group_agree(hr_group *group, hr_status mine)
{
    HR_ASSERT(group == group->world->all);
    if (mine != HR_OK)
        hr_world_give_up(group->world, mine);
    return mine;
}

void hr_world_report(hr_world *world, const hr_report *report)
{
    world->reports[world->rank] = *report;
    world->report_seconds[world->rank] = hr_clock_seconds();
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
    (void)world;
    return HR_OK;
}

int hr_world_find_lost(const hr_world *world)
{
    (void)world;
    return -1;
}

hr_status hr_world_progress(hr_world *world)
{
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
