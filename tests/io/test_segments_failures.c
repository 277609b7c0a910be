/* Closed segments of a film: what is damaged or of another film is named and made anew,
 * and what was closed before a failure stays. */
#include "io/film_case.h"
#include "support/movie.h"
#include "support/test_util.h"

#include "base/fault.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Something that happened to a segment's file. */
typedef struct damage {
    const char *file;
    long flip; /* this byte, from the end where negative */
    long cut;  /* to so many bytes, where not negative */
    bool is_gone;
    const char *line; /* what is said */
    int64_t kept;     /* pictures */
} damage;

static void do_damage(const char *folder, const damage *d)
{
    const char *path = hr_test_path(folder, d->file);
    size_t n;
    char *data;

    if (d->is_gone) {
        assert_int_equal(unlink(path), 0);
        return;
    }
    data = hr_test_read(path, &n);
    if (d->cut >= 0)
        n = (size_t)d->cut;
    else
        data[d->flip >= 0 ? d->flip : (long)n + d->flip] ^= 1;
    hr_test_write(path, data, n);
    hr_free(data);
}

static void check_damage(const char *base, const hr_film *film, const damage *d)
{
    const char *whole = hr_test_path(base, "whole.mp4");
    const char *folder = hr_test_path(base, "segments");
    const char *path = hr_test_path(base, "again.mp4");
    hr_segments_writer *writer;

    film_case_part(folder, film, FILM_PICTURES);
    do_damage(folder, d);
    hr_test_catch_log();
    writer = film_case_open(folder, film);
    assert_int_equal(hr_test_log_lines(), d->line != NULL ? 1 : 0);
    if (d->line != NULL && strstr(hr_test_log_line(0), d->line) == NULL)
        fail_msg("%s: %s", d->file, hr_test_log_line(0));
    hr_test_release_log();
    assert_int_equal(hr_segments_done(writer), d->kept);
    hr_segments_close(writer);
    film_case_rest(folder, film, path);
    hr_test_same_files(path, whole);
}

static void test_damaged_segments(void **state)
{
    static const damage damages[] = {
        {"0001.txt", 40, -1, false,
         "0001.txt is damaged, or of another film or encoder: the film is made anew from "
         "picture 98 on",
         97},
        {"0001.txt", -40, -1, false, "0001.txt is damaged", 97}, /* a picture's hash */
        {"0001.txt", 0, 300, false, "0001.txt is not what was written", 97},
        {"0000.txt", 0, 0, false, "0000.txt is not what was written", 0},
        {"0001.txt", 0, -1, true, "0001.txt is missing", 97},
        {"0000.mp4", 0, -1, true, "0000.mp4 is missing", 0},
        {"0001.mp4", 500, -1, false, "0001.mp4 has changed since", 97},
        {"0001.mp4", 0, 500, false, "0001.mp4 has changed since", 97},
        {"0002.mp4", 0, 0, false, "0002.mp4 has changed since", 193},
        {"0002.txt", 0, -1, true, NULL, 193}, /* as when it was killed just before */
    };
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4);

    (void)state;
    film_case_rest(folder, &film, hr_test_path(base, "whole.mp4"));
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        check_damage(base, &film, &damages[i]);
}

/* Segments of another film in the folder are said to be and not taken. */
static void test_of_another_film(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *path = hr_test_path(base, "film.mp4");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4), others[4];
    hr_test_movie movie;

    (void)state;
    for (int i = 0; i < 4; i++)
        others[i] = film;
    others[0].source.low++;
    others[1].fps = 24;
    others[2].n_pictures = 400;
    others[3].kind = HR_JOB_NO_VIDEO;
    for (int i = 0; i < 4; i++) {
        hr_segments_writer *writer;

        film_case_part(folder, &others[i], 196);
        hr_test_catch_log();
        writer = film_case_open(folder, &film);
        assert_int_equal(hr_test_log_lines(), 1);
        assert_non_null(
            strstr(hr_test_log_line(0), "0000.txt is damaged, or of another"));
        hr_test_release_log();
        assert_int_equal(hr_segments_done(writer), 0);
        hr_segments_close(writer);
        assert_int_equal(hr_test_count_entries(folder), 0);
    }
    film_case_rest(folder, &film, path);
    movie = hr_test_movie_read(path);
    assert_int_equal(movie.n_frames, FILM_PICTURES);
    hr_test_movie_free(&movie);
}

/* The disk fills up while the second segment is encoded: one line; the first stays. */
static void test_a_full_disk(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *whole = hr_test_path(base, "whole.mp4"),
               *path = hr_test_path(base, "film.mp4");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4);
    hr_segments_writer *writer;

    (void)state;
    film_case_rest(folder, &film, whole);
    film_case_part(folder, &film, 97);
    writer = film_case_open(folder, &film);
    hr_test_limit_files(2000);
    hr_test_fails(HR_ERR_IO, "0001.mp4: File too large",
                  film_case_append(writer, FILM_PICTURES));
    hr_test_limit_files(UINT64_MAX);
    hr_segments_close(writer);
    assert_int_equal(hr_test_count_entries(folder), 2);
    film_case_rest(folder, &film, path);
    hr_test_same_files(whole, path);
}

