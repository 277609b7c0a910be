#include "base/fault.h"

#include "base/memory.h"
#include "base/text.h"
#include "support/test_util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool passes(void)
{
    return !hr_fault("test.one");
}

static bool passes_elsewhere(void)
{
    return !hr_fault("test.one");
}

static void without_rules_nothing_fails(void **state)
{
    (void)state;
    hr_fault_set(NULL);
    for (int i = 0; i < 100; i++)
        assert_true(passes());
}

static void the_nth_pass_fails(void **state)
{
    (void)state;
    hr_fault_set("test.one:3,test.other:1");
    for (int i = 1; i <= 6; i++)
        assert_int_equal(i != 3, i % 2 == 0 ? passes() : passes_elsewhere());
    assert_true(hr_fault("test.other"));
    assert_false(hr_fault("test.other"));
    assert_false(hr_fault("test.on"));
    hr_fault_set("test.one:1");
    assert_false(passes()); /* counted anew */
    hr_fault_set(NULL);
}

static void it_may_stay(void **state)
{
    (void)state;
    hr_fault_set("test.one:3+");
    for (int i = 1; i <= 6; i++)
        assert_int_equal(i < 3, passes());
    hr_fault_set("*:2");
    assert_true(passes());
    assert_true(hr_fault("test.other"));
    assert_true(passes());
    hr_fault_set(NULL);
}

static void one_place_of_a_point(void **state)
{
    char rule[512];

    (void)state;
    for (int stays = 0; stays < 2; stays++) {
        snprintf(rule, sizeof rule, "test.one@%s:%d:2%s", __FILE__, __LINE__ + 4,
                 stays ? "+" : "");
        hr_fault_set(rule);
        for (int i = 1; i <= 4; i++) {
            assert_int_equal(i == 2 || (stays && i > 2), hr_fault("test.one"));
            assert_int_equal(!stays || i < 2, passes());
        }
    }
    hr_fault_set(NULL);
}

static void only_on_its_rank(void **state)
{
    const char *launched = getenv("OMPI_COMM_WORLD_RANK");
    char rule[64];
    int rank = launched != NULL ? (int)strtol(launched, NULL, 10) : 0;

    (void)state;
    snprintf(rule, sizeof rule, "test.one:1+@rank%d", rank);
    hr_fault_set(rule);
    assert_false(passes());
    snprintf(rule, sizeof rule, "test.one:1+@rank%d", rank + 1);
    hr_fault_set(rule);
    assert_true(passes());
    hr_fault_set(NULL);
}

static void errno_is_the_usual_one_or_given(void **state)
{
    (void)state;
    hr_fault_set("test.one:1+");
    errno = 0;
    assert_true(hr_fault_errno("test.one", ENOSPC));
    assert_int_equal(errno, ENOSPC);
    hr_fault_set("test.one:1+=errno116");
    assert_true(hr_fault_errno("test.one", ENOSPC));
    assert_int_equal(errno, ESTALE);
    hr_fault_set(NULL);
    errno = 0;
    assert_false(hr_fault_errno("test.one", ENOSPC));
    assert_int_equal(errno, 0);
}

static void sleeping_goes_on(void **state)
{
    struct timespec begin, end;

    (void)state;
    hr_fault_set("test.one:1=sleep30");
    clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_true(passes());
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((double)(end.tv_sec - begin.tv_sec) * 1e3 +
                    (double)(end.tv_nsec - begin.tv_nsec) / 1e6 >=
                29);
    hr_fault_set(NULL);
}

/* Runs fn in a process of its own; how it ended. */
static int run_apart(void (*fn)(const char *), const char *argument)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        fn(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void set_and_pass(const char *rules)
{
    if (freopen("/dev/null", "w", stderr) == NULL)
        _exit(9);
    signal(SIGABRT, SIG_DFL);
    hr_fault_set(rules);
    passes();
}

static void it_kills(void **state)
{
    int status = run_apart(set_and_pass, "test.one:1=kill");

    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void bad_rules_are_refused(void **state)
{
    static const char *const bad[] = {"test.one", "test.one:0", "test.one:x", ":",
                                      "test.one:1=burn"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int status = run_apart(set_and_pass, bad[i]);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

static void memory_fails_where_it_is_asked_for(void **state)
{
    void *out = NULL, *old = hr_alloc(4), *memory;
    hr_text text = {0};

    (void)state;
    hr_fault_set("memory.alloc:1+,memory.realloc:1+,memory.strdup:1+,memory.aligned:1+");
    assert_null(hr_alloc(1));
    assert_null(hr_alloc_aligned(1, 64));
    assert_null(hr_strdup("a"));
    assert_null(hr_strndup("a", 1));
    assert_null(hr_realloc(old, 8));
    hr_test_fails(HR_ERR_NOMEM, "a moon", hr_alloc_or_fail(8, "a moon", &out));
    hr_test_fails(HR_ERR_NOMEM, "string", hr_text_add(&text, "a"));
    hr_fault_set(NULL);
    memory = hr_realloc(old, 8);
    assert_non_null(memory);
    hr_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_nothing_fails),
        cmocka_unit_test(the_nth_pass_fails),
        cmocka_unit_test(it_may_stay),
        cmocka_unit_test(one_place_of_a_point),
        cmocka_unit_test(only_on_its_rank),
        cmocka_unit_test(errno_is_the_usual_one_or_given),
        cmocka_unit_test(sleeping_goes_on),
        cmocka_unit_test(it_kills),
        cmocka_unit_test(bad_rules_are_refused),
        cmocka_unit_test(memory_fails_where_it_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
