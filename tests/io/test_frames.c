/* Numbered pictures: a folder that is there whole or not at all. */
#include "io/frames.h"
#include "support/test_util.h"

#include <stdbool.h>
#include <unistd.h>

enum { WIDTH = 4, HEIGHT = 2 };
static const float picture[HEIGHT * WIDTH * 3] = {0.5F, 1.0F};

static bool exists(const char *folder, const char *name)
{
    return access(hr_test_path(folder, name), F_OK) == 0;
}

static void write_film(const char *folder, int n_frames)
{
    hr_frames_writer *writer;

    hr_test_ok(hr_frames_begin(folder, WIDTH, HEIGHT, &writer));
    for (int i = 0; i < n_frames; i++)
        hr_test_ok(hr_frames_append(writer, picture));
    assert_int_equal(access(hr_test_path(folder, "frame-0003.png"), F_OK), -1);
    hr_test_ok(hr_frames_finish(writer));
}

static void test_whole_or_not_at_all(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "frames");
    hr_frames_writer *writer;

    (void)state;
    hr_test_ok(hr_frames_begin(folder, WIDTH, HEIGHT, &writer));
    hr_test_ok(hr_frames_append(writer, picture));
    assert_false(exists(base, "frames"));
    hr_frames_abandon(writer);
    assert_int_equal(hr_test_count_entries(base), 0);
    write_film(folder, 3);
    assert_true(exists(folder, "frame-0003.png"));
    assert_int_equal(hr_test_count_entries(base), 1);
}

static void test_a_shorter_film_replaces_a_longer_one(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "frames");

    (void)state;
    write_film(folder, 3);
    unlink(hr_test_path(folder, "frame-0003.png"));
    write_film(folder, 1);
    assert_int_equal(hr_test_count_entries(folder), 1);
}

static void test_what_a_killed_writer_left(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "frames");

    (void)state;
    write_film(hr_test_path(base, ".frames.part"), 2);
    write_film(folder, 1);
    assert_int_equal(hr_test_count_entries(folder), 1);
    assert_int_equal(hr_test_count_entries(base), 1);
}

static void test_other_files_are_not_removed(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "frames");
    hr_frames_writer *writer;

    (void)state;
    write_film(folder, 1);
    hr_test_write(hr_test_path(folder, "notes.txt"), "x", 1);
    hr_test_ok(hr_frames_begin(folder, WIDTH, HEIGHT, &writer));
    hr_test_ok(hr_frames_append(writer, picture));
    hr_test_fails(HR_ERR_IO, "frames: ", hr_frames_finish(writer));
    assert_true(exists(folder, "notes.txt"));
    hr_test_release_log();
    hr_test_fails(
        HR_ERR_IO, "cannot make folder",
        hr_frames_begin(hr_test_path(base, "no/frames"), WIDTH, HEIGHT, &writer));
    hr_test_release_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_whole_or_not_at_all, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_shorter_film_replaces_a_longer_one,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_what_a_killed_writer_left, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_other_files_are_not_removed,
                                  hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("io/frames", tests, NULL, NULL);
}
