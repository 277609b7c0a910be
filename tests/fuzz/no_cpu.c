/* In place of the backends that compute: the dry device asks the cpu one, and nobody asks
 * another. It knows no kernels and measures nothing. */
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

static hr_status create_stream(hr_stream *stream)
{
    (void)stream;
    return HR_OK;
}

static void destroy_stream(hr_stream *stream)
{
    (void)stream;
}

static hr_status sync_stream(hr_stream *stream)
{
    (void)stream;
    return HR_OK;
}

static hr_status pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed)
{
    (void)stream;
    (void)weight;
    packed->bytes = 0;
    return HR_OK;
}

static void unpack(hr_packed *packed)
{
    (void)packed;
}

#define DEFINE_OP(name, n_tensors)                                                       \
    static hr_status do_##name(hr_stream *stream, const hr_##name##_args *args)          \
    {                                                                                    \
        (void)stream;                                                                    \
        (void)args;                                                                      \
        return HR_OK;                                                                    \
    }
HR_OP_LIST(DEFINE_OP)

const hr_backend hr_backend_cpu = {.name = "cpu",
                                   .open = open_device,
                                   .close = close_device,
                                   .stream_create = create_stream,
                                   .stream_destroy = destroy_stream,
                                   .stream_sync = sync_stream,
                                   .pack = pack,
                                   .unpack = unpack,
#define SLOT(name, n_tensors) .name = do_##name,
                                   HR_OP_LIST(SLOT)
#undef SLOT
};
const hr_backend hr_backend_strict = {
    .name = "strict", .open = open_device, .close = close_device};
