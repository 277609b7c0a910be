#include "comm/process.h"
#include "support/test_util.h"

#include "base/fault.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void this_one_lives(void **state)
{
    const hr_process self = hr_process_self();

    (void)state;
    assert_true(hr_process_is_visible(&self));
    assert_true(hr_process_is_alive(&self));
}

/* Dead: a zombie, one that is gone, and one whose number another has now. */
static void the_dead(void **state)
{
    hr_process process = hr_process_self();
    pid_t pid = fork();

    (void)state;
    if (pid == 0)
        _exit(0);
    process.start_ticks++;
    assert_false(hr_process_is_alive(&process));
    process.pid = pid;
    assert_int_equal(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT), 0);
    assert_false(hr_process_is_alive(&process));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(hr_process_is_alive(&process));
}

/* Without a free descriptor nobody can be looked at: that is not their death. */
static void one_that_cannot_be_looked_at(void **state)
{
    const hr_process self = hr_process_self();

    (void)state;
    hr_fault_set("file.open:1");
    assert_true(hr_process_is_alive(&self));
    hr_fault_set(NULL);
    assert_true(hr_process_is_alive(&self));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_one_lives),
        cmocka_unit_test(the_dead),
        cmocka_unit_test(one_that_cannot_be_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
