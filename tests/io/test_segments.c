/* Closed segments of a film: the joined film's bytes do not depend on interruptions, and
 * it plays like one in one piece; what is damaged is named and made anew. */
#include "io/frames.h"
#include "io/segments.h"
#include "io/video.h"
#include "support/movie.h"
#include "support/test_util.h"

#include "base/fault.h"
#include "base/memory.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { WIDTH = 48, HEIGHT = 32, VALUES = WIDTH * HEIGHT * 3, N = 205, MAX_DONE = 512 };

static hr_film film_of(int64_t n, hr_job_video kind)
{
    return (hr_film){.n_pictures = n,
                     .height = HEIGHT,
                     .width = WIDTH,
                     .per_latent = 4,
                     .fps = 23.976,
                     .kind = kind,
                     .source = {1, 2}};
}

/* Something that moves, with some grain. */
static void paint(float *rgb, int64_t picture)
{
    for (int64_t i = 0; i < VALUES; i++) {
        float x = (float)(i / 3 % WIDTH), y = (float)(i / 3 / WIDTH);
        float grain = (float)((i / 3 * 7919 + picture * 104729) % 1013) / 1013;

        rgb[i] =
            0.06F * grain + 0.45F * (1 + sinf(0.1F * (x + (float)picture) + 0.2F * y));
    }
}

static hr_hash hash_of(int64_t picture)
{
    return (hr_hash){(uint64_t)picture * 3 + 1, 77};
}

/* What a writer said to be done. */
typedef struct told {
    int64_t n;
    hr_hash hashes[MAX_DONE];
} told;

static void tell(void *user, int64_t picture, hr_hash hash)
{
    told *t = user;

    assert_int_equal(picture, t->n);
    t->hashes[t->n++] = hash;
}

/* Opens and checks what is said to be done. */
static hr_segments_writer *open_film(const char *folder, const hr_film *film)
{
    hr_segments_writer *writer = NULL;
    told *t = hr_alloc(sizeof *t);

    hr_test_ok(hr_segments_open(folder, film, tell, t, &writer));
    assert_int_equal(t->n, hr_segments_done(writer));
    for (int64_t i = 0; i < t->n; i++)
        assert_true(hr_hash_equal(t->hashes[i], hash_of(i)));
    hr_free(t);
    return writer;
}

/* Appends until `end` pictures are there. */
static hr_status append_to(hr_segments_writer *writer, int64_t end)
{
    float rgb[VALUES];

    for (int64_t i = hr_segments_done(writer); i < end; i++) {
        paint(rgb, i);
        HR_TRY(hr_segments_append(writer, rgb, hash_of(i)));
    }
    return HR_OK;
}

/* Begins, or goes on, and stops when `end` pictures were appended. */
static void make_part(const char *folder, const hr_film *film, int64_t end)
{
    hr_segments_writer *writer = open_film(folder, film);

    hr_test_ok(append_to(writer, end));
    hr_segments_close(writer);
}

/* Begins, or goes on, to the end. */
static void make_rest(const char *folder, const hr_film *film, const char *path)
{
    hr_segments_writer *writer = open_film(folder, film);

    hr_test_ok(append_to(writer, film->n_pictures));
    hr_test_ok(hr_segments_finish(writer, path));
}

static void check_same_files(const char *a, const char *b)
{
    size_t n_a, n_b;
    char *of_a = hr_test_read(a, &n_a), *of_b = hr_test_read(b, &n_b);

    assert_int_equal(n_a, n_b);
    assert_memory_equal(of_a, of_b, n_a);
    hr_free(of_a);
    hr_free(of_b);
}

static void test_where_segments_end(void **state)
{
    hr_film film = film_of(1441, HR_JOB_MP4);

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
    hr_film film = film_of(N, HR_JOB_MP4);

    (void)state;
    make_rest(folder, &film, whole);
    assert_int_equal(hr_test_count_entries(base), 1); /* no folder is left */
    for (int i = 0; i < 9; i++) {
        hr_segments_writer *writer;

        make_part(folder, &film, stops[i]);
        writer = open_film(folder, &film);
        assert_int_equal(hr_segments_done(writer), kept[i]);
        hr_segments_close(writer);
    }
    make_rest(folder, &film, stopped);
    check_same_files(whole, stopped);
    assert_int_equal(hr_test_count_entries(base), 2);
    make_part(folder, &film, N); /* only the joining is left to do */
    make_rest(folder, &film, stopped);
    check_same_files(whole, stopped);
}

