#include "base/log.h"

#include "base/memory.h"
#include "base/text.h"
#include "support/test_util.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int teardown(void **state)
{
    (void)state;
    hr_log_close();
    hr_log_set_level(HR_LOG_WARN);
    hr_test_release_log();
    return 0;
}

static void fail_logs_once_and_returns_the_status(void **state)
{
    (void)state;
    hr_test_fails(HR_ERR_IO, "file a.mp4: 3 left",
                  hr_fail(HR_ERR_IO, "file %s: %d left", "a.mp4", 3));
}

static void the_sink_gets_warnings_only(void **state)
{
    (void)state;
    hr_test_catch_log();
    hr_debug("one");
    hr_info("two");
    hr_warn("three");
    hr_error("four");
    assert_int_equal(hr_test_log_lines(), 2);
    assert_string_equal(hr_test_log_line(0), "three");
    assert_string_equal(hr_test_log_line(1), "four");
}

static void control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    hr_test_catch_log();
    hr_error("a\nb\033[31mc\x7f %s", "\xc3\xa9");
    assert_string_equal(hr_test_log_line(0), "a?b?[31mc? \xc3\xa9");
}

static void long_lines_are_cut(void **state)
{
    char *text = hr_alloc(5001);

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 5000);
    hr_test_catch_log();
    hr_error("%s", text);
    assert_int_equal(hr_test_log_lines(), 1);
    hr_free(text);
}

static void the_file_gets_everything_up_to_info(void **state)
{
    const char *path = hr_test_path(hr_test_folder(), "run.log");
    size_t n;
    char *text;

    (void)state;
    hr_test_catch_log();
    hr_test_ok(hr_log_open(path));
    hr_debug("not this");
    hr_info("stage text: %.1f s", 1.5);
    hr_warn("slow");
    hr_log_close();
    hr_info("after");
    text = hr_test_read(path, &n);
    assert_non_null(strstr(text, " info  stage text: 1.5 s\n"));
    assert_non_null(strstr(text, " warn  slow\n"));
    assert_null(strstr(text, "not this"));
    assert_null(strstr(text, "after"));
    assert_int_equal(strspn(text, "0123456789-"), 10); /* the date comes first */
    hr_free(text);
}

static void opening_again_goes_on_in_the_file(void **state)
{
    const char *path = hr_test_path(hr_test_folder(), "run.log");
    size_t n;
    char *text;

    (void)state;
    hr_test_ok(hr_log_open(path));
    hr_info("old");
    hr_test_ok(hr_log_open(path));
    hr_info("new");
    hr_log_close();
    text = hr_test_read(path, &n);
    assert_non_null(strstr(text, "old"));
    assert_non_null(strstr(text, "new"));
    hr_free(text);
}

static void a_file_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    hr_test_fails(HR_ERR_IO, "/nowhere/run.log: No such file",
                  hr_log_open("/nowhere/run.log"));
}

/* What a link names stays as it is, and no pipe is waited for. */
static void only_a_plain_file_is_a_log(void **state)
{
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "run.log");
    const char *named = hr_test_path(folder, "named");
    struct stat info;

    (void)state;
    assert_int_equal(symlink("named", path), 0);
    hr_test_fails(HR_ERR_IO, "run.log: it is a symbolic link", hr_log_open(path));
    assert_int_equal(lstat(named, &info), -1);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    hr_test_fails(HR_ERR_IO, "run.log: ", hr_log_open(path));
    hr_test_fails(HR_ERR_IO, "it is no plain file", hr_log_open("/dev/null"));
}

/* What reaches standard error while `write_lines` runs. */
static char *standard_error_of(void (*write_lines)(void), size_t *n)
{
    const char *path = hr_test_path(hr_test_folder(), "stderr");
    int kept = dup(STDERR_FILENO);

    assert_true(kept >= 0);
    assert_non_null(freopen(path, "w", stderr));
    write_lines();
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    return hr_test_read(path, n);
}

static void write_at_level_info(void)
{
    hr_log_set_level(HR_LOG_INFO);
    hr_debug("hidden");
    hr_info("shown");
    hr_error("bad");
    hr_log_progress("step 1");
    hr_log_progress(NULL);
}

static void the_level_decides_what_people_see(void **state)
{
    size_t n;
    char *text;

    (void)state;
    text = standard_error_of(write_at_level_info, &n);
    assert_string_equal(text, "haloreel: shown\nhaloreel: error: bad\n");
    hr_free(text);
}

static void write_as_rank_2(void)
{
    char line[HR_LOG_LINE_BYTES];

    hr_log_set_rank(2, "b");
    hr_warn("slow");
    hr_error("first");
    hr_error("disk full");
    assert_string_equal(hr_log_last_error(line), "disk full");
}

static void speak_up(void)
{
    hr_log_speak_up();
    hr_error("and more");
}

/* Rank 0 tells what the others logged last; when it cannot they do. */
static void other_ranks_speak_only_when_they_have_to(void **state)
{
    char line[HR_LOG_LINE_BYTES];
    size_t n;
    char *quiet, *loud;

    (void)state;
    quiet = standard_error_of(write_as_rank_2, &n);
    loud = standard_error_of(speak_up, &n);
    hr_log_forget_error();
    assert_string_equal(hr_log_last_error(line), "");
    assert_string_equal(hr_log_last_failure(line), "and more");
    hr_log_close();
    assert_string_equal(hr_log_last_failure(line), "");
    hr_log_set_rank(0, "a");
    assert_string_equal(quiet, "");
    assert_string_equal(loud, "haloreel: error: rank 2 (host b): disk full\n"
                              "haloreel: error: rank 2 (host b): and more\n");
    hr_free(quiet);
    hr_free(loud);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(fail_logs_once_and_returns_the_status, teardown),
        cmocka_unit_test_teardown(the_sink_gets_warnings_only, teardown),
        cmocka_unit_test_teardown(control_characters_do_not_reach_the_terminal, teardown),
        cmocka_unit_test_teardown(long_lines_are_cut, teardown),
        cmocka_unit_test_teardown(the_file_gets_everything_up_to_info, teardown),
        cmocka_unit_test_teardown(opening_again_goes_on_in_the_file, teardown),
        cmocka_unit_test_teardown(a_file_that_cannot_be_made_is_named, teardown),
        cmocka_unit_test_teardown(only_a_plain_file_is_a_log, teardown),
        cmocka_unit_test_teardown(the_level_decides_what_people_see, teardown),
        cmocka_unit_test_teardown(other_ranks_speak_only_when_they_have_to, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
