/* Weights of linear and conv, cut into pieces and packed. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"

enum {
    MAX_COLUMNS = 256 /* of a linear piece: with 128 rows, a product that the L2 holds */
};

static int64_t ceil_div(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

/* Columns are cut evenly, in multiples of the widest register block. */
static int64_t linear_width(int64_t columns)
{
    int64_t pieces = ceil_div(columns, MAX_COLUMNS);

    return ceil_div(ceil_div(columns, pieces), 32) * 32;
}

/* What a weight is multiplied as: bf16 only where the machine has such products. */
static hr_dtype product_dtype(const hr_packed *packed)
{
    return packed->dtype == HR_BF16 && packed->device->has_bf16 ? HR_BF16 : HR_F32;
}

/* Elements of piece `i` of a conv weight [co, ci, kt, kh, kw]: step i in time. */
static void copy_time_step(const hr_packed *packed, const void *weight, size_t i,
                           char *to)
{
    size_t size = hr_dtype_size(packed->dtype);
    size_t kernel = (size_t)(packed->dim[3] * packed->dim[4]) * size;
    size_t steps = (size_t)packed->dim[2], n = (size_t)(packed->dim[0] * packed->dim[1]);

    for (size_t j = 0; j < n; j++)
        memcpy(to + j * kernel, (const char *)weight + (j * steps + i) * kernel, kernel);
}

static hr_onednn_shape shape_of_piece(const hr_packed *packed, int i)
{
    const hr_cpu_packed *state = packed->state;
    hr_onednn_shape shape = {.c_in = packed->dim[1],
                             .c_out = packed->dim[0],
                             .kernel_height = 1,
                             .kernel_width = 1,
                             .dtype = (int32_t)product_dtype(packed)};
    int64_t left;

    if (packed->kind == HR_PACKED_CONV) {
        shape.kernel_height = packed->dim[3];
        shape.kernel_width = packed->dim[4];
    } else {
        left = packed->dim[0] - i * state->piece_width;
        shape.c_out = left < state->piece_width ? left : state->piece_width;
    }
    return shape;
}

/* `room` holds the elements of a piece twice. */
static hr_status pack_piece(const hr_packed *packed, const hr_tensor *weight, int i,
                            char *room)
{
    hr_cpu_packed *state = packed->state;
    hr_cpu *cpu = packed->device->state;
    hr_onednn_shape shape = shape_of_piece(packed, i);
    size_t n =
        (size_t)(shape.c_out * shape.c_in * shape.kernel_height * shape.kernel_width);
    const void *plain = room;

    if (packed->kind == HR_PACKED_CONV)
        copy_time_step(packed, weight->data, (size_t)i, room);
    else
        plain = (const char *)weight->data +
                (size_t)(i * state->piece_width * packed->dim[1]) *
                    hr_dtype_size(packed->dtype);
    if (packed->dtype == HR_BF16 && shape.dtype == HR_F32) {
        char *wide = room + n * sizeof(float);

        hr_dtype_convert(wide, HR_F32, plain, HR_BF16, n);
        plain = wide;
    }
    return hr_onednn_pack(cpu->onednn, &shape, plain, &state->piece[i]);
}

static hr_status pack_pieces(hr_stream *stream, const hr_tensor *weight,
                             hr_packed *packed)
{
    hr_cpu_packed *state = packed->state;
    size_t depth = (size_t)(hr_tensor_count(weight) / packed->dim[0]);
    size_t width = packed->kind == HR_PACKED_CONV ? (size_t)packed->dim[0]
                                                  : (size_t)state->piece_width;
    void *room;

    HR_TRY(hr_cpu_scratch(stream, 2 * sizeof(float) * depth * width, &room));
    for (int i = 0; i < state->n; i++) {
        HR_TRY(pack_piece(packed, weight, i, room));
        packed->bytes += hr_onednn_weight_bytes(state->piece[i]);
    }
    return HR_OK;
}

static void destroy_pieces(hr_cpu_packed *state)
{
    for (int i = 0; i < state->n; i++)
        hr_onednn_weight_destroy(state->piece[i]);
    hr_free(state);
}

hr_status hr_cpu_pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed)
{
    int64_t width = linear_width(packed->dim[0]);
    int n = packed->kind == HR_PACKED_CONV ? (int)packed->dim[2]
                                           : (int)ceil_div(packed->dim[0], width);
    hr_cpu_packed *state;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *state + (size_t)n * sizeof state->piece[0],
                            "packed weights", &memory));
    state = memory;
    state->n = n;
    state->piece_width = width;
    packed->state = state;
    packed->bytes = 0;
    status = pack_pieces(stream, weight, packed);
    if (status != HR_OK) {
        destroy_pieces(state);
        packed->state = NULL;
        return status;
    }
    hr_device_count_bytes(packed->device, (int64_t)packed->bytes);
    return HR_OK;
}

void hr_cpu_unpack(hr_packed *packed)
{
    destroy_pieces(packed->state);
    hr_device_count_bytes(packed->device, -(int64_t)packed->bytes);
}
