#include "io/picture.h"
#include "support/movie.h"
#include "support/test_util.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

/* numpy's (x * 255).round() on float32, which is half to even; outside and NaN are
 * clamped. */
static void floats_become_the_references_bytes(void **state)
{
    static const float rgb[12] = {0,          1,          0.5F,         0.25F,
                                  -3,         2,          1.0F / 255,   0.5F / 255,
                                  1.5F / 255, 2.5F / 255, 254.4F / 255, NAN};
    static const uint8_t want[12] = {0, 255, 128, 64, 0, 255, 1, 0, 2, 2, 254, 0};
    const char *path = hr_test_path(hr_test_folder(), "a.png");
    hr_test_movie movie;

    (void)state;
    hr_test_ok(hr_picture_write_png(path, rgb, 2, 2));
    movie = hr_test_movie_read(path);
    assert_int_equal(movie.n_frames, 1);
    assert_int_equal(movie.width, 2);
    assert_int_equal(movie.height, 2);
    assert_string_equal(movie.format, "rgb24");
    assert_memory_equal(movie.rgb, want, sizeof want);
    hr_test_movie_free(&movie);
}

static float *waves(int64_t width, int64_t height)
{
    float *rgb = hr_alloc((size_t)(width * height * 3) * sizeof *rgb);

    assert_non_null(rgb);
    for (int64_t i = 0; i < width * height * 3; i++)
        rgb[i] = 0.5F + 0.5F * sinf((float)(i * i % 9973) * 0.01F);
    return rgb;
}

static void every_pixel_comes_back(void **state)
{
    static const int64_t sizes[][2] = {{1, 1}, {7, 3}, {1, 40}, {129, 66}, {832, 480}};
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a.png");

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t width = sizes[i][0], height = sizes[i][1];
        float *rgb = waves(width, height);
        hr_test_movie movie;
        hr_test_ok(hr_picture_write_png(path, rgb, width, height));
        movie = hr_test_movie_read(path);
        assert_true(movie.width == width && movie.height == height);
        for (int64_t k = 0; k < width * height * 3; k++)
            assert_int_equal(movie.rgb[k], (int)nearbyintf(rgb[k] * 255.0F));
        hr_test_movie_free(&movie);
        hr_free(rgb);
    }
    assert_int_equal(hr_test_count_entries(folder), 1);
}

static void same_picture_same_bytes(void **state)
{
    const char *folder = hr_test_folder();
    const char *one = hr_test_path(folder, "1.png"), *two = hr_test_path(folder, "2.png");
    float *rgb = waves(48, 32);
    char *a, *b;
    size_t n_a, n_b;

    (void)state;
    hr_test_ok(hr_picture_write_png(one, rgb, 48, 32));
    hr_test_ok(hr_picture_write_png(two, rgb, 48, 32));
    a = hr_test_read(one, &n_a);
    b = hr_test_read(two, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    assert_null(memmem(a, n_a, "Lav", 3));
    hr_free(a);
    hr_free(b);
    hr_free(rgb);
}

static void failures_leave_nothing(void **state)
{
    const char *folder = hr_test_folder();
    const char *file = hr_test_path(folder, "file");
    float *rgb = waves(64, 64);

    (void)state;
    hr_test_write(file, "x", 1);
    hr_test_fails(HR_ERR_IO, "No such file",
                  hr_picture_write_png(hr_test_path(folder, "no/a.png"), rgb, 64, 64));
    hr_test_fails(HR_ERR_IO, "Not a directory",
                  hr_picture_write_png(hr_test_path(file, "a.png"), rgb, 64, 64));
    hr_test_fails(HR_ERR_ARG, "a picture of 0 x 64",
                  hr_picture_write_png(hr_test_path(folder, "a.png"), rgb, 0, 64));
    hr_test_limit_files(1000);
    hr_test_fails(HR_ERR_IO, "a.png: File too large",
                  hr_picture_write_png(hr_test_path(folder, "a.png"), rgb, 64, 64));
    hr_test_limit_files(UINT64_MAX);
    assert_int_equal(hr_test_count_entries(folder), 1);
    hr_free(rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(floats_become_the_references_bytes,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(every_pixel_comes_back, hr_test_leak_teardown),
        cmocka_unit_test_teardown(same_picture_same_bytes, hr_test_leak_teardown),
        cmocka_unit_test_teardown(failures_leave_nothing, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
