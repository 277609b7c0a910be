/* The buckets of relative positions against transformers'. */
#include "support/test_util.h"

#include "model/relative_position.h"

enum { BUCKETS = 32, MAX_DISTANCE = 128 };

static void buckets_of_umt5(void **state)
{
    /* The first distance of each bucket, from transformers 5.23. */
    static const int64_t first[16] = {0, 1,  2,  3,  4,  5,  6,  7,
                                      8, 12, 16, 23, 32, 46, 64, 91};

    (void)state;
    for (int64_t a = 0, bucket = 0; a <= 2000; a++) {
        if (bucket < 15 && a >= first[bucket + 1])
            bucket++;
        assert_int_equal(hr_relative_bucket(-a, BUCKETS, MAX_DISTANCE), bucket);
        assert_int_equal(hr_relative_bucket(a, BUCKETS, MAX_DISTANCE),
                         a == 0 ? 0 : 16 + bucket);
    }
}

static void few_buckets(void **state)
{
    /* transformers 5.23 for 8 buckets up to distance 20, distances -9..9 */
    static const int64_t want[19] = {3, 3, 3, 2, 2, 2, 2, 2, 1, 0,
                                     5, 6, 6, 6, 6, 6, 7, 7, 7};

    (void)state;
    for (int64_t d = -9; d <= 9; d++)
        assert_int_equal(hr_relative_bucket(d, 8, 20), want[d + 9]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_of_umt5),
        cmocka_unit_test(few_buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
