#include "base/dtype.h"

#include "support/test_util.h"

#include <math.h>

static float from_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static void sizes_and_names(void **state)
{
    (void)state;
    assert_int_equal(hr_dtype_size(HR_F32), 4);
    assert_int_equal(hr_dtype_size(HR_BF16), 2);
    assert_int_equal(hr_dtype_size(HR_F16), 2);
    assert_int_equal(hr_dtype_size(HR_I32), 4);
    assert_int_equal(hr_dtype_size(HR_I64), 8);
    assert_int_equal(hr_dtype_size(HR_F64), 8);
    assert_int_equal(hr_dtype_size(HR_U8), 1);
    assert_string_equal(hr_dtype_name(HR_BF16), "BF16");
    assert_string_equal(hr_dtype_name(HR_I64), "I64");
}

static void bf16_rounds_to_nearest_even(void **state)
{
    static const struct {
        uint32_t bits;
        uint16_t expected;
    } cases[] = {
        {0x3f800000, 0x3f80}, /* 1 */
        {0x3f808000, 0x3f80}, /* halfway, down to even */
        {0x3f818000, 0x3f82}, /* halfway, up to even */
        {0x3f808001, 0x3f81}, /* above halfway */
        {0x3f807fff, 0x3f80}, /* below halfway */
        {0x80000000, 0x8000}, /* -0 */
        {0xbf818000, 0xbf82}, /* negative */
        {0x7f7fffff, 0x7f80}, /* the largest float becomes infinity */
        {0x7f800000, 0x7f80}, /* infinity */
        {0x00000001, 0x0000}, /* the smallest one becomes 0 */
        {0x7f800001, 0x7fc0}, /* a NaN whose bits would be cut off stays one */
        {0xffc12345, 0xffc1}, /* a quiet NaN keeps its head */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(hr_f32_to_bf16(from_bits(cases[i].bits)), cases[i].expected);
}

static void bf16_survives_the_way_through_f32(void **state)
{
    (void)state;
    for (uint32_t x = 0; x < 0x10000; x++) {
        float value = hr_bf16_to_f32((uint16_t)x);

        if (isnan(value))
            assert_true(isnan(hr_bf16_to_f32(hr_f32_to_bf16(value))));
        else
            assert_int_equal(hr_f32_to_bf16(value), x);
    }
}

static void f16_is_what_ieee_says(void **state)
{
    (void)state;
    for (uint32_t x = 0; x < 0x10000; x++) {
        int exponent = (int)(x >> 10 & 0x1f), mantissa = (int)(x & 0x3ff);
        float got = hr_f16_to_f32((uint16_t)x);
        double expected =
            exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);

        assert_int_equal(signbit(got) != 0, x >> 15);
        if (exponent == 31)
            assert_true(mantissa == 0 ? isinf(got) : isnan(got));
        else
            assert_true(fabs((double)got) == expected);
    }
}

static void converts_all_float_types(void **state)
{
    const float f32[3] = {1, -2.5F, 0.333333F};
    const uint16_t f16[3] = {0x3c00, 0xc100, 0x3555}, bf16[3] = {0x3f80, 0xc020, 0x3eab};
    uint16_t to_bf16[3];
    float to_f32[3];

    (void)state;
    assert_int_equal(hr_dtype_convert(to_bf16, HR_BF16, f32, HR_F32, 3), 0);
    assert_memory_equal(to_bf16, bf16, sizeof bf16);
    assert_int_equal(hr_dtype_convert(to_bf16, HR_BF16, f16, HR_F16, 3), 0);
    assert_memory_equal(to_bf16, bf16, sizeof bf16);
    assert_int_equal(hr_dtype_convert(to_bf16, HR_BF16, bf16, HR_BF16, 3), 0);
    assert_memory_equal(to_bf16, bf16, sizeof bf16);
    assert_int_equal(hr_dtype_convert(to_f32, HR_F32, f32, HR_F32, 3), 0);
    assert_memory_equal(to_f32, f32, sizeof f32);
    assert_int_equal(hr_dtype_convert(to_f32, HR_F32, f16, HR_F16, 3), 0);
    assert_true(to_f32[1] == -2.5F && to_f32[2] == 0.333251953125F);
    assert_int_equal(hr_dtype_convert(to_f32, HR_F32, bf16, HR_BF16, 3), 0);
    assert_true(to_f32[1] == -2.5F && to_f32[2] == 0.333984375F);
}

static void refuses_other_types(void **state)
{
    double wide[2] = {1, 2};
    float narrow[2];

    (void)state;
    assert_int_equal(hr_dtype_convert(narrow, HR_F32, wide, HR_F64, 2), -1);
    assert_int_equal(hr_dtype_convert(narrow, HR_F16, wide, HR_F32, 2), -1);
    assert_int_equal(hr_dtype_convert(narrow, HR_F32, wide, HR_I32, 2), -1);
}

static void finds_the_first_value_that_is_not_finite(void **state)
{
    float f32[5] = {0, -3e38F, 1, INFINITY, NAN};
    uint16_t bf16[4] = {0x3f80, 0xff7f, 0xff80, 0x7fc0};
    uint16_t f16[4] = {0x3c00, 0x7bff, 0xfe00, 0x7c00};

    (void)state;
    assert_int_equal(hr_dtype_first_not_finite(f32, HR_F32, 5), 3);
    assert_int_equal(hr_dtype_first_not_finite(f32, HR_F32, 3), 3);
    assert_int_equal(hr_dtype_first_not_finite(f32 + 4, HR_F32, 1), 0);
    assert_int_equal(hr_dtype_first_not_finite(bf16, HR_BF16, 4), 2);
    assert_int_equal(hr_dtype_first_not_finite(bf16, HR_BF16, 2), 2);
    assert_int_equal(hr_dtype_first_not_finite(f16, HR_F16, 4), 2);
    assert_int_equal(hr_dtype_first_not_finite(f16, HR_F16, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_names),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_survives_the_way_through_f32),
        cmocka_unit_test(f16_is_what_ieee_says),
        cmocka_unit_test(converts_all_float_types),
        cmocka_unit_test(refuses_other_types),
        cmocka_unit_test(finds_the_first_value_that_is_not_finite),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
