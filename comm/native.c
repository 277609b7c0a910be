#include "comm/native.h"

#include "base/clock.h"
#include "comm/inside.h"
#include "comm/transport.h"

/* A rank that has died may have done its part before: the others may be through. */
static const double patience_seconds = 1;

const void *hr_world_native_comm(const hr_world *world)
{
    return world->transport == NULL ? NULL : hr_transport_native(world->transport);
}

void hr_world_native_begin(hr_world *world)
{
    atomic_store(&world->native_seconds, hr_clock_seconds());
}

void hr_world_native_end(hr_world *world)
{
    atomic_store(&world->native_seconds, 0.0);
}

hr_status hr_world_native_agree(hr_world *world, hr_status mine)
{
    int worst = (int)mine;

    if (world->transport == NULL)
        return mine;
    if (world->n_lost > 0) /* one would not come */
        return world->failure;
    hr_world_native_begin(world);
    mine = hr_transport_native_max(world->transport, &worst);
    hr_world_native_end(world);
    return mine != HR_OK ? mine : (hr_status)worst;
}

bool hr_world_native_is_stuck(const hr_world *world, int *rank)
{
    const double since = atomic_load(&world->native_seconds);
    const double waited = since > 0 ? hr_clock_seconds() - since : 0;

    if (waited < patience_seconds)
        return false;
    *rank = hr_world_find_lost(world);
    return *rank >= 0 || waited > world->deadline_seconds;
}
