#include "io/out_file.h"
#include "support/test_util.h"

#include "base/memory.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void holds(const char *path, const char *text)
{
    size_t n;
    char *data = hr_test_read(path, &n);

    assert_int_equal(n, strlen(text));
    assert_memory_equal(data, text, n);
    hr_free(data);
}

static void written_in_any_order(void **state)
{
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a.bin");
    hr_out_file *file;

    (void)state;
    hr_test_ok(hr_out_file_create(path, &file));
    assert_string_equal(hr_out_file_path(file), path);
    assert_string_equal(hr_out_file_part_path(file), hr_test_path(folder, ".a.bin.part"));
    hr_test_ok(hr_out_file_write(file, "hello", 5));
    hr_out_file_seek(file, 1);
    hr_test_ok(hr_out_file_write(file, "a", 1));
    assert_int_equal(hr_out_file_position(file), 2);
    assert_int_equal(hr_out_file_size(file), 5);
    assert_int_equal(access(path, F_OK), -1);
    hr_test_ok(hr_out_file_status(file));
    hr_test_ok(hr_out_file_commit(file));
    holds(path, "hallo");
    assert_int_equal(hr_test_count_entries(folder), 1);
}

static void replaces_only_at_the_end(void **state)
{
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a");
    hr_out_file *file;

    (void)state;
    hr_test_ok(hr_out_file_save(path, "old", 3));
    hr_test_ok(hr_out_file_create(path, &file));
    hr_test_ok(hr_out_file_write(file, "newer", 5));
    holds(path, "old");
    hr_out_file_abandon(file);
    holds(path, "old");
    hr_test_write(hr_test_path(folder, ".a.part"), "left by a killed process", 24);
    hr_test_ok(hr_out_file_save(path, "newer", 5));
    holds(path, "newer");
    assert_int_equal(hr_test_count_entries(folder), 1);
    hr_out_file_abandon(NULL);
}

static void name_without_folder(void **state)
{
    char before[4096];

    (void)state;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(hr_test_folder()), 0);
    hr_test_ok(hr_out_file_save("a", "x", 1));
    holds("a", "x");
    assert_int_equal(chdir(before), 0);
}

static void never_replaces_what_is_not_a_file(void **state)
{
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "pipe");
    const char *part = hr_test_path(folder, ".a.part");
    struct stat info;

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_out_file_save(path, "x", 1));
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_out_file_save("/dev/null", "x", 1));
    hr_test_fails(HR_ERR_IO, "it names no file", hr_out_file_save("", "x", 1));
    hr_test_fails(HR_ERR_IO, "it names no file", hr_out_file_save("/", "x", 1));
    assert_int_equal(symlink("/dev/full", part), 0);
    hr_test_fails(HR_ERR_IO, ".part: it is a symbolic link",
                  hr_out_file_save(hr_test_path(folder, "a"), "x", 1));
}

/* The folder is gone when the file is to get its name. */
static void failing_rename_is_told_once(void **state)
{
    const char *folder = hr_test_folder();
    const char *inner = hr_test_path(folder, "inner");
    hr_out_file *file;

    (void)state;
    assert_int_equal(mkdir(inner, 0700), 0);
    hr_test_ok(hr_out_file_create(hr_test_path(inner, "a"), &file));
    hr_test_ok(hr_out_file_write(file, "x", 1));
    assert_int_equal(unlink(hr_out_file_part_path(file)), 0);
    assert_int_equal(rmdir(inner), 0);
    hr_test_fails(HR_ERR_IO, "cannot rename the finished part of",
                  hr_out_file_commit(file));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(written_in_any_order, hr_test_leak_teardown),
        cmocka_unit_test_teardown(replaces_only_at_the_end, hr_test_leak_teardown),
        cmocka_unit_test_teardown(name_without_folder, hr_test_leak_teardown),
        cmocka_unit_test_teardown(never_replaces_what_is_not_a_file,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(failing_rename_is_told_once, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
