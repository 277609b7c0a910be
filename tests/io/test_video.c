#include "io/video.h"
#include "support/movie.h"
#include "support/test_util.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static const float palette[][3] = {{0, 0, 0},          {1, 1, 1},      {1, 0, 0},
                                   {0, 1, 0},          {0, 0, 1},      {0.5F, 0.5F, 0.5F},
                                   {0.9F, 0.6F, 0.2F}, {0, 0.5F, 0.5F}};
enum { N_COLOURS = sizeof palette / sizeof *palette };

static float *new_frame(int64_t width, int64_t height)
{
    float *rgb = hr_alloc((size_t)(width * height * 3) * sizeof *rgb);

    assert_non_null(rgb);
    return rgb;
}

static void paint(float *rgb, int64_t width, int64_t height, const float colour[3])
{
    for (int64_t i = 0; i < width * height * 3; i++)
        rgb[i] = colour[i % 3];
}

/* Something that moves and is not easy to compress. */
static void paint_moving(float *rgb, int64_t width, int64_t height, int frame)
{
    for (int64_t i = 0; i < width * height * 3; i++) {
        float x = (float)(i / 3 % width), y = (float)(i / 3 / width);
        float grain = (float)((i / 3 * 7919 + frame * 104729) % 1013) / 1013;
        rgb[i] = 0.06F * grain + 0.45F * (1 + sinf(0.1F * (x + (float)frame) + 0.2F * y));
    }
}

static hr_status write_moving(const char *path, const hr_video_options *options,
                              int n_frames)
{
    float *rgb = new_frame(options->width, options->height);
    hr_video_writer *writer;
    hr_status status = hr_video_begin(path, options, &writer);

    if (status == HR_OK) {
        for (int i = 0; i < n_frames; i++) {
            paint_moving(rgb, options->width, options->height, i);
            hr_video_append(writer, rgb);
        }
        status = hr_video_finish(writer);
    }
    hr_free(rgb);
    return status;
}

/* Flat colours survive: what a player that follows the tags shows is what was given. */
static void colours_frames_and_tags(void **state)
{
    enum { W = 64, H = 48 };
    const hr_video_options options = {W, H, 16};
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a.mp4");
    float *rgb = new_frame(W, H);
    hr_video_writer *writer;
    hr_test_movie movie;

    (void)state;
    hr_test_ok(hr_video_begin(path, &options, &writer));
    for (int i = 0; i < N_COLOURS; i++) {
        paint(rgb, W, H, palette[i]);
        hr_test_ok(hr_video_append(writer, rgb));
    }
    hr_test_ok(hr_video_finish(writer));
    assert_int_equal(hr_test_count_entries(folder), 1);
    movie = hr_test_movie_read(path);
    assert_int_equal(movie.n_frames, N_COLOURS);
    assert_true(movie.width == W && movie.height == H);
    assert_string_equal(movie.format, "yuv420p");
    assert_string_equal(movie.primaries, "bt709");
    assert_string_equal(movie.transfer, "bt709");
    assert_string_equal(movie.space, "bt709");
    assert_string_equal(movie.range, "tv");
    assert_true(fabs(movie.seconds - N_COLOURS / 16.0) < 1e-6);
    assert_true(movie.first_seconds == 0);
    assert_true(fabs(movie.last_seconds - (N_COLOURS - 1) / 16.0) < 1e-9);
    for (int64_t i = 0; i < (int64_t)N_COLOURS * W * H * 3; i++) {
        double want = 255 * (double)palette[i / (W * H * 3)][i % 3];
        /* 8-bit limited range has steps of 255 / 219 and 255 / 224; crf 17 adds one or
         * two. */
        if (fabs(movie.rgb[i] - want) > 5)
            fail_msg("frame %d, value %d: got %d, want %g", (int)(i / (W * H * 3)),
                     (int)(i % (W * H * 3)), movie.rgb[i], want);
    }
    hr_test_movie_free(&movie);
    hr_free(rgb);
}

