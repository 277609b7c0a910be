/* Closed segments of a film: the joined film's bytes do not depend on interruptions, and
 * it plays like one in one piece. */
#include "io/film_case.h"
#include "io/frames.h"
#include "io/video.h"
#include "support/movie.h"
#include "support/test_util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void test_where_segments_end(void **state)
{
    hr_film film = film_case_of(1441, HR_JOB_MP4);

    (void)state;
    assert_int_equal(hr_film_segment_end(&film, 0), 97);
    assert_int_equal(hr_film_segment_end(&film, 1), 193);
    assert_int_equal(hr_film_segment_end(&film, 14), 1441);
    assert_int_equal(hr_film_segment_end(&film, 15), 1441);
    assert_int_equal(hr_film_segment_end(&film, INT64_MAX), 1441);
    for (film.per_latent = 1; film.per_latent <= 16; film.per_latent++)
        for (int64_t i = 0, begin = 0, end = 0; end < film.n_pictures; i++, begin = end) {
            end = hr_film_segment_end(&film, i);
            if (end == film.n_pictures)
                break;
            assert_int_equal((end - 1) % film.per_latent, 0); /* begins a latent frame */
            assert_true(end - begin >= HR_SEGMENT_PICTURES);
            assert_true(end - begin < HR_SEGMENT_PICTURES + film.per_latent);
        }
    film.n_pictures = 5;
    assert_int_equal(hr_film_segment_end(&film, 0), 5);
}

/* Segments 0..96, 97..192 and 193..204, stopped everywhere that matters. */
static void test_bytes_do_not_depend_on_interruptions(void **state)
{
    static const int64_t stops[] = {0, 1, 96, 97, 98, 150, 192, 193, 204};
    static const int64_t kept[] = {0, 0, 0, 97, 97, 97, 97, 193, 193};
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *whole = hr_test_path(base, "whole.mp4");
    const char *stopped = hr_test_path(base, "stopped.mp4");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4);

    (void)state;
    film_case_rest(folder, &film, whole);
    assert_int_equal(hr_test_count_entries(base), 1); /* no folder is left */
    for (int i = 0; i < 9; i++) {
        hr_segments_writer *writer;

        film_case_part(folder, &film, stops[i]);
        writer = film_case_open(folder, &film);
        assert_int_equal(hr_segments_done(writer), kept[i]);
        hr_segments_close(writer);
    }
    film_case_rest(folder, &film, stopped);
    hr_test_same_files(whole, stopped);
    assert_int_equal(hr_test_count_entries(base), 2);
    film_case_part(folder, &film, FILM_PICTURES); /* only the joining is left to do */
    film_case_rest(folder, &film, stopped);
    hr_test_same_files(whole, stopped);
}

/* The joined film against its segments: the same pictures, one after another. */
static void test_plays_like_one_piece(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *path = hr_test_path(base, "film.mp4");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4);
    hr_test_movie parts[3], movie;
    double frame = 1001.0 / 24000;
    const uint8_t *at;

    (void)state;
    film_case_part(folder, &film, FILM_PICTURES);
    for (int i = 0; i < 3; i++) {
        char name[16];

        snprintf(name, sizeof name, "%04d.mp4", i);
        parts[i] = hr_test_movie_read(hr_test_path(folder, name));
    }
    assert_int_equal(parts[0].n_frames, 97);
    assert_int_equal(parts[1].n_frames, 96);
    assert_int_equal(parts[2].n_frames, 12);
    film_case_rest(folder, &film, path);
    movie = hr_test_movie_read(path);
    assert_int_equal(movie.n_frames, FILM_PICTURES);
    assert_int_equal(movie.fps_numerator, 24000);
    assert_int_equal(movie.fps_denominator, 1001);
    assert_true(movie.first_seconds == 0);
    assert_true(fabs(movie.longest_seconds - frame) < 1e-9);
    assert_true(fabs(movie.shortest_seconds - frame) < 1e-9);
    assert_true(fabs(movie.seconds - FILM_PICTURES * frame) < 1e-3);
    assert_string_equal(movie.primaries, "bt709");
    assert_string_equal(movie.range, "tv");
    at = movie.rgb;
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(at, parts[i].rgb, (size_t)(parts[i].n_frames * FILM_VALUES));
        at += parts[i].n_frames * FILM_VALUES;
        hr_test_movie_free(&parts[i]);
    }
    hr_test_movie_free(&movie);
}

