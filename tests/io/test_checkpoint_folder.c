#include "io/checkpoint_folder.h"
#include "support/test_util.h"

#include "base/memory.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make(const char *folder, const char *name)
{
    hr_test_write(hr_test_path(folder, name), "x", 1);
}

/* Names of what the folder's list has, newest first. */
static void lists(const char *folder, const char *const *names, size_t n_names)
{
    char **paths;
    size_t n;

    hr_test_ok(hr_checkpoint_list(folder, &paths, &n));
    assert_int_equal(n, n_names);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(paths[i], hr_test_path(folder, names[i]));
    hr_checkpoint_list_free(paths, n);
}

static void names_sort_by_their_numbers(void **state)
{
    static const char *const expected[] = {"step-12345-123456.h5", "step-0012-100000.h5",
                                           "step-0012-00034.h5",   "step-0012-00033.h5",
                                           "step-0002-00099.h5",   "step-0000-00001.h5"};
    static const char *const others[] = {
        "step-12-34.h5",       "step-0012-00034.h5.old", ".step-0012-00034.h5.part",
        "step-00012-00034.h5", "step-0012-000034.h5",    "xstep-0012-00034.h5",
        "step--001-00034.h5",  "step-0012-00034",        "step-0012- 0034.h5"};
    const char *folder = hr_test_folder();
    char *path;

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        make(folder, others[i]);
    for (size_t i = 0; i < 6; i++)
        make(folder, expected[(i * 5) % 6]);
    lists(folder, expected, 6);
    hr_test_ok(hr_checkpoint_path(folder, 12, 34, &path));
    assert_string_equal(path, hr_test_path(folder, "step-0012-00034.h5"));
    hr_free(path);
}

static void a_folder_without_any(void **state)
{
    const char *folder = hr_test_folder();

    (void)state;
    lists(folder, NULL, 0);
    lists(hr_test_path(folder, "none"), NULL, 0);
    make(folder, "file");
    {
        char **paths;
        size_t n;

        hr_test_fails(HR_ERR_IO, "cannot look into the folder",
                      hr_checkpoint_list(hr_test_path(folder, "file"), &paths, &n));
    }
}

static void the_newest_are_kept(void **state)
{
    static const char *const names[] = {"step-0001-00010.h5",
                                        "step-0001-00012.h5",
                                        "step-0002-00020.h5",
                                        "step-0003-00030.h5",
                                        ".step-0004-00040.h5.part",
                                        ".step-0004-00041.h5.part.locktest.0",
                                        "latents.h5"};
    static const char *const left[] = {"step-0002-00020.h5", "step-0001-00012.h5"};
    const char *folder = hr_test_folder();

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        make(folder, names[i]);
    /* step 3 is of a past that was given up: it was damaged. */
    hr_test_ok(hr_checkpoint_prune(folder, hr_test_path(folder, left[0]), 2));
    lists(folder, left, 2);
    assert_int_equal(hr_test_count_entries(folder), 3);
    hr_test_ok(hr_checkpoint_prune(folder, hr_test_path(folder, left[0]), 2));
    lists(folder, left, 2);
    hr_test_ok(hr_checkpoint_prune(folder, hr_test_path(folder, left[0]), 1));
    lists(folder, left, 1);
}

static void what_cannot_be_removed_is_told(void **state)
{
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "step-0003-00030.h5");

    (void)state;
    assert_int_equal(mkdir(path, 0700), 0);
    hr_test_fails(HR_ERR_IO, path,
                  hr_checkpoint_prune(folder, "a/step-0002-00020.h5", 2));
    hr_test_fails(HR_ERR_INTERNAL, "is not a checkpoint's name",
                  hr_checkpoint_prune(folder, "latents.h5", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(names_sort_by_their_numbers, hr_test_leak_teardown),
        cmocka_unit_test_teardown(a_folder_without_any, hr_test_leak_teardown),
        cmocka_unit_test_teardown(the_newest_are_kept, hr_test_leak_teardown),
        cmocka_unit_test_teardown(what_cannot_be_removed_is_told, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("folder of checkpoints", tests, NULL, NULL);
}
