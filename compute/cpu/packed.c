/* Weights of linear and conv, cut into pieces and packed. */
#include "base/log.h"
#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <stdatomic.h>

enum {
    MAX_COLUMNS = 256, /* of a piece: with 128 rows, a product that the L2 holds */
    DIRECT_CHANNELS = 48
};

static int64_t ceil_div(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

/* Columns are cut evenly, in multiples of the widest register block. */
static int64_t width_of_pieces(int64_t columns)
{
    int64_t pieces = ceil_div(columns, MAX_COLUMNS);

    return ceil_div(ceil_div(columns, pieces), 32) * 32;
}

/* oneDNN's direct kernels are the best as long as what they read of the weight for 32
 * channels of the result stays near the L1; bands of other numbers of channels would
 * begin at places where 2.6's SSE4.1 kernels cannot add. */
static bool is_direct(const hr_packed *packed)
{
    const int64_t *dim = packed->dim;

    return packed->kind == HR_PACKED_CONV && dim[3] * dim[4] > 1 &&
           dim[1] <= DIRECT_CHANNELS && dim[0] % 8 == 0 && dim[1] % 8 == 0;
}

/* For each of `rows` rows [depth, inner] of elements, the transposed. */
static void transpose(char *to, const char *from, size_t rows, size_t depth, size_t inner,
                      size_t size)
{
    for (size_t r = 0; r < rows; r++, from += depth * inner * size)
        for (size_t i = 0; i < inner; i++)
            for (size_t d = 0; d < depth; d++, to += size)
                memcpy(to, from + (d * inner + i) * size, size);
}

/* Step `i` in time of a direct convolution's weight: [co, ci, kh, kw]. */
static void copy_time_step(const hr_packed *packed, const char *weight, int i, char *to)
{
    const int64_t *dim = packed->dim;
    size_t step = (size_t)(dim[3] * dim[4]) * hr_dtype_size(packed->dtype);
    size_t n = (size_t)(dim[0] * dim[1]), steps = (size_t)dim[2];

    for (size_t j = 0; j < n; j++)
        memcpy(to + j * step, weight + (j * steps + (size_t)i) * step, step);
}

/* `rows` rows of `bytes`, `stride` apart, side by side. */
static void gather(char *to, const char *from, size_t rows, size_t bytes, size_t stride)
{
    for (size_t r = 0; r < rows; r++)
        memcpy(to + r * bytes, from + r * stride, bytes);
}

/* A piece, dense, in `room` or where it lies: its columns of linear as they are; of an
 * unfolded conv [columns, kt, kh, kw, ci]; of a direct one a step in time. */
static const void *plain_piece(const hr_packed *packed, const void *weight, int i,
                               int64_t columns, char *room)
{
    const hr_cpu_packed *state = packed->state;
    size_t size = hr_dtype_size(packed->dtype), channels = (size_t)packed->dim[1];
    size_t positions = 1, in_shards = (size_t)state->in_shards;
    const char *from = weight;

    if (state->direct) {
        copy_time_step(packed, weight, i, room);
        return room;
    }
    for (int d = 2; d < packed->n_dims; d++)
        positions *= (size_t)packed->dim[d];
    from +=
        (size_t)hr_cpu_piece_column(state, i % state->n) * channels * positions * size;
    if (in_shards > 1) {
        size_t bytes = channels / in_shards * size;

        gather(room, from + (size_t)(i / state->n) * bytes, (size_t)columns, bytes,
               channels * size);
        return room;
    }
    if (positions == 1)
        return from;
    transpose(room, from, (size_t)columns, channels, positions, size);
    return room;
}

/* Rows of the matrix: what a column sums up. */
static int64_t depth_of(const hr_packed *packed)
{
    int64_t depth = 1;

    for (int i = 1; i < packed->n_dims; i++)
        depth *= packed->dim[i];
    return depth;
}

static hr_onednn_shape shape_of_piece(const hr_packed *packed, const hr_cpu_packed *state,
                                      int i)
{
    hr_onednn_shape shape = {.c_in = depth_of(packed) / state->in_shards,
                             .c_out = packed->dim[0],
                             .kernel_height = 1,
                             .kernel_width = 1,
                             .dtype = (int32_t)state->dtype};

    if (state->direct) {
        shape.c_in = packed->dim[1];
        shape.kernel_height = packed->dim[3];
        shape.kernel_width = packed->dim[4];
    } else {
        shape.c_out = hr_cpu_piece_columns(state, i % state->n);
    }
    return shape;
}

/* `room` holds the elements of a piece twice. */
static hr_status pack_piece(const hr_packed *packed, const hr_tensor *weight, int i,
                            char *room)
{
    hr_cpu_packed *state = packed->state;
    hr_cpu *cpu = packed->device->state;
    hr_onednn_shape shape = shape_of_piece(packed, state, i);
    size_t n =
        (size_t)(shape.c_out * shape.c_in * shape.kernel_height * shape.kernel_width);
    const void *plain;

    if (packed->device->measures)
        return hr_onednn_pack(cpu->onednn, &shape, NULL, &state->piece[i]);
    plain = plain_piece(packed, weight->data, i, shape.c_out, room);
    if (packed->dtype != state->dtype) {
        char *wide = room + n * sizeof(float);

        hr_dtype_convert(wide, state->dtype, plain, packed->dtype, n);
        plain = wide;
    }
    return hr_onednn_pack(cpu->onednn, &shape, plain, &state->piece[i]);
}

/* bf16 weights are multiplied as such where the machine has instructions for it and
 * oneDNN has kernels for their shape. */
static hr_status choose_dtype(hr_device *device, const hr_packed *packed,
                              hr_cpu_packed *state)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    const hr_cpu *cpu = device->state;
    hr_onednn_shape shape;
    bool is_fast = false;

    state->dtype = packed->dtype;
    if (packed->dtype != HR_BF16)
        return HR_OK;
    shape = shape_of_piece(packed, state, 0);
    if (device->has_bf16)
        HR_TRY(hr_onednn_is_fast(cpu->onednn, &shape, &is_fast));
    if (is_fast)
        return HR_OK;
    state->dtype = HR_F32;
    if (!atomic_flag_test_and_set(&told))
        hr_info("device cpu: multiplies bf16 values in fp32: as exact, but slower than "
                "processors with AVX512_BF16");
    return HR_OK;
}

