/* Matrix products against the reference loops; on each device of HR_TEST_DEVICE. */
#include "support/op_case.h"
#include "support/test_util.h"

static const hr_activation activations[] = {HR_ACT_NONE, HR_ACT_SILU, HR_ACT_GELU_TANH};

static void run(const int64_t shape[3], hr_dtype in, hr_dtype out, bool bias)
{
    hr_tensor w = hr_case_random(in, HR_DIMS(shape[2], shape[1])), none = {0};

    hr_case_run_weight(linear, &w,
                       {.x = hr_case_random(in, HR_DIMS(shape[0], shape[1])),
                        .bias = bias ? hr_case_random(HR_F32, HR_DIMS(shape[2])) : none,
                        .out = hr_case_empty(out, HR_DIMS(shape[0], shape[2]))});
    hr_case_clear(NULL);
}

static void shapes(void **state)
{
    /* rows, in, out: ones, odd, prime, around the tiles of the cpu backend (128 rows, 256
     * columns, vectors of 8 and 16), one vector-matrix product, one deep and one wide. */
    static const int64_t list[][3] = {
        {1, 1, 1},     {1, 7, 3},     {2, 16, 16},   {3, 17, 31},
        {5, 48, 33},   {13, 100, 47}, {64, 64, 64},  {127, 24, 40},
        {128, 20, 16}, {129, 36, 15}, {257, 12, 17}, {1, 256, 1024},
        {4, 1536, 65}, {9, 31, 255},  {7, 40, 257},  {130, 33, 513},
    };

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        run(list[i], HR_F32, HR_F32, i % 2 == 0);
        run(list[i], HR_BF16, i % 3 == 0 ? HR_F32 : HR_BF16, i % 2 == 1);
        run(list[i], HR_F32, HR_BF16, i % 2 == 1);
    }
}

static void fused_activations(void **state)
{
    static const hr_dtype dtypes[] = {HR_F32, HR_BF16};

    (void)state;
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 4; d++) {
            hr_tensor w = hr_case_random(dtypes[d / 2], HR_DIMS(70, 45));

            hr_case_run_weight(linear, &w,
                               {.x = hr_case_random(dtypes[d / 2], HR_DIMS(150, 45)),
                                .bias = hr_case_random(HR_F32, HR_DIMS(70)),
                                .out = hr_case_empty(dtypes[d % 2], HR_DIMS(150, 70)),
                                .activation = activations[i]});
            hr_case_clear(NULL);
        }
}

/* rows, width of a shard, the other dimension. */
static const int64_t shard_list[][3] = {{1, 1, 1},     {5, 40, 160},  {17, 7, 33},
                                        {129, 24, 40}, {240, 64, 96}, {33, 300, 65}};
enum { N_SHARD_SHAPES = sizeof shard_list / sizeof shard_list[0] };

static void shards_by_output(void **state)
{
    (void)state;
    for (int i = 0; i < 4 * N_SHARD_SHAPES; i++) {
        const int64_t *s = shard_list[i / 4];
        hr_shards shards = {HR_SHARDS_BY_OUT, 1 << i % 4, 8};
        int64_t out = s[1] * shards.n;
        hr_dtype in = i % 3 == 0 ? HR_BF16 : HR_F32, result = i % 2 ? HR_BF16 : HR_F32;
        hr_tensor w = hr_case_random(in, HR_DIMS(out, s[2]));

        hr_case_run_shards(
            &(hr_linear_args){.x = hr_case_random(in, HR_DIMS(s[0], s[2])),
                              .bias = hr_case_random(HR_F32, HR_DIMS(out)),
                              .out = hr_case_empty(result, HR_DIMS(s[0], out)),
                              .activation = activations[i % 3]},
            &w, &shards);
        hr_case_clear(NULL);
    }
}

static void shards_by_input(void **state)
{
    hr_tensor none = {0};

    (void)state;
    for (int i = 0; i < 4 * N_SHARD_SHAPES; i++) {
        const int64_t *s = shard_list[i / 4];
        hr_shards shards = {HR_SHARDS_BY_IN, 1 << i % 4, 8};
        int64_t in = s[1] * shards.n;
        hr_dtype type = i % 3 == 0 ? HR_BF16 : HR_F32, result = i % 2 ? HR_BF16 : HR_F32;
        hr_tensor w = hr_case_random(type, HR_DIMS(s[2], in));

        hr_case_run_shards(
            &(hr_linear_args){.x = hr_case_random(type, HR_DIMS(s[0], in)),
                              .bias =
                                  i % 5 ? hr_case_random(HR_F32, HR_DIMS(s[2])) : none,
                              .out = hr_case_empty(result, HR_DIMS(s[0], s[2])),
                              .activation = activations[i % 3]},
            &w, &shards);
        hr_case_clear(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(shapes, hr_case_clear),
        cmocka_unit_test_teardown(fused_activations, hr_case_clear),
        cmocka_unit_test_teardown(shards_by_output, hr_case_clear),
        cmocka_unit_test_teardown(shards_by_input, hr_case_clear),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
