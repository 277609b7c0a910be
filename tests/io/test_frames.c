/* Numbered pictures: written, dropped from one on, moved to their place as a whole. */
#include "base/fault.h"
#include "io/frames.h"
#include "support/test_util.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTH = 4, HEIGHT = 2 };
static const float picture[HEIGHT * WIDTH * 3] = {0.5F, 1.0F};

static bool exists(const char *folder, const char *name)
{
    return access(hr_test_path(folder, name), F_OK) == 0;
}

static void write_film(const char *folder, int n_frames)
{
    mkdir(folder, 0777);
    for (int i = 0; i < n_frames; i++)
        hr_test_ok(hr_frames_write(folder, i, picture, WIDTH, HEIGHT));
}

static void test_names(void **state)
{
    const char *folder = hr_test_folder();

    (void)state;
    write_film(folder, 1);
    hr_test_ok(hr_frames_write(folder, 12344, picture, WIDTH, HEIGHT));
    assert_true(exists(folder, "frame-0001.png"));
    assert_true(exists(folder, "frame-12345.png"));
    assert_int_equal(hr_test_count_entries(folder), 2);
}

static void test_dropped_from_one_on(void **state)
{
    const char *folder = hr_test_folder();

    (void)state;
    write_film(folder, 12);
    hr_test_ok(hr_frames_write(folder, 10000, picture, WIDTH, HEIGHT));
    hr_test_write(hr_test_path(folder, ".frame-0001.png.part"), "x", 1);
    hr_test_write(hr_test_path(folder, "frame-0011.txt"), "x", 1);
    hr_test_write(hr_test_path(folder, "frame-.png"), "x", 1);
    hr_test_ok(hr_frames_drop(folder, 9));
    assert_true(exists(folder, "frame-0009.png"));
    assert_int_equal(hr_test_count_entries(folder), 11); /* nine pictures, two others */
    hr_test_ok(hr_frames_drop(folder, 0));
    assert_int_equal(hr_test_count_entries(folder), 2);
    hr_test_ok(hr_frames_drop(hr_test_path(folder, "no"), 0));
}

static void test_moved_instead_of_an_older_one(void **state)
{
    const char *base = hr_test_folder(), *to = hr_test_path(base, "frames");
    const char *from = hr_test_path(base, "made");

    (void)state;
    write_film(from, 1);
    hr_test_ok(hr_frames_move(from, to));
    write_film(to, 3); /* an older, longer one */
    write_film(from, 2);
    hr_test_ok(hr_frames_move(from, to));
    assert_int_equal(hr_test_count_entries(to), 2);
    assert_int_equal(hr_test_count_entries(base), 1);
    write_film(from, 1);
    hr_fault_set("file.sync:1"); /* of the name */
    hr_test_fails(HR_ERR_IO, "cannot flush the folder ", hr_frames_move(from, to));
    hr_fault_set(NULL);
}

static void test_other_files_are_not_removed(void **state)
{
    const char *base = hr_test_folder(), *to = hr_test_path(base, "frames");
    const char *from = hr_test_path(base, "made");

    (void)state;
    write_film(to, 1);
    write_film(from, 1);
    hr_test_write(hr_test_path(to, "notes.txt"), "x", 1);
    hr_test_fails(HR_ERR_IO, "frames: ", hr_frames_move(from, to));
    assert_true(exists(to, "notes.txt"));
    assert_true(exists(from, "frame-0001.png"));
    hr_test_fails(HR_ERR_IO, "cannot move ",
                  hr_frames_move(from, hr_test_path(base, "no/frames")));
}

static void test_clear_spares_others(void **state)
{
    const char *base = hr_test_folder(), *file = hr_test_path(base, "step-0010.txt");

    (void)state;
    hr_test_write(hr_test_path(base, "step-0005.png"), "x", 1);
    hr_test_write(file, "x", 1);
    hr_test_ok(hr_frames_clear(base, "step-"));
    hr_test_ok(hr_frames_clear(file, "step-"));
    hr_test_ok(hr_frames_clear(hr_test_path(base, "no"), "step-"));
    assert_true(exists(base, "step-0010.txt"));
    assert_int_equal(hr_test_count_entries(base), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_names, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_dropped_from_one_on, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_moved_instead_of_an_older_one,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_other_files_are_not_removed,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_clear_spares_others, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("io/frames", tests, NULL, NULL);
}