/* The joined film against its segments: the same pictures, one after another. */
static void test_plays_like_one_piece(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *path = hr_test_path(base, "film.mp4");
    hr_film film = film_of(N, HR_JOB_MP4);
    hr_test_movie parts[3], movie;
    double frame = 1001.0 / 24000;
    const uint8_t *at;

    (void)state;
    make_part(folder, &film, N);
    for (int i = 0; i < 3; i++) {
        char name[16];

        snprintf(name, sizeof name, "%04d.mp4", i);
        parts[i] = hr_test_movie_read(hr_test_path(folder, name));
    }
    assert_int_equal(parts[0].n_frames, 97);
    assert_int_equal(parts[1].n_frames, 96);
    assert_int_equal(parts[2].n_frames, 12);
    make_rest(folder, &film, path);
    movie = hr_test_movie_read(path);
    assert_int_equal(movie.n_frames, N);
    assert_int_equal(movie.fps_numerator, 24000);
    assert_int_equal(movie.fps_denominator, 1001);
    assert_true(movie.first_seconds == 0);
    assert_true(fabs(movie.longest_seconds - frame) < 1e-9);
    assert_true(fabs(movie.shortest_seconds - frame) < 1e-9);
    assert_true(fabs(movie.seconds - N * frame) < 1e-3);
    assert_string_equal(movie.primaries, "bt709");
    assert_string_equal(movie.range, "tv");
    at = movie.rgb;
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(at, parts[i].rgb, (size_t)(parts[i].n_frames * VALUES));
        at += parts[i].n_frames * VALUES;
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
    const hr_video_options options = {WIDTH, HEIGHT, 23.976};

    (void)state;
    for (int i = 0; i < 4; i++) {
        hr_film film = film_of(lengths[i], HR_JOB_MP4);
        hr_video_writer *writer;
        float rgb[VALUES];

        hr_test_ok(hr_video_begin(plain, &options, &writer));
        for (int64_t t = 0; t < lengths[i]; t++) {
            paint(rgb, t);
            hr_test_ok(hr_video_append(writer, rgb));
        }
        hr_test_ok(hr_video_finish(writer));
        make_rest(folder, &film, joined);
        check_same_files(plain, joined);
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
        hr_film film = film_of(lengths[i], HR_JOB_MP4);
        hr_test_movie movie;

        make_rest(folder, &film, path);
        movie = hr_test_movie_read(path);
        assert_int_equal(movie.n_frames, lengths[i]);
        assert_true(fabs(movie.longest_seconds - 1001.0 / 24000) < 1e-9);
        assert_true(fabs(movie.shortest_seconds - 1001.0 / 24000) < 1e-9);
        hr_test_movie_free(&movie);
    }
}

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

    make_part(folder, film, N);
    do_damage(folder, d);
    hr_test_catch_log();
    writer = open_film(folder, film);
    assert_int_equal(hr_test_log_lines(), d->line != NULL ? 1 : 0);
    if (d->line != NULL && strstr(hr_test_log_line(0), d->line) == NULL)
        fail_msg("%s: %s", d->file, hr_test_log_line(0));
    hr_test_release_log();
    assert_int_equal(hr_segments_done(writer), d->kept);
    hr_segments_close(writer);
    make_rest(folder, film, path);
    check_same_files(path, whole);
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
    hr_film film = film_of(N, HR_JOB_MP4);

    (void)state;
    make_rest(folder, &film, hr_test_path(base, "whole.mp4"));
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        check_damage(base, &film, &damages[i]);
}

/* Segments of another film in the folder are said to be and not taken. */
static void test_of_another_film(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *path = hr_test_path(base, "film.mp4");
    hr_film film = film_of(N, HR_JOB_MP4), others[4];
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

        make_part(folder, &others[i], 196);
        hr_test_catch_log();
        writer = open_film(folder, &film);
        assert_int_equal(hr_test_log_lines(), 1);
        assert_non_null(
            strstr(hr_test_log_line(0), "0000.txt is damaged, or of another"));
        hr_test_release_log();
        assert_int_equal(hr_segments_done(writer), 0);
        hr_segments_close(writer);
        assert_int_equal(hr_test_count_entries(folder), 0);
    }
    make_rest(folder, &film, path);
    movie = hr_test_movie_read(path);
    assert_int_equal(movie.n_frames, N);
    hr_test_movie_free(&movie);
}

static void test_pictures(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *frames = hr_test_path(base, "frames");
    const char *made = hr_test_path(folder, "frames");
    hr_film film = film_of(N, HR_JOB_PNG);
    hr_segments_writer *writer;
    float rgb[VALUES];

    (void)state;
    make_part(folder, &film, 120);
    assert_int_equal(hr_test_count_entries(made), 120);
    writer = open_film(folder, &film); /* goes on behind the first segment */
    assert_int_equal(hr_segments_done(writer), 97);
    assert_int_equal(hr_test_count_entries(made), 97);
    hr_test_ok(append_to(writer, 200));
    hr_segments_close(writer);
    assert_int_equal(unlink(hr_test_path(made, "frame-0150.png")), 0);
    hr_test_catch_log();
    writer = open_film(folder, &film);
    assert_non_null(strstr(hr_test_log_line(0), "frame-0150.png is missing"));
    hr_test_release_log();
    assert_int_equal(hr_segments_done(writer), 97);
    hr_test_ok(append_to(writer, N));
    assert_false(access(frames, F_OK) == 0);
    hr_test_ok(hr_segments_finish(writer, frames));
    assert_int_equal(hr_test_count_entries(frames), N);
    assert_int_equal(hr_test_count_entries(base), 1);
    for (int64_t i = 0; i < N; i += 17) {
        const char *again = hr_test_path(base, "frame-0001.png");
        char name[32];

        paint(rgb, i);
        hr_test_ok(hr_frames_write(base, 0, rgb, WIDTH, HEIGHT));
        snprintf(name, sizeof name, "frame-%04d.png", (int)i + 1);
        check_same_files(again, hr_test_path(hr_test_path(base, "frames"), name));
    }
}

