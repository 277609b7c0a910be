#include "compute/tensor.h"

#include "compute/device.h"
#include "support/test_util.h"

static float memory[720];

static hr_tensor tensor(hr_dtype dtype, int n_dims, const int64_t *dim)
{
    hr_tensor t = {.data = memory, .dtype = dtype, .n_dims = n_dims};

    for (int i = 0; i < n_dims; i++)
        t.dim[i] = dim[i];
    return t;
}

static void counts(void **state)
{
    hr_tensor t = tensor(HR_BF16, HR_DIMS(2, 3, 5)), absent = {0};

    (void)state;
    assert_int_equal(hr_tensor_count(&t), 30);
    assert_int_equal(hr_tensor_bytes(&t), 60);
    assert_int_equal(hr_tensor_rows(&t), 6);
    assert_int_equal(hr_tensor_width(&t), 5);
    t = tensor(HR_F32, HR_DIMS(7));
    assert_int_equal(hr_tensor_rows(&t), 1);
    assert_int_equal(hr_tensor_width(&t), 7);
    assert_true(hr_tensor_is_absent(&absent));
    assert_false(hr_tensor_is_absent(&t));
    assert_int_equal(hr_tensor_count(&absent), 0);
    assert_int_equal(hr_tensor_bytes(&absent), 0);
    assert_int_equal(hr_tensor_rows(&absent), 0);
    assert_int_equal(hr_tensor_width(&absent), 0);
}

static void big_shapes_do_not_overflow(void **state)
{
    hr_tensor t = tensor(HR_F32, HR_DIMS(81, 2160, 3840, 96));

    (void)state;
    assert_int_equal(hr_tensor_bytes(&t), (size_t)81 * 2160 * 3840 * 96 * 4);
}

static void slices_are_views(void **state)
{
    hr_tensor t = tensor(HR_BF16, HR_DIMS(6, 4, 5)), part = hr_tensor_slice(&t, 2, 3);

    (void)state;
    assert_ptr_equal(part.data, (char *)memory + (size_t)2 * 4 * 5 * 2);
    assert_int_equal(part.n_dims, 3);
    assert_int_equal(part.dim[0], 3);
    assert_int_equal(part.dim[1], 4);
    part = hr_tensor_slice(&t, 6, 0);
    assert_int_equal(hr_tensor_count(&part), 0);
}

static void an_element_loses_its_dimension(void **state)
{
    hr_tensor t = tensor(HR_F32, HR_DIMS(6, 4, 5)), one = hr_tensor_at(&t, 5);

    (void)state;
    assert_int_equal(one.n_dims, 2);
    assert_int_equal(one.dim[0], 4);
    assert_int_equal(one.dim[1], 5);
    assert_ptr_equal(one.data, memory + 5 * 4 * 5);
    t = tensor(HR_F32, HR_DIMS(6));
    one = hr_tensor_at(&t, 3);
    assert_int_equal(one.n_dims, 1);
    assert_int_equal(one.dim[0], 1);
    assert_ptr_equal(one.data, memory + 3);
}

static void reshaping_keeps_memory(void **state)
{
    hr_tensor t = tensor(HR_F32, HR_DIMS(6, 4, 5));
    hr_tensor flat = hr_tensor_reshape(&t, HR_DIMS(120));
    hr_tensor deep = hr_tensor_reshape(&t, HR_DIMS(1, 2, 3, 4, 5));

    (void)state;
    assert_ptr_equal(flat.data, memory);
    assert_int_equal(flat.n_dims, 1);
    assert_int_equal(deep.dim[3], 4);
    assert_int_equal(hr_tensor_count(&deep), 120);
}

static void shapes_are_compared(void **state)
{
    hr_tensor a = tensor(HR_F32, HR_DIMS(2, 3)), b = tensor(HR_BF16, HR_DIMS(2, 3));
    hr_tensor c = tensor(HR_F32, HR_DIMS(3, 2)), d = tensor(HR_F32, HR_DIMS(2, 3, 1));

    (void)state;
    assert_true(hr_tensor_same_shape(&a, &b));
    assert_false(hr_tensor_same_shape(&a, &c));
    assert_false(hr_tensor_same_shape(&a, &d));
}

static void shapes_as_text(void **state)
{
    hr_tensor t = tensor(HR_F32, HR_DIMS(6, 16, 10)), absent = {0};
    hr_tensor huge = tensor(HR_F32, HR_DIMS(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX));
    char out[96];

    (void)state;
    assert_string_equal(hr_tensor_shape_text(&t, out), "(6, 16, 10)");
    assert_string_equal(hr_tensor_shape_text(&absent, out), "()");
    hr_tensor_shape_text(&huge, out);
    assert_memory_equal(out, "(9223372036854775807, ", 22);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),
        cmocka_unit_test(big_shapes_do_not_overflow),
        cmocka_unit_test(slices_are_views),
        cmocka_unit_test(an_element_loses_its_dimension),
        cmocka_unit_test(reshaping_keeps_memory),
        cmocka_unit_test(shapes_are_compared),
        cmocka_unit_test(shapes_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
