/* In place of the backends that compute: the dry device asks the cpu one for its
 * properties, and nothing else of them is used. */
#include "compute/backend.h"

static hr_status open_device(hr_device *device, const hr_device_options *options)
{
    (void)options;
    device->threads = 1;
    device->isa = HR_ISA_AVX2;
    return HR_OK;
}

static void close_device(hr_device *device)
{
    (void)device;
}

const hr_backend hr_backend_cpu = {
    .name = "cpu", .open = open_device, .close = close_device};
const hr_backend hr_backend_strict = {
    .name = "strict", .open = open_device, .close = close_device};