/* Says how much is wanted and how much there is. */
static void test_no_space_left(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4);
    hr_segments_writer *writer;

    (void)state;
    film_case_part(folder, &film, 97);
    writer = film_case_open(folder, &film);
    hr_fault_set("file.write:1");
    hr_test_fails(HR_ERR_IO, "0001.mp4: No space left on device (",
                  film_case_append(writer, FILM_PICTURES));
    hr_fault_set(NULL);
    assert_non_null(strstr(hr_test_log_line(0), " bytes more needed, "));
    assert_non_null(strstr(hr_test_log_line(0), " free)"));
    hr_segments_close(writer);
    assert_int_equal(hr_test_count_entries(folder), 2);
}

/* Begins and ends a film, or goes on with one; one line when that fails. */
static hr_status try_film(const char *folder, const hr_film *film, const char *path)
{
    hr_segments_writer *writer;

    HR_TRY(hr_segments_open(folder, film, NULL, NULL, &writer));
    for (int64_t i = 0; i < film->n_pictures; i++) {
        hr_status status = film_case_append(writer, i + 1);

        if (status != HR_OK) {
            hr_segments_close(writer);
            return status;
        }
    }
    return hr_segments_finish(writer, path);
}

/* Each kind of call of libav and of the system fails once, early and later: one line, no
 * leak, and the next try makes the same film. */
static void test_calls_fail(void **state)
{
    static const char *const points[] = {"av.open",     "av.alloc",     "av.encode",
                                         "av.write",    "av.read",      "file.open",
                                         "file.sync",   "file.rename",  "file.stat",
                                         "file.unlink", "file.opendir", "file.rmdir"};
    static const int passes[] = {1, 2, 3, 5, 8, 13};
    const char *base = hr_test_folder();
    hr_film film = film_case_of(99, HR_JOB_MP4);
    int n_failed = 0;

    (void)state;
    film_case_rest(hr_test_path(base, "s"), &film, hr_test_path(base, "whole.mp4"));
    for (int i = 0; i < 12 * 6; i++) {
        const char *folder = hr_test_path(base, "s"), *path = hr_test_path(base, "a.mp4");
        char rule[32];
        hr_status status;

        snprintf(rule, sizeof rule, "%s:%d", points[i / 6], passes[i % 6]);
        hr_test_catch_log();
        hr_fault_set(rule);
        status = try_film(folder, &film, path);
        hr_fault_set(NULL);
        if (hr_test_log_lines() != (status != HR_OK ? 1 : 0))
            fail_msg("%s: %s, %d lines", rule, hr_status_name(status),
                     (int)hr_test_log_lines());
        hr_test_release_log();
        n_failed += status != HR_OK;
        if (status != HR_OK)
            film_case_rest(folder, &film, path);
        hr_test_same_files(hr_test_path(base, "whole.mp4"), path);
        assert_int_equal(hr_test_count_entries(base), 2);
    }
    print_message("%d of 72 calls failed\n", n_failed);
    assert_true(n_failed > 40);
}

/* While the film is joined: the segments stay. */
static void test_a_full_disk_at_the_end(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *path = hr_test_path(base, "film.mp4");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4);
    hr_segments_writer *writer;

    (void)state;
    film_case_part(folder, &film, FILM_PICTURES);
    writer = film_case_open(folder, &film);
    assert_int_equal(hr_segments_done(writer), FILM_PICTURES);
    hr_test_limit_files(2000);
    hr_test_fails(HR_ERR_IO, "film.mp4: File too large",
                  hr_segments_finish(writer, path));
    hr_test_limit_files(UINT64_MAX);
    assert_int_equal(hr_test_count_entries(base), 1);
    assert_int_equal(hr_test_count_entries(folder), 6);
    film_case_rest(folder, &film, path);
    assert_int_equal(hr_test_count_entries(base), 1);
}

static void test_no_room_for_the_rest(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_case_of((int64_t)1 << 40, HR_JOB_MP4);
    hr_segments_writer *writer;

    (void)state;
    hr_test_fails(HR_ERR_NOMEM, "segments: the rest of the film needs",
                  hr_segments_open(folder, &film, NULL, NULL, &writer));
    film.must_try = true;
    hr_test_ok(hr_segments_open(folder, &film, NULL, NULL, &writer));
    hr_segments_close(writer);
}

static void test_wrong_numbers_of_pictures(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_case_of(3, HR_JOB_NO_VIDEO);
    hr_segments_writer *writer = film_case_open(folder, &film);
    float rgb[FILM_VALUES] = {0};

    (void)state;
    hr_test_ok(film_case_append(writer, 2));
    hr_test_fails(HR_ERR_INTERNAL, "2 of 3 pictures were saved",
                  hr_segments_finish(writer, NULL));
    writer = film_case_open(folder, &film);
    hr_test_ok(film_case_append(writer, 3));
    hr_test_fails(HR_ERR_INTERNAL, "more pictures than the film has",
                  hr_segments_append(writer, rgb, film_case_hash(3)));
    hr_segments_close(writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_damaged_segments, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_of_another_film, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_full_disk, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_space_left, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_calls_fail, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_full_disk_at_the_end, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_room_for_the_rest, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_wrong_numbers_of_pictures, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("io/segments_failures", tests, NULL, NULL);
}
