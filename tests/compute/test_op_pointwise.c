/* Element by element operators against the reference loops; on each device of
 * HR_TEST_DEVICE. */
#include "support/op_case.h"
#include "support/test_util.h"

static const hr_dtype dtypes[2] = {HR_F32, HR_BF16};

/* rows, width: one, odd, prime, around vectors of 8 and 16, more than one piece per
 * thread. */
static const int64_t list[][2] = {{1, 1},  {1, 7},   {3, 8},   {5, 15},    {2, 16},
                                  {7, 17}, {13, 31}, {64, 33}, {1401, 40}, {3, 9001}};
enum { N_SHAPES = sizeof list / sizeof list[0] };

static void gated_add(void **state)
{
    (void)state;
    for (int i = 0; i < 4 * N_SHAPES; i++) {
        const int64_t *dim = list[i / 4];
        hr_tensor none = {0};

        hr_case_run(gated_add,
                    {.x = hr_case_random(HR_F32, 2, dim),
                     .y = hr_case_random(dtypes[i % 2], 2, dim),
                     .gate = i % 4 < 2 ? hr_case_random(HR_F32, HR_DIMS(dim[1])) : none});
        hr_case_clear(NULL);
    }
}

static void gated_add_of_many_dimensions(void **state)
{
    (void)state;
    hr_case_run(gated_add, {.x = hr_case_random(HR_F32, HR_DIMS(2, 3, 4, 5)),
                            .y = hr_case_random(HR_F32, HR_DIMS(2, 3, 4, 5)),
                            .gate = hr_case_random(HR_F32, HR_DIMS(5))});
}

static void activate(void **state)
{
    (void)state;
    for (int i = 0; i < 12 * N_SHAPES; i++) {
        const int64_t *dim = list[i / 12];
        hr_tensor x = hr_case_random(dtypes[i % 2], 2, dim);
        hr_tensor out = hr_case_empty(dtypes[i / 2 % 2], 2, dim);

        hr_case_run(activate,
                    {.x = x, .out = out, .activation = (hr_activation)(i / 4 % 3)});
        if (i % 4 == 0 || i % 4 == 3)
            hr_case_run(activate,
                        {.x = x, .out = x, .activation = (hr_activation)(i / 4 % 3)});
        hr_case_clear(NULL);
    }
}

/* From where the exponential overflows to where it vanishes, and around zero. */
static void activate_far_out(void **state)
{
    enum { N = 4001 };
    static float values[N];

    (void)state;
    for (int scale = 0; scale < 3; scale++) {
        const float widest[] = {1, 12, 200};

        for (int i = 0; i < N; i++)
            values[i] = widest[scale] * (float)(i - N / 2) / (N / 2);
        for (int a = 1; a < 3; a++)
            hr_case_run(activate, {.x = hr_case_values(HR_F32, HR_DIMS(N), values),
                                   .out = hr_case_empty(HR_F32, HR_DIMS(N)),
                                   .activation = (hr_activation)a});
        hr_case_clear(NULL);
    }
}

static void geglu(void **state)
{
    (void)state;
    for (int i = 0; i < 8 * N_SHAPES; i++) {
        const int64_t *dim = list[i / 8];
        hr_tensor a = hr_case_random(dtypes[i % 2], 2, dim);
        hr_tensor b = hr_case_random(dtypes[i / 2 % 2], 2, dim);

        hr_case_run(geglu,
                    {.a = a, .b = b, .out = hr_case_empty(dtypes[i / 4 % 2], 2, dim)});
        hr_case_run(geglu, {.a = a, .b = b, .out = i % 8 < 4 ? a : b});
        hr_case_clear(NULL);
    }
}

static void lincomb(void **state)
{
    (void)state;
    for (int i = 0; i < HR_LINCOMB_MAX * N_SHAPES; i++) {
        const int64_t *dim = list[i / HR_LINCOMB_MAX];
        hr_lincomb_args args = {.out = hr_case_empty(HR_F32, 2, dim),
                                .n = 1 + i % HR_LINCOMB_MAX,
                                .c = {0.3F, -1.7F, 1, 1e-3F, 42}};

        for (int k = 0; k < args.n; k++)
            args.x[k] = hr_case_random(HR_F32, 2, dim);
        hr_case_run_lincomb(&args, NULL);
        args.out = args.x[args.n / 2];
        hr_case_run_lincomb(&args, NULL);
        hr_case_clear(NULL);
    }
}

static void fill(void **state)
{
    static const float values[] = {0, 1, -2.5F, 0.1F};

    (void)state;
    for (int i = 0; i < 2 * N_SHAPES; i++) {
        hr_case_run(fill, {.out = hr_case_empty(dtypes[i % 2], 2, list[i / 2]),
                           .value = values[i % 4]});
        hr_case_clear(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(gated_add, hr_case_clear),
        cmocka_unit_test_teardown(gated_add_of_many_dimensions, hr_case_clear),
        cmocka_unit_test_teardown(activate, hr_case_clear),
        cmocka_unit_test_teardown(activate_far_out, hr_case_clear),
        cmocka_unit_test_teardown(geglu, hr_case_clear),
        cmocka_unit_test_teardown(lincomb, hr_case_clear),
        cmocka_unit_test_teardown(fill, hr_case_clear),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