static void moving_picture_is_close(void **state)
{
    enum { W = 96, H = 64, N = 20 };
    const hr_video_options options = {W, H, 24};
    const char *path = hr_test_path(hr_test_folder(), "a.mp4");
    float *rgb = new_frame(W, H);
    hr_test_movie movie;
    double sum = 0, psnr;

    (void)state;
    hr_test_ok(write_moving(path, &options, N));
    movie = hr_test_movie_read(path);
    assert_int_equal(movie.n_frames, N);
    for (int f = 0; f < N; f++) {
        paint_moving(rgb, W, H, f);
        for (int64_t i = 0; i < W * H; i++) {
            const float *want = rgb + 3 * i;
            const uint8_t *got = movie.rgb + (f * W * H + i) * 3;
            double d = 0.2126 * (want[0] - got[0] / 255.0) +
                       0.7152 * (want[1] - got[1] / 255.0) +
                       0.0722 * (want[2] - got[2] / 255.0);
            sum += d * d;
        }
    }
    psnr = -10 * log10(sum / (N * W * H));
    print_message("luma psnr %.1f dB\n", psnr);
    assert_true(psnr > 35); /* 36.4; wrong levels give 25 or less */
    hr_test_movie_free(&movie);
    hr_free(rgb);
}

static size_t place_of(const char *data, size_t n, const char *what)
{
    const char *found = memmem(data, n, what, strlen(what));

    return found == NULL ? n : (size_t)(found - data);
}

static void same_frames_same_bytes(void **state)
{
    const hr_video_options options = {176, 144, 16};
    const char *folder = hr_test_folder();
    const char *one = hr_test_path(folder, "1.mp4"),
               *two = hr_test_path(folder, "two.mp4");
    char *a, *b;
    size_t n_a, n_b;

    (void)state;
    hr_test_ok(write_moving(one, &options, 33));
    hr_test_ok(write_moving(two, &options, 33));
    a = hr_test_read(one, &n_a);
    b = hr_test_read(two, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    assert_true(place_of(a, n_a, "moov") < place_of(a, n_a, "mdat"));
    assert_true(place_of(a, n_a, "mdat") < n_a);
    assert_true(place_of(a, n_a, "colr") < n_a);
    assert_int_equal(place_of(a, n_a, "x264"), n_a);
    assert_int_equal(place_of(a, n_a, "Lav"), n_a);
    hr_free(a);
    hr_free(b);
}

static void rates_are_exact(void **state)
{
    static const struct {
        double fps;
        int numerator, denominator;
    } rates[] = {
        {16, 16, 1},          {24, 24, 1},   {23.976, 24000, 1001}, {29.97, 30000, 1001},
        {59.94, 60000, 1001}, {12.5, 25, 2}, {0.5, 1, 2},           {1, 1, 1},
        {24.5, 49, 2}};
    const char *path = hr_test_path(hr_test_folder(), "a.mp4");

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        hr_video_options options = {16, 16, rates[i].fps};
        double frame = (double)rates[i].denominator / rates[i].numerator;
        hr_test_movie movie;
        hr_test_ok(write_moving(path, &options, 5));
        movie = hr_test_movie_read(path);
        assert_int_equal(movie.n_frames, 5);
        assert_int_equal(movie.fps_numerator, rates[i].numerator);
        assert_int_equal(movie.fps_denominator, rates[i].denominator);
        assert_true(fabs(movie.last_seconds - 4 * frame) < 1e-9);
        hr_test_movie_free(&movie);
    }
}

static void short_and_small_videos(void **state)
{
    static const int64_t sizes[][3] = {{2, 2, 1}, {16, 16, 2}, {34, 18, 3}, {4, 130, 1}};
    const char *path = hr_test_path(hr_test_folder(), "a:b.mp4");

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        hr_video_options options = {sizes[i][0], sizes[i][1], 8};
        hr_test_movie movie;
        hr_test_ok(write_moving(path, &options, (int)sizes[i][2]));
        movie = hr_test_movie_read(path);
        assert_true(movie.width == sizes[i][0] && movie.height == sizes[i][1]);
        assert_int_equal(movie.n_frames, sizes[i][2]);
        assert_true(fabs(movie.seconds - (double)sizes[i][2] / 8) < 1e-6);
        hr_test_movie_free(&movie);
    }
}