static hr_status pack_pieces(hr_stream *stream, const hr_tensor *weight,
                             hr_packed *packed)
{
    hr_cpu_packed *state = packed->state;
    size_t elements = (size_t)(depth_of(packed) * state->piece_width);
    void *room;

    HR_TRY(hr_cpu_scratch(stream, 2 * sizeof(float) * elements, &room));
    for (int i = 0; i < state->n_pieces; i++)
        HR_TRY(pack_piece(packed, weight, i, room));
    return HR_OK;
}

static void destroy_pieces(const hr_packed *packed)
{
    const hr_cpu *cpu = packed->device->state;
    hr_cpu_packed *state = packed->state;

    for (int i = 0; i < state->n_pieces; i++)
        hr_onednn_weight_destroy(cpu->onednn, state->piece[i]);
    hr_free(state);
}

/* Says how the columns and shards are cut. */
static void cut(const hr_packed *packed, hr_cpu_packed *out)
{
    const hr_shards *shards = &packed->shards;
    bool by_in = shards->axis == HR_SHARDS_BY_IN;
    int out_shards = by_in ? 1 : shards->n;

    out->in_shards = by_in ? shards->n : 1;
    out->shard_width = packed->dim[0] / out_shards;
    out->direct = is_direct(packed);
    out->piece_width = out->direct ? out->shard_width : width_of_pieces(out->shard_width);
    out->per_shard = (int)ceil_div(out->shard_width, out->piece_width);
    out->n = out->per_shard * out_shards;
    out->n_of_matrix = out->per_shard * (by_in ? 1 : shards->total);
    out->n_pieces = out->direct ? (int)packed->dim[2] : out->n * out->in_shards;
}

/* All that is decided without the weight's values: how it is cut, its dtype and bytes. */
static hr_status plan_pieces(hr_device *device, const hr_packed *packed,
                             hr_cpu_packed *out, size_t *bytes)
{
    const hr_cpu *cpu = device->state;
    size_t of_piece;

    cut(packed, out);
    HR_TRY(choose_dtype(device, packed, out));
    *bytes = 0;
    for (int i = 0; i < out->n_pieces; i++) {
        hr_onednn_shape shape = shape_of_piece(packed, out, i);

        HR_TRY(hr_onednn_weight_bytes(cpu->onednn, &shape, &of_piece));
        *bytes += of_piece;
    }
    return HR_OK;
}

hr_status hr_cpu_pack(hr_stream *stream, const hr_tensor *weight, hr_packed *packed)
{
    hr_cpu_packed plan = {0};
    hr_cpu_packed *state;
    void *memory;
    hr_status status;

    HR_TRY(plan_pieces(packed->device, packed, &plan, &packed->bytes));
    HR_TRY(
        hr_alloc_or_fail(sizeof *state + (size_t)plan.n_pieces * sizeof state->piece[0],
                         "packed weights", &memory));
    state = memory;
    *state = plan;
    packed->state = state;
    status = pack_pieces(stream, weight, packed);
    if (status != HR_OK) {
        destroy_pieces(packed);
        packed->state = NULL;
        return status;
    }
    hr_device_count_bytes(packed->device, (int64_t)packed->bytes);
    return HR_OK;
}

void hr_cpu_unpack(hr_packed *packed)
{
    destroy_pieces(packed);
    hr_device_count_bytes(packed->device, -(int64_t)packed->bytes);
}
