#include "base/clock.h"

#include "support/test_util.h"

#include <time.h>

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

static void time_goes_on(void **state)
{
    double before = hr_clock_seconds(), passed;

    (void)state;
    sleep_ms(20);
    passed = hr_clock_seconds() - before;
    assert_true(passed >= 0.019);
    assert_true(passed < 5);
}

static void the_process_is_young(void **state)
{
    double first = hr_clock_process_seconds(), later;

    (void)state;
    assert_true(first >= 0 && first < 60);
    sleep_ms(50);
    later = hr_clock_process_seconds();
    assert_true(later - first >= 0.03 && later - first < 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(the_process_is_young),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
