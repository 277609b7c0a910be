/* Operators that move values about, against the reference loops; on each device of
 * HR_TEST_DEVICE. */
#include "support/op_case.h"
#include "support/test_util.h"

static const hr_dtype dtypes[2] = {HR_F32, HR_BF16};

static void gather_rows(void **state)
{
    static const int64_t list[][3] = {
        {1, 1, 1}, {7, 3, 5}, {100, 17, 24}, {33, 1513, 31}};

    (void)state;
    for (int i = 0; i < 16; i++) {
        const int64_t *s = list[i / 4];

        hr_case_run(gather_rows,
                    {.table = hr_case_random(dtypes[i % 2], HR_DIMS(s[0], s[2])),
                     .ids = hr_case_ids(s[1], (int32_t)s[0]),
                     .out = hr_case_empty(dtypes[i / 2 % 2], HR_DIMS(s[1], s[2]))});
        hr_case_clear(NULL);
    }
}

static void patches(void **state)
{
    static const struct {
        int64_t f, c, h, w, patch[3];
    } list[] = {
        {1, 1, 1, 1, {1, 1, 1}},    {1, 16, 4, 6, {1, 2, 2}}, {5, 16, 10, 8, {1, 2, 2}},
        {3, 7, 6, 9, {1, 2, 3}},    {4, 3, 5, 4, {2, 1, 2}},  {21, 5, 2, 2, {1, 2, 2}},
        {3, 16, 20, 36, {1, 2, 2}},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof list / sizeof list[0]; i++) {
        int64_t f = list[i / 2].f, c = list[i / 2].c, h = list[i / 2].h,
                w = list[i / 2].w;
        const int64_t *p = list[i / 2].patch;
        int64_t n = f / p[0] * (h / p[1]) * (w / p[2]), width = c * p[0] * p[1] * p[2];

        hr_case_run(patchify, {.x = hr_case_random(HR_F32, HR_DIMS(f, c, h, w)),
                               .out = hr_case_empty(dtypes[i % 2], HR_DIMS(n, width)),
                               .patch = {p[0], p[1], p[2]}});
        hr_case_run(unpatchify, {.x = hr_case_random(HR_F32, HR_DIMS(n, width)),
                                 .out = hr_case_empty(HR_F32, HR_DIMS(f, c, h, w)),
                                 .patch = {p[0], p[1], p[2]}});
        hr_case_clear(NULL);
    }
}

static void denormalize(void **state)
{
    static const int64_t list[][3] = {
        {1, 1, 1}, {16, 5, 7}, {48, 10, 9}, {5, 33, 2}, {16, 40, 44}};

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        const int64_t *s = list[i];
        hr_tensor inverse = hr_case_random(HR_F32, HR_DIMS(s[0]));
        float *values = inverse.data;

        for (int64_t c = 0; c < s[0]; c++)
            values[c] = 1.5F + 0.4F * values[c] / (1 + values[c] * values[c]);
        hr_case_run(denormalize,
                    {.x = hr_case_random(HR_F32, HR_DIMS(s[0], s[1], s[2])),
                     .inv_std = inverse,
                     .mean = hr_case_random(HR_F32, HR_DIMS(s[0])),
                     .out = hr_case_empty(HR_F32, HR_DIMS(1, s[1], s[2], s[0]))});
        hr_case_clear(NULL);
    }
}

static const int64_t pictures[][4] = {{1, 1, 1, 2},  {2, 3, 5, 6},  {1, 7, 4, 24},
                                      {3, 2, 2, 34}, {2, 5, 31, 8}, {2, 33, 31, 24}};
enum { N_PICTURES = sizeof pictures / sizeof pictures[0] };

static void upsample_and_split(void **state)
{
    (void)state;
    for (int i = 0; i < N_PICTURES; i++) {
        const int64_t *s = pictures[i];
        hr_tensor x = hr_case_random(HR_F32, 4, s);

        hr_case_run(upsample, {.x = x,
                               .out = hr_case_empty(
                                   HR_F32, HR_DIMS(s[0], 2 * s[1], 2 * s[2], s[3]))});
        hr_case_run(split_frames, {.x = x,
                                   .out = hr_case_empty(
                                       HR_F32, HR_DIMS(2 * s[0], s[1], s[2], s[3] / 2))});
        hr_case_clear(NULL);
    }
}

static void add_duplicated(void **state)
{
    /* x channels, out channels, ft, skip; the out channels times 4 ft are a multiple of
     * the others */
    static const int list[][4] = {
        {8, 8, 2, 1},  {8, 8, 2, 0}, {8, 4, 1, 0},  {6, 12, 2, 0}, {16, 4, 2, 1},
        {24, 6, 1, 0}, {4, 1, 1, 0}, {20, 5, 2, 0}, {32, 4, 2, 1}, {12, 24, 2, 1}};

    (void)state;
    for (size_t i = 0; i < 2 * sizeof list / sizeof list[0]; i++) {
        const int *s = list[i / 2];
        int64_t t = i % 2 == 0 ? 1 : 3, h = i % 2 == 0 ? 3 : 17, w = 15;
        int64_t frames = t * s[2] - s[3];

        hr_case_run(add_duplicated,
                    {.x = hr_case_random(HR_F32, HR_DIMS(t, h, w, s[0])),
                     .out = hr_case_random(HR_F32, HR_DIMS(frames, 2 * h, 2 * w, s[1])),
                     .ft = s[2],
                     .skip = s[3]});
        hr_case_clear(NULL);
    }
}

static void to_rgb(void **state)
{
    (void)state;
    for (int patch = 1; patch <= 4; patch++) {
        int64_t p = patch;
        hr_tensor x = hr_case_random(HR_F32, HR_DIMS(2, 35, 57, 3 * p * p));

        hr_case_scale(&x, 0.8F); /* some beyond -1 and 1 */
        hr_case_run(to_rgb, {.x = x,
                             .out = hr_case_empty(HR_F32, HR_DIMS(2, 35 * p, 57 * p, 3)),
                             .patch = patch});
        hr_case_clear(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(gather_rows, hr_case_clear),
        cmocka_unit_test_teardown(patches, hr_case_clear),
        cmocka_unit_test_teardown(denormalize, hr_case_clear),
        cmocka_unit_test_teardown(upsample_and_split, hr_case_clear),
        cmocka_unit_test_teardown(add_duplicated, hr_case_clear),
        cmocka_unit_test_teardown(to_rgb, hr_case_clear),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
