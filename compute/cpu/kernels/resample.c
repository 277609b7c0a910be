/* Moving elements about: patches, frames, pixels. */
#include "compute/cpu/kernels/level.h"

static inline float get(const hr_tensor *t, int64_t i)
{
    return ((const float *)t->data)[i];
}

static inline void put(const hr_tensor *t, int64_t i, float value)
{
    if (t->dtype == HR_F32)
        ((float *)t->data)[i] = value;
    else
        ((uint16_t *)t->data)[i] = hr_f32_to_bf16(value);
}

void HR_LEVEL_NAME(hr_cpu_patchify)(const void *op, int64_t first, int64_t last)
{
    const hr_patchify_args *args = op;
    int64_t pt = args->patch[0], ph = args->patch[1], pw = args->patch[2];
    int64_t channels = args->x.dim[1], height = args->x.dim[2], width = args->x.dim[3];

    for (int64_t token = first; token < last; token++) {
        int64_t across = width / pw, down = height / ph;
        int64_t x = token % across * pw, y = token / across % down * ph;
        int64_t f = token / across / down * pt;
        int64_t to = token * channels * pt * ph * pw;

        for (int64_t i = 0; i < channels * pt * ph * pw; i++) {
            int64_t dx = i % pw, dy = i / pw % ph, df = i / pw / ph % pt;
            int64_t c = i / pw / ph / pt;

            put(&args->out, to + i,
                get(&args->x,
                    (((f + df) * channels + c) * height + y + dy) * width + x + dx));
        }
    }
}

void HR_LEVEL_NAME(hr_cpu_unpatchify)(const void *op, int64_t first, int64_t last)
{
    const hr_unpatchify_args *args = op;
    int64_t pt = args->patch[0], ph = args->patch[1], pw = args->patch[2];
    int64_t channels = args->out.dim[1], height = args->out.dim[2];
    int64_t width = args->out.dim[3];

    for (int64_t token = first; token < last; token++) {
        int64_t across = width / pw, down = height / ph;
        int64_t x = token % across * pw, y = token / across % down * ph;
        int64_t f = token / across / down * pt;
        int64_t from = token * channels * pt * ph * pw;

        for (int64_t i = 0; i < channels * pt * ph * pw; i++) {
            int64_t c = i % channels, dx = i / channels % pw;
            int64_t dy = i / channels / pw % ph, df = i / channels / pw / ph;

            put(&args->out,
                (((f + df) * channels + c) * height + y + dy) * width + x + dx,
                get(&args->x, from + i));
        }
    }
}

/* A unit is a pixel of out, here and below. */
void HR_LEVEL_NAME(hr_cpu_denormalize)(const void *op, int64_t first, int64_t last)
{
    const hr_denormalize_args *args = op;
    int64_t channels = hr_tensor_width(&args->out), pixels = hr_tensor_rows(&args->out);

    for (int64_t pixel = first; pixel < last; pixel++)
        for (int64_t c = 0; c < channels; c++)
            put(&args->out, pixel * channels + c,
                get(&args->x, c * pixels + pixel) / get(&args->inv_std, c) +
                    get(&args->mean, c));
}

void HR_LEVEL_NAME(hr_cpu_upsample)(const void *op, int64_t first, int64_t last)
{
    const hr_upsample_args *args = op;
    int64_t height = args->out.dim[1], width = args->out.dim[2], n = args->out.dim[3];

    for (int64_t pixel = first; pixel < last; pixel++) {
        int64_t x = pixel % width, y = pixel / width % height;
        int64_t t = pixel / width / height;
        int64_t from = (t * (height / 2) + y / 2) * (width / 2) + x / 2;

        memcpy(element(&args->out, pixel * n), element(&args->x, from * n),
               (size_t)n * sizeof(float));
    }
}

void HR_LEVEL_NAME(hr_cpu_split_frames)(const void *op, int64_t first, int64_t last)
{
    const hr_split_frames_args *args = op;
    int64_t n = args->out.dim[3], area = args->out.dim[1] * args->out.dim[2];

    for (int64_t pixel = first; pixel < last; pixel++) {
        int64_t frame = pixel / area, place = pixel % area;
        int64_t from = (frame / 2 * area + place) * 2 * n + frame % 2 * n;

        memcpy(element(&args->out, pixel * n), element(&args->x, from),
               (size_t)n * sizeof(float));
    }
}

void HR_LEVEL_NAME(hr_cpu_add_duplicated)(const void *op, int64_t first, int64_t last)
{
    const hr_add_duplicated_args *args = op;
    int64_t height = args->out.dim[1], width = args->out.dim[2], n = args->out.dim[3];
    int64_t channels = args->x.dim[3], ft = args->ft, repeats = n * ft * 4 / channels;

    for (int64_t pixel = first; pixel < last; pixel++) {
        int64_t x = pixel % width, y = pixel / width % height;
        int64_t frame = pixel / width / height + args->skip;
        int64_t part = (frame % ft * 2 + y % 2) * 2 + x % 2;
        int64_t from =
            ((frame / ft * (height / 2) + y / 2) * (width / 2) + x / 2) * channels;

        for (int64_t o = 0; o < n; o++)
            put(&args->out, pixel * n + o,
                get(&args->out, pixel * n + o) +
                    get(&args->x, from + (o * ft * 4 + part) / repeats));
    }
}

static inline float clamped(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

void HR_LEVEL_NAME(hr_cpu_to_rgb)(const void *op, int64_t first, int64_t last)
{
    const hr_to_rgb_args *args = op;
    int64_t p = args->patch, height = args->out.dim[1], width = args->out.dim[2];

    for (int64_t pixel = first; pixel < last; pixel++) {
        int64_t x = pixel % width, y = pixel / width % height;
        int64_t t = pixel / width / height;
        int64_t from = ((t * (height / p) + y / p) * (width / p) + x / p) * 3 * p * p;

        for (int64_t c = 0; c < 3; c++) {
            float v = get(&args->x, from + (c * p + x % p) * p + y % p);

            put(&args->out, pixel * 3 + c,
                clamped(clamped(v, -1, 1) * 0.5F + 0.5F, 0, 1));
        }
    }
}