/* A film of one segment is the one that a single encoder writes. */
static void test_one_segment(void **state)
{
    static const int64_t lengths[] = {1, 2, 5, 97};
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *plain = hr_test_path(base, "plain.mp4");
    const char *joined = hr_test_path(base, "joined.mp4");
    const hr_video_options options = {FILM_WIDTH, FILM_HEIGHT, 23.976};

    (void)state;
    for (int i = 0; i < 4; i++) {
        hr_film film = film_case_of(lengths[i], HR_JOB_MP4);
        hr_video_writer *writer;
        float rgb[FILM_VALUES];

        hr_test_ok(hr_video_begin(plain, &options, &writer));
        for (int64_t t = 0; t < lengths[i]; t++) {
            film_case_paint(rgb, t);
            hr_test_ok(hr_video_append(writer, rgb));
        }
        hr_test_ok(hr_video_finish(writer));
        film_case_rest(folder, &film, joined);
        hr_test_same_files(plain, joined);
    }
}

/* A short last segment: its encoder decodes less far ahead than those before. */
static void test_short_last_segments(void **state)
{
    static const int64_t lengths[] = {98, 99, 101};
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *path = hr_test_path(base, "film.mp4");

    (void)state;
    for (int i = 0; i < 3; i++) {
        hr_film film = film_case_of(lengths[i], HR_JOB_MP4);
        hr_test_movie movie;

        film_case_rest(folder, &film, path);
        movie = hr_test_movie_read(path);
        assert_int_equal(movie.n_frames, lengths[i]);
        assert_true(fabs(movie.longest_seconds - 1001.0 / 24000) < 1e-9);
        assert_true(fabs(movie.shortest_seconds - 1001.0 / 24000) < 1e-9);
        hr_test_movie_free(&movie);
    }
}

static void test_pictures(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *frames = hr_test_path(base, "frames");
    const char *made = hr_test_path(folder, "frames");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_PNG);
    hr_segments_writer *writer;
    float rgb[FILM_VALUES];

    (void)state;
    film_case_part(folder, &film, 120);
    assert_int_equal(hr_test_count_entries(made), 120);
    writer = film_case_open(folder, &film); /* goes on behind the first segment */
    assert_int_equal(hr_segments_done(writer), 97);
    assert_int_equal(hr_test_count_entries(made), 97);
    hr_test_ok(film_case_append(writer, 200));
    hr_segments_close(writer);
    assert_int_equal(unlink(hr_test_path(made, "frame-0150.png")), 0);
    hr_test_catch_log();
    writer = film_case_open(folder, &film);
    assert_non_null(strstr(hr_test_log_line(0), "frame-0150.png is missing"));
    hr_test_release_log();
    assert_int_equal(hr_segments_done(writer), 97);
    hr_test_ok(film_case_append(writer, FILM_PICTURES));
    assert_false(access(frames, F_OK) == 0);
    hr_test_ok(hr_segments_finish(writer, frames));
    assert_int_equal(hr_test_count_entries(frames), FILM_PICTURES);
    assert_int_equal(hr_test_count_entries(base), 1);
    for (int64_t i = 0; i < FILM_PICTURES; i += 17) {
        const char *again = hr_test_path(base, "frame-0001.png");
        char name[32];

        film_case_paint(rgb, i);
        hr_test_ok(hr_frames_write(base, 0, rgb, FILM_WIDTH, FILM_HEIGHT));
        snprintf(name, sizeof name, "frame-%04d.png", (int)i + 1);
        hr_test_same_files(again, hr_test_path(hr_test_path(base, "frames"), name));
    }
}

static void test_no_video(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_NO_VIDEO);

    (void)state;
    film_case_part(folder, &film, 200);
    assert_int_equal(hr_test_count_entries(folder), 2);
    film_case_rest(folder, &film, NULL);
    assert_int_equal(hr_test_count_entries(base), 0);
}

/* Of any film; what is not ours stays. */
static void test_drop(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_case_of(FILM_PICTURES, HR_JOB_MP4);

    (void)state;
    hr_test_ok(hr_segments_drop(folder));
    film_case_part(folder, &film, FILM_PICTURES);
    hr_test_write(hr_test_path(folder, ".0003.mp4.part"), "x", 1);
    hr_test_ok(hr_segments_drop(folder));
    assert_int_equal(hr_test_count_entries(base), 0);
    film.kind = HR_JOB_PNG;
    film_case_part(folder, &film, 5);
    hr_test_write(hr_test_path(folder, "0001.notes"), "x", 1);
    hr_test_ok(hr_segments_drop(folder));
    assert_int_equal(hr_test_count_entries(folder), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_segments_end),
        cmocka_unit_test_teardown(test_bytes_do_not_depend_on_interruptions,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_plays_like_one_piece, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_one_segment, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_short_last_segments, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_pictures, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_video, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_drop, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("io/segments", tests, NULL, NULL);
}
