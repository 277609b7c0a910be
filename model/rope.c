#include "model/rope.h"

#include "base/log.h"
#include "base/memory.h"

#include <math.h>

/* The channels of a head that each axis rotates (wan-spec 3.5). */
static void split_head(int64_t head_dim, int64_t axis_dim[3])
{
    axis_dim[1] = axis_dim[2] = 2 * (head_dim / 6);
    axis_dim[0] = head_dim - 2 * axis_dim[1];
}

/* Cosines and sines of one axis into its columns of the tables of all tokens. The angle
 * is position x 1 / 10000^(2j / dim) in float64, as the reference, and rounded once. */
static void fill_axis(const int64_t grid[3], int axis, int64_t dim, int64_t width,
                      float *const table[2])
{
    int64_t inner = 1, n_tokens = grid[0] * grid[1] * grid[2];

    for (int i = axis + 1; i < 3; i++)
        inner *= grid[i];
    for (int64_t j = 0; j < dim / 2; j++) {
        double theta = 1.0 / pow(10000.0, (double)(2 * j) / (double)dim);

        for (int64_t p = 0; p < grid[axis]; p++) {
            float c = (float)cos((double)p * theta), s = (float)sin((double)p * theta);

            for (int64_t block = p * inner; block < n_tokens; block += grid[axis] * inner)
                for (int64_t t = block; t < block + inner; t++) {
                    table[0][t * width + j] = c;
                    table[1][t * width + j] = s;
                }
        }
    }
}

static hr_status fill_tables(const hr_rope *rope, int64_t head_dim, hr_stream *stream)
{
    int64_t axis_dim[3], width = head_dim / 2, column = 0;
    float *cosines, *sines;
    size_t n = (size_t)hr_tensor_count(&rope->cos), bytes;
    void *memory;
    hr_status status;

    HR_TRY(hr_size_mul(n, 2 * sizeof(float), &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "rotation tables", &memory));
    cosines = memory;
    sines = cosines + n;
    split_head(head_dim, axis_dim);
    for (int axis = 0; axis < 3; axis++) {
        float *const table[2] = {cosines + column, sines + column};

        fill_axis(rope->grid, axis, axis_dim[axis], width, table);
        column += axis_dim[axis] / 2;
    }
    status = hr_copy_to_device(stream, &rope->cos, cosines);
    if (status == HR_OK)
        status = hr_copy_to_device(stream, &rope->sin, sines);
    if (status == HR_OK)
        status = hr_stream_sync(stream);
    hr_free(memory);
    return status;
}

/* Patches along each axis. */
static hr_status make_grid(const hr_transformer_config *config, const int64_t size[3],
                           int64_t grid[3])
{
    static const char *const axis_name[3] = {"frames", "height", "width"};

    for (int i = 0; i < 3; i++) {
        if (size[i] < 1 || size[i] % config->patch[i] != 0)
            return hr_fail(
                HR_ERR_ARG,
                "latent %s: found %lld, expected a multiple of the model's patch "
                "size, %lld",
                axis_name[i], (long long)size[i], (long long)config->patch[i]);
        grid[i] = size[i] / config->patch[i];
        if (grid[i] > config->rope_max)
            return hr_fail(
                HR_ERR_ARG,
                "latent %s: found %lld, expected at most %lld: the model knows "
                "no more positions",
                axis_name[i], (long long)size[i],
                (long long)(config->rope_max * config->patch[i]));
    }
    return HR_OK;
}

static hr_status create_tables(hr_rope *rope, const hr_transformer_config *config,
                               hr_stream *stream)
{
    hr_device *device = hr_stream_device(stream);
    int64_t n_tokens = rope->grid[0] * rope->grid[1] * rope->grid[2];
    int64_t width = config->head_dim / 2;

    HR_TRY(hr_tensor_create(device, HR_F32, HR_DIMS(n_tokens, width), &rope->cos));
    HR_TRY(hr_tensor_create(device, HR_F32, HR_DIMS(n_tokens, width), &rope->sin));
    return hr_device_is_dry(device) ? HR_OK : fill_tables(rope, config->head_dim, stream);
}

hr_status hr_rope_create(const hr_transformer_config *config, hr_stream *stream,
                         int64_t frames, int64_t height, int64_t width, hr_rope **out)
{
    hr_rope *rope;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *rope, "rotation tables", &memory));
    rope = memory;
    status = make_grid(config, (const int64_t[]){frames, height, width}, rope->grid);
    if (status == HR_OK)
        status = create_tables(rope, config, stream);
    if (status != HR_OK) {
        hr_rope_destroy(rope);
        return status;
    }
    *out = rope;
    return HR_OK;
}

void hr_rope_destroy(hr_rope *rope)
{
    if (rope == NULL)
        return;
    hr_tensor_free(&rope->cos);
    hr_tensor_free(&rope->sin);
    hr_free(rope);
}
