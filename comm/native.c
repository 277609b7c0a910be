#include "comm/native.h"

#include "comm/inside.h"
#include "comm/transport.h"

const void *hr_world_native_comm(const hr_world *world)
{
    return world->transport == NULL ? NULL : hr_transport_native(world->transport);
}