static void impossible_options_are_refused(void **state)
{
    static const hr_video_options bad[] = {
        {33, 32, 16}, {32, 33, 16}, {0, 32, 16},        {32, -2, 16}, {1 << 20, 32, 16},
        {32, 32, 0},  {32, 32, -1}, {32, 32, INFINITY}, {32, 32, NAN}};
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a.mp4");
    hr_video_writer *writer;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        hr_test_fails(HR_ERR_ARG, "a.mp4: found", hr_video_begin(path, &bad[i], &writer));
    assert_int_equal(hr_test_count_entries(folder), 0);
}

static void unfinished_leaves_nothing(void **state)
{
    const hr_video_options options = {64, 64, 16};
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a.mp4");
    float *rgb = new_frame(64, 64);
    hr_video_writer *writer;

    (void)state;
    hr_test_ok(hr_video_begin(path, &options, &writer));
    hr_test_ok(hr_video_append(writer, rgb));
    hr_video_abandon(writer);
    hr_video_abandon(NULL);
    assert_int_equal(hr_test_count_entries(folder), 0);
    hr_test_ok(hr_video_begin(path, &options, &writer));
    hr_test_fails(HR_ERR_INTERNAL, "a video without frames", hr_video_finish(writer));
    assert_int_equal(hr_test_count_entries(folder), 0);
    hr_free(rgb);
}

static void impossible_places(void **state)
{
    const hr_video_options options = {64, 64, 16};
    const char *folder = hr_test_folder();
    const char *file = hr_test_path(folder, "file");
    hr_video_writer *writer;

    (void)state;
    hr_test_write(file, "x", 1);
    hr_test_fails(HR_ERR_IO, "No such file",
                  hr_video_begin(hr_test_path(folder, "no/a.mp4"), &options, &writer));
    hr_test_fails(HR_ERR_IO, "Not a directory",
                  hr_video_begin(hr_test_path(file, "a.mp4"), &options, &writer));
    hr_test_fails(HR_ERR_IO, "not a plain file",
                  hr_video_begin(folder, &options, &writer));
    hr_test_fails(HR_ERR_IO, "not a plain file",
                  hr_video_begin("/dev/full", &options, &writer));
    assert_int_equal(hr_test_count_entries(folder), 1);
}

/* The disk fills up at every place that matters: in the header, between frames, when the
 * encoder is emptied, while the index is moved to the front, and in the last bytes. */
static void full_disk_leaves_the_old_file(void **state)
{
    const hr_video_options options = {64, 48, 16};
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a.mp4");
    char *data;
    size_t size;

    (void)state;
    hr_test_ok(write_moving(path, &options, 90));
    data = hr_test_read(path, &size);
    hr_free(data);
    for (size_t limit = 0; limit < size;
         limit += limit + 4000 < size ? 1 + size / 6 : 500) {
        hr_test_limit_files(limit);
        hr_test_fails(HR_ERR_IO, "a.mp4: File too large",
                      write_moving(path, &options, 90));
        assert_int_equal(hr_test_count_entries(folder), 1);
    }
    hr_test_limit_files(size - 1);
    hr_test_fails(HR_ERR_IO, "a.mp4: File too large", write_moving(path, &options, 90));
    hr_test_limit_files(size);
    hr_test_ok(write_moving(path, &options, 90));
    hr_test_limit_files(UINT64_MAX);
    assert_int_equal(hr_test_count_entries(folder), 1);
}

static void encoder_is_named(void **state)
{
    const char *name = NULL;

    (void)state;
    assert_true(hr_video_can_encode(&name));
    assert_string_equal(name, "libx264");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(colours_frames_and_tags, hr_test_leak_teardown),
        cmocka_unit_test_teardown(moving_picture_is_close, hr_test_leak_teardown),
        cmocka_unit_test_teardown(same_frames_same_bytes, hr_test_leak_teardown),
        cmocka_unit_test_teardown(rates_are_exact, hr_test_leak_teardown),
        cmocka_unit_test_teardown(short_and_small_videos, hr_test_leak_teardown),
        cmocka_unit_test_teardown(impossible_options_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(unfinished_leaves_nothing, hr_test_leak_teardown),
        cmocka_unit_test_teardown(impossible_places, hr_test_leak_teardown),
        cmocka_unit_test_teardown(full_disk_leaves_the_old_file, hr_test_leak_teardown),
        cmocka_unit_test_teardown(encoder_is_named, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
