/* Folders that are made, cleared and removed, and the room on their disk. */
#include "support/test_util.h"

#include "base/fault.h"
#include "io/disk.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void make(const char *folder, const char *name)
{
    hr_test_write(hr_test_path(folder, name), "x", 1);
}

static void test_create(void **state)
{
    const char *base = hr_test_folder(), *deep = hr_test_path(base, "a/b/c");

    (void)state;
    hr_test_ok(hr_folder_create(deep));
    hr_test_ok(hr_folder_create(deep));
    hr_test_ok(hr_folder_create_above(hr_test_path(base, "d/e/f")));
    assert_int_equal(access(hr_test_path(base, "d/e"), F_OK), 0);
    assert_int_equal(access(hr_test_path(base, "d/e/f"), F_OK), -1);
    hr_test_ok(hr_folder_add(hr_test_path(base, "d/e/f")));
    hr_test_ok(hr_folder_add(hr_test_path(base, "d/e/f")));
    hr_test_fails(HR_ERR_IO, "cannot create folder ",
                  hr_folder_add(hr_test_path(base, "gone/f")));
    make(base, "file");
    hr_test_fails(HR_ERR_IO, "file: a file is there",
                  hr_folder_create(hr_test_path(base, "file")));
    hr_fault_set("file.mkdir:1+");
    hr_test_fails(HR_ERR_IO, "cannot create folder ",
                  hr_folder_create(hr_test_path(base, "g")));
    hr_fault_set(NULL);
    hr_test_release_log();
}

/* What a link names stays. */
static void test_remove(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "gone");

    (void)state;
    hr_test_ok(hr_folder_remove(folder)); /* there is none */
    hr_test_ok(hr_folder_create(hr_test_path(folder, "a/b")));
    hr_test_ok(hr_folder_create(hr_test_path(base, "kept")));
    make(folder, "a/b/1");
    make(base, "kept/2");
    assert_int_equal(symlink("../kept", hr_test_path(folder, "link")), 0);
    hr_fault_set("file.unlink:1");
    hr_test_fails(HR_ERR_IO, "cannot remove ", hr_folder_remove(folder));
    hr_fault_set(NULL);
    hr_test_release_log();
    hr_test_ok(hr_folder_remove(folder));
    assert_int_equal(access(folder, F_OK), -1);
    assert_int_equal(access(hr_test_path(base, "kept/2"), F_OK), 0);
}

static void test_move(void **state)
{
    const char *base = hr_test_folder(), *to = hr_test_path(base, "b/2");

    (void)state;
    make(base, "1");
    hr_test_fails(HR_ERR_IO, "1 to ", hr_path_move(hr_test_path(base, "1"), to));
    hr_test_ok(hr_folder_create(hr_test_path(base, "b")));
    hr_test_ok(hr_path_move(hr_test_path(base, "1"), to));
    assert_int_equal(access(to, F_OK), 0);
    hr_fault_set("file.rename:1");
    hr_test_fails(HR_ERR_IO, "cannot move ", hr_path_move(to, hr_test_path(base, "3")));
    /* The name is there, but may be gone after a crash. */
    hr_fault_set("file.sync:1");
    hr_test_fails(HR_ERR_IO, "cannot flush the folder ",
                  hr_path_move(to, hr_test_path(base, "b/3")));
    hr_fault_set(NULL);
    hr_test_release_log();
}

static void test_clear(void **state)
{
    const char *folder = hr_test_folder();
    static const char *const names[] = {"rank-0.log", "rank-12.log", "rank-.logs", "log",
                                        "a-rank-0.log"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        make(folder, names[i]);
    hr_test_ok(hr_folder_create(hr_test_path(folder, "rank-a-folder.log")));
    hr_test_ok(hr_folder_clear(folder, "rank-", ".log"));
    assert_int_equal(rmdir(hr_test_path(folder, "rank-a-folder.log")), 0);
    assert_int_equal(hr_test_count_entries(folder), 3);
    hr_test_ok(hr_folder_clear(hr_test_path(folder, "none"), "rank-", ".log"));
    hr_test_fails(HR_ERR_IO, "cannot read folder ",
                  hr_folder_clear(hr_test_path(folder, "log"), "rank-", ".log"));
    hr_test_release_log();
    hr_test_ok(hr_file_remove(hr_test_path(folder, "log")));
    hr_test_ok(hr_file_remove(hr_test_path(folder, "log")));
    assert_int_equal(hr_test_count_entries(folder), 2);
}

static void test_has_more(void **state)
{
    const char *folder = hr_test_folder();

    (void)state;
    assert_false(hr_folder_has_more(folder, NULL));
    make(folder, "lock");
    assert_false(hr_folder_has_more(folder, "lock"));
    assert_true(hr_folder_has_more(folder, NULL));
    make(folder, "x");
    assert_true(hr_folder_has_more(folder, "lock"));
    assert_false(hr_folder_has_more(hr_test_path(folder, "none"), NULL));
}

static void test_disk(void **state)
{
    const char *folder = hr_test_folder();
    uint64_t bytes = 0;

    (void)state;
    hr_test_ok(hr_disk_available(folder, &bytes));
    assert_true(bytes > 0);
    hr_test_ok(hr_disk_require(folder, 1, "a test"));
    hr_test_fails(HR_ERR_NOMEM, ": a film needs 18.4 EB of disk, ",
                  hr_disk_require(folder, UINT64_MAX, "a film"));
    hr_test_fails(HR_ERR_IO, "No such file",
                  hr_disk_available(hr_test_path(folder, "none"), &bytes));
    hr_test_release_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_create, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_remove, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_move, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_clear, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_has_more, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_disk, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
