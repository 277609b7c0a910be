/* Norms and rotary positions against the reference loops; on each device of
 * HR_TEST_DEVICE. */
#include "support/op_case.h"
#include "support/test_util.h"

#include <math.h>

static const hr_dtype dtypes[2] = {HR_F32, HR_BF16};
static const int64_t widths[] = {1,  2,  3,  5,  7,   8,   15,  16,
                                 17, 31, 33, 96, 100, 128, 257, 2048};
enum { N_WIDTHS = sizeof widths / sizeof widths[0] };

static void kinds_and_widths(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * N_WIDTHS; i++) {
        int64_t width = widths[i / 3];
        hr_dtype in = dtypes[i / 2 % 2], out = dtypes[i % 2];
        hr_tensor weight = hr_case_random(HR_F32, HR_DIMS(width)), none = {0};
        hr_tensor bias = hr_case_random(HR_F32, HR_DIMS(width));

        hr_case_run(norm, {.x = hr_case_random(in, HR_DIMS(3, 5, width)),
                           .weight = i % 4 == 3 ? none : weight,
                           .bias = i % 5 < 2 ? bias : none,
                           .out = hr_case_empty(out, HR_DIMS(3, 5, width)),
                           .kind = (hr_norm_kind)(i % 3),
                           .eps = i % 3 == HR_NORM_L2 ? 1e-12F : 1e-6F,
                           .weight_plus_one = i % 7 < 3,
                           .activation = i % 6 < 2 ? HR_ACT_SILU : HR_ACT_NONE});
        hr_case_clear(NULL);
    }
}

static void shapes(void **state)
{
    (void)state;
    hr_case_run(norm, {.x = hr_case_random(HR_F32, HR_DIMS(24)),
                       .out = hr_case_empty(HR_F32, HR_DIMS(24)),
                       .kind = HR_NORM_RMS,
                       .eps = 1e-6F});
    hr_case_run(norm, {.x = hr_case_random(HR_F32, HR_DIMS(2, 3, 4, 5, 6)),
                       .out = hr_case_empty(HR_F32, HR_DIMS(2, 3, 4, 5, 6)),
                       .kind = HR_NORM_L2,
                       .eps = 1e-12F});
    hr_case_run(norm, {.x = hr_case_random(HR_F32, HR_DIMS(4127, 12)),
                       .out = hr_case_empty(HR_BF16, HR_DIMS(4127, 12)),
                       .kind = HR_NORM_LAYER,
                       .eps = 1e-6F});
}

static void in_place(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        hr_tensor x = hr_case_random(dtypes[i % 2], HR_DIMS(17, 40));

        hr_case_run(norm,
                    {.x = x, .out = x, .kind = (hr_norm_kind)(i / 2), .eps = 1e-6F});
    }
}

/* Rows of zeros, of one value, and far from zero: eps decides, or the variance cancels.
 */
static void difficult_rows(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        hr_tensor x = hr_case_random(HR_F32, HR_DIMS(4, 64));
        float *values = x.data;

        for (int k = 0; k < 64; k++) {
            values[k] = 0;
            values[64 + k] = 3;
            values[128 + k] += 10;
            values[192 + k] *= 1e-4F;
        }
        hr_case_run(norm, {.x = x,
                           .out = hr_case_empty(HR_F32, HR_DIMS(4, 64)),
                           .kind = (hr_norm_kind)i,
                           .eps = i == HR_NORM_L2 ? 1e-12F : 1e-6F});
        hr_case_clear(NULL);
    }
}

/* Parts of wider rows: the sums of squares are given. */
static void parts_of_rows(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_WIDTHS; i++) {
        int64_t width = widths[i / 2];
        hr_dtype in = dtypes[i / 2 % 2], out = dtypes[i % 2];
        hr_tensor squares = hr_case_random(HR_F32, HR_DIMS(7));

        for (int k = 0; k < 7; k++)
            ((float *)squares.data)[k] = fabsf(((float *)squares.data)[k]) * 100;
        hr_case_run(norm, {.x = hr_case_random(in, HR_DIMS(7, width)),
                           .weight = hr_case_random(HR_F32, HR_DIMS(width)),
                           .squares = squares,
                           .out = hr_case_empty(out, HR_DIMS(7, width)),
                           .kind = HR_NORM_RMS,
                           .eps = 1e-6F,
                           .squares_width = 3 * width});
        hr_case_clear(NULL);
    }
}

static void squares_of_rows(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_WIDTHS; i++)
        for (int n = 1; n <= 8; n *= 2) {
            int64_t width = n * widths[i / 2];

            hr_case_run(row_squares,
                        {.x = hr_case_random(dtypes[i % 2], HR_DIMS(5, width)),
                         .out = hr_case_empty(HR_F32, HR_DIMS(5)),
                         .n_shards = n});
            hr_case_clear(NULL);
        }
    hr_case_run(row_squares, {.x = hr_case_random(HR_F32, HR_DIMS(4127, 12)),
                              .out = hr_case_empty(HR_F32, HR_DIMS(4127)),
                              .n_shards = 4});
}

static void angles(int64_t rows, int64_t half, hr_tensor *c, hr_tensor *s)
{
    float *cosine, *sine;

    *c = hr_case_random(HR_F32, HR_DIMS(rows, half));
    *s = hr_case_random(HR_F32, HR_DIMS(rows, half));
    cosine = c->data;
    sine = s->data;
    for (int64_t i = 0; i < rows * half; i++) {
        float angle = 3 * cosine[i];

        cosine[i] = cosf(angle);
        sine[i] = sinf(angle);
    }
}

static void rope(void **state)
{
    static const int64_t list[][3] = {{1, 1, 2},   {5, 3, 12},  {7, 2, 20},  {9, 4, 24},
                                      {13, 1, 40}, {31, 2, 64}, {3, 5, 128}, {97, 4, 64}};

    (void)state;
    for (size_t i = 0; i < 4 * sizeof list / sizeof list[0]; i++) {
        const int64_t *dim = list[i / 4];
        hr_tensor x = hr_case_random(dtypes[i / 2 % 2], 3, dim), c, s;

        angles(dim[0], dim[2] / 2, &c, &s);
        hr_case_run(
            rope,
            {.x = x, .cos = c, .sin = s, .out = hr_case_empty(dtypes[i % 2], 3, dim)});
        hr_case_run(rope, {.x = x, .cos = c, .sin = s, .out = x});
        hr_case_clear(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(kinds_and_widths, hr_case_clear),
        cmocka_unit_test_teardown(shapes, hr_case_clear),
        cmocka_unit_test_teardown(in_place, hr_case_clear),
        cmocka_unit_test_teardown(difficult_rows, hr_case_clear),
        cmocka_unit_test_teardown(parts_of_rows, hr_case_clear),
        cmocka_unit_test_teardown(squares_of_rows, hr_case_clear),
        cmocka_unit_test_teardown(rope, hr_case_clear),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