static void test_no_video(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_of(N, HR_JOB_NO_VIDEO);

    (void)state;
    make_part(folder, &film, 200);
    assert_int_equal(hr_test_count_entries(folder), 2);
    make_rest(folder, &film, NULL);
    assert_int_equal(hr_test_count_entries(base), 0);
}

/* The disk fills up while the second segment is encoded: one line; the first stays. */
static void test_a_full_disk(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    const char *whole = hr_test_path(base, "whole.mp4"),
               *path = hr_test_path(base, "film.mp4");
    hr_film film = film_of(N, HR_JOB_MP4);
    struct rlimit before, small;
    hr_segments_writer *writer;

    (void)state;
    make_rest(folder, &film, whole);
    make_part(folder, &film, 97);
    writer = open_film(folder, &film);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 2000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hr_test_fails(HR_ERR_IO, "0001.mp4: File too large", append_to(writer, N));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    hr_segments_close(writer);
    assert_int_equal(hr_test_count_entries(folder), 2);
    make_rest(folder, &film, path);
    check_same_files(whole, path);
}

/* Says how much is wanted and how much there is. */
static void test_no_space_left(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_of(N, HR_JOB_MP4);
    hr_segments_writer *writer;

    (void)state;
    make_part(folder, &film, 97);
    writer = open_film(folder, &film);
    hr_fault_set("file.write:1");
    hr_test_fails(HR_ERR_IO, "0001.mp4: No space left on device (", append_to(writer, N));
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
        hr_status status = append_to(writer, i + 1);

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
    hr_film film = film_of(99, HR_JOB_MP4);
    int n_failed = 0;

    (void)state;
    make_rest(hr_test_path(base, "s"), &film, hr_test_path(base, "whole.mp4"));
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
            make_rest(folder, &film, path);
        check_same_files(hr_test_path(base, "whole.mp4"), path);
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
    hr_film film = film_of(N, HR_JOB_MP4);
    struct rlimit before, small;
    hr_segments_writer *writer;

    (void)state;
    make_part(folder, &film, N);
    writer = open_film(folder, &film);
    assert_int_equal(hr_segments_done(writer), N);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 2000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hr_test_fails(HR_ERR_IO, "film.mp4: File too large",
                  hr_segments_finish(writer, path));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(hr_test_count_entries(base), 1);
    assert_int_equal(hr_test_count_entries(folder), 6);
    make_rest(folder, &film, path);
    assert_int_equal(hr_test_count_entries(base), 1);
}

static void test_no_room_for_the_rest(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_of((int64_t)1 << 40, HR_JOB_MP4);
    hr_segments_writer *writer;

    (void)state;
    hr_test_fails(HR_ERR_NOMEM, "segments: the rest of the film needs",
                  hr_segments_open(folder, &film, NULL, NULL, &writer));
}

static void test_wrong_numbers_of_pictures(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_of(3, HR_JOB_NO_VIDEO);
    hr_segments_writer *writer = open_film(folder, &film);
    float rgb[VALUES] = {0};

    (void)state;
    hr_test_ok(append_to(writer, 2));
    hr_test_fails(HR_ERR_INTERNAL, "2 of 3 pictures were saved",
                  hr_segments_finish(writer, NULL));
    writer = open_film(folder, &film);
    hr_test_ok(append_to(writer, 3));
    hr_test_fails(HR_ERR_INTERNAL, "more pictures than the film has",
                  hr_segments_append(writer, rgb, hash_of(3)));
    hr_segments_close(writer);
}

/* Of any film; what is not ours stays. */
static void test_drop(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "segments");
    hr_film film = film_of(N, HR_JOB_MP4);

    (void)state;
    hr_test_ok(hr_segments_drop(folder));
    make_part(folder, &film, N);
    hr_test_write(hr_test_path(folder, ".0003.mp4.part"), "x", 1);
    hr_test_ok(hr_segments_drop(folder));
    assert_int_equal(hr_test_count_entries(base), 0);
    film.kind = HR_JOB_PNG;
    make_part(folder, &film, 5);
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
        cmocka_unit_test_teardown(test_damaged_segments, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_of_another_film, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_pictures, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_video, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_full_disk, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_space_left, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_calls_fail, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_full_disk_at_the_end, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_no_room_for_the_rest, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_wrong_numbers_of_pictures, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_drop, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("io/segments", tests, NULL, NULL);
}
