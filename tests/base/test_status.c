#include "base/status.h"

#include "support/test_util.h"

#include <string.h>

static hr_status pass_on(hr_status status, int *reached)
{
    HR_TRY(status);
    *reached = 1;
    return HR_OK;
}

static hr_status undo(hr_status first, int *undone)
{
    hr_status status;

    HR_TRY_GOTO(first, done);
done:
    *undone = 1;
    return status;
}

static void every_status_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < HR_STATUS_COUNT; i++) {
        assert_non_null(hr_status_name((hr_status)i));
        assert_true(strlen(hr_status_name((hr_status)i)) > 0);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(hr_status_name((hr_status)i),
                                    hr_status_name((hr_status)k));
    }
}

static void names_of_no_status_are_safe(void **state)
{
    (void)state;
    assert_non_null(hr_status_name(HR_STATUS_COUNT));
    assert_non_null(hr_status_name((hr_status)12345));
}

static void try_passes_failures_on(void **state)
{
    int reached = 0;

    (void)state;
    assert_int_equal(pass_on(HR_ERR_IO, &reached), HR_ERR_IO);
    assert_int_equal(reached, 0);
    assert_int_equal(pass_on(HR_OK, &reached), HR_OK);
    assert_int_equal(reached, 1);
}

static void try_goto_undoes(void **state)
{
    int undone = 0;

    (void)state;
    assert_int_equal(undo(HR_ERR_NOMEM, &undone), HR_ERR_NOMEM);
    assert_int_equal(undone, 1);
}

static void a_bug_is_worse_than_a_request(void **state)
{
    (void)state;
    assert_true(HR_OK < HR_ERR_CANCELLED);
    assert_true(HR_ERR_CANCELLED < HR_ERR_ARG);
    assert_true(HR_ERR_DEVICE < HR_ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name_of_its_own),
        cmocka_unit_test(names_of_no_status_are_safe),
        cmocka_unit_test(try_passes_failures_on),
        cmocka_unit_test(try_goto_undoes),
        cmocka_unit_test(a_bug_is_worse_than_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
