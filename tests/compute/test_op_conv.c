/* Convolutions against the reference loops; on each device of HR_TEST_DEVICE. */
#include "support/op_case.h"
#include "support/test_util.h"

typedef struct shape {
    int64_t t, h, w, c, co; /* input, output channels */
    int64_t kt, kh, kw;
    int top, bottom, left, right;
} shape;

static void run(const shape *s, bool bias, bool accumulate, bool flat)
{
    int64_t out[4] = {s->t - s->kt + 1, s->h + s->top + s->bottom - s->kh + 1,
                      s->w + s->left + s->right - s->kw + 1, s->co};
    hr_tensor weight =
        flat ? hr_case_random(HR_F32, HR_DIMS(s->co, s->c, s->kh, s->kw))
             : hr_case_random(HR_F32, HR_DIMS(s->co, s->c, s->kt, s->kh, s->kw));
    hr_tensor none = {0};

    hr_case_run_weight(conv, &weight,
                       {.x = hr_case_random(HR_F32, HR_DIMS(s->t, s->h, s->w, s->c)),
                        .bias = bias ? hr_case_random(HR_F32, HR_DIMS(s->co)) : none,
                        .out = accumulate ? hr_case_random(HR_F32, 4, out)
                                          : hr_case_empty(HR_F32, 4, out),
                        .pad_top = s->top,
                        .pad_bottom = s->bottom,
                        .pad_left = s->left,
                        .pad_right = s->right,
                        .accumulate = accumulate});
    hr_case_clear(NULL);
}

static void kernels_and_channels(void **state)
{
    static const int64_t channels[][2] = {{1, 1},  {3, 5},   {5, 3},   {6, 16},
                                          {16, 6}, {24, 24}, {48, 12}, {16, 40}};
    static const shape kernels[] = {
        {.t = 2, .h = 5, .w = 7, .kt = 1, .kh = 1, .kw = 1},
        {.t = 4, .h = 3, .w = 5, .kt = 3, .kh = 1, .kw = 1},
        {.t = 2,
         .h = 6,
         .w = 5,
         .kt = 1,
         .kh = 3,
         .kw = 3,
         .top = 1,
         .bottom = 1,
         .left = 1,
         .right = 1},
        {.t = 3,
         .h = 7,
         .w = 9,
         .kt = 3,
         .kh = 3,
         .kw = 3,
         .top = 1,
         .bottom = 1,
         .left = 1,
         .right = 1},
    };

    (void)state;
    for (size_t c = 0; c < sizeof channels / sizeof channels[0]; c++)
        for (size_t k = 0; k < sizeof kernels / sizeof kernels[0]; k++) {
            shape s = kernels[k];

            s.c = channels[c][0];
            s.co = channels[c][1];
            run(&s, (c + k) % 2 == 0, false, false);
        }
}

static void uneven_pads(void **state)
{
    static const shape list[] = {
        {1, 4, 5, 3, 4, 1, 3, 3, 0, 0, 0, 0},  {1, 4, 5, 3, 4, 1, 3, 3, 1, 0, 0, 1},
        {1, 4, 5, 3, 4, 1, 3, 3, 0, 1, 1, 0},  {1, 1, 1, 6, 5, 1, 3, 3, 1, 1, 1, 1},
        {2, 5, 1, 2, 3, 2, 2, 1, 1, 0, 0, 0},  {1, 2, 3, 5, 8, 1, 3, 3, 2, 2, 2, 2},
        {3, 1, 40, 4, 4, 3, 1, 5, 0, 0, 2, 2}, {1, 4, 5, 3, 4, 1, 1, 1, 1, 1, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        run(&list[i], true, false, false);
}

static void accumulates(void **state)
{
    static const shape one = {2, 4, 5, 7, 9, 1, 1, 1, 0, 0, 0, 0};
    static const shape full = {4, 4, 5, 6, 9, 3, 3, 3, 1, 1, 1, 1};

    (void)state;
    run(&one, false, true, false);
    run(&one, true, true, false);
    run(&full, false, true, false);
    run(&full, true, true, false);
}

static void flat_kernels(void **state)
{
    static const shape one = {2, 5, 6, 8, 8, 1, 3, 3, 1, 1, 1, 1};

    (void)state;
    run(&one, true, false, true);
}

static void as_wide_as_the_vae(void **state)
{
    static const shape list[] = {{3, 10, 13, 96, 32, 3, 3, 3, 1, 1, 1, 1},
                                 {1, 33, 20, 32, 3, 1, 3, 3, 1, 1, 1, 1},
                                 {1, 9, 11, 40, 80, 1, 1, 1, 0, 0, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        run(&list[i], true, i == 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(kernels_and_channels, hr_case_clear),
        cmocka_unit_test_teardown(uneven_pads, hr_case_clear),
        cmocka_unit_test_teardown(accumulates, hr_case_clear),
        cmocka_unit_test_teardown(flat_kernels, hr_case_clear),
        cmocka_unit_test_teardown(as_wide_as_the_vae, hr_case_clear),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
