/* The saver: frames in order, failures of its thread, closed segments kept, nothing else
 * left behind. */
#include "support/test_util.h"

#include "base/memory.h"
#include "io/safetensors.h"
#include "worker/save.h"

#include <string.h>
#include <unistd.h>

enum { N_FRAMES = 121, HEIGHT = 16, WIDTH = 24, VALUES = HEIGHT * WIDTH * 3 };

static const hr_saver_film plain = {
    .n_frames = N_FRAMES, .height = HEIGHT, .width = WIDTH, .per_latent = 4, .fps = 16};
static const hr_hash hash = {1, 2};

static void fill_frame(float *frame, int i)
{
    for (int j = 0; j < VALUES; j++)
        frame[j] = (float)(i * VALUES + j) / (float)(N_FRAMES * VALUES);
}

/* More frames than the queue holds; the caller's memory is used anew at once. */
static void test_frames_in_order(void **state)
{
    const char *folder = hr_test_folder();
    const hr_save_options to = {.video = hr_test_path(folder, "video.mp4"),
                                .frames_file = hr_test_path(folder, "f.safetensors")};
    float frame[VALUES];
    hr_saver *saver;
    hr_safetensors *file;
    const char *stored;

    (void)state;
    hr_test_ok(hr_saver_open(&to, &plain, &saver));
    for (int i = 0; i < N_FRAMES; i++) {
        fill_frame(frame, i);
        hr_test_ok(hr_saver_frame(saver, frame, hash));
    }
    memset(frame, 0, sizeof frame);
    hr_test_ok(hr_saver_finish(saver));
    assert_int_equal(hr_test_count_entries(folder), 2);
    hr_test_ok(hr_safetensors_open(to.frames_file, &file));
    stored = hr_safetensors_find(file, "frames")->data;
    for (int i = 0; i < N_FRAMES; i++) {
        fill_frame(frame, i);
        assert_memory_equal(stored + (size_t)i * sizeof frame, frame, sizeof frame);
    }
    hr_safetensors_close(file);
}

static hr_status save_all(hr_saver *saver)
{
    float frame[VALUES] = {0};

    for (int i = 0; i < N_FRAMES; i++) {
        hr_status status = hr_saver_frame(saver, frame, hash);

        if (status != HR_OK) {
            hr_saver_abandon(saver);
            return status;
        }
    }
    return hr_saver_finish(saver);
}

/* The disk is full while the thread writes: one line, then every call says so. */
static void test_a_full_disk(void **state)
{
    const char *folder = hr_test_folder();
    const hr_save_options to = {.frames_file = hr_test_path(folder, "f.safetensors")};
    hr_saver *saver;

    (void)state;
    hr_test_ok(hr_saver_open(&to, &plain, &saver));
    hr_test_limit_files(10000);
    hr_test_fails(HR_ERR_IO, "f.safetensors", save_all(saver));
    hr_test_limit_files(UINT64_MAX);
    assert_int_equal(hr_test_count_entries(folder), 0);
}

static void test_too_few_frames(void **state)
{
    const char *folder = hr_test_folder();
    const hr_save_options to = {.frames_file = hr_test_path(folder, "f.safetensors")};
    float frame[VALUES] = {0};
    hr_saver *saver;

    (void)state;
    hr_test_ok(hr_saver_open(&to, &plain, &saver));
    hr_test_ok(hr_saver_frame(saver, frame, hash));
    hr_test_fails(HR_ERR_INTERNAL, "1 of 121 frames were saved", hr_saver_finish(saver));
    assert_int_equal(hr_test_count_entries(folder), 0);
}

/* Frames from where the saver wants them to `end`. */
static void save_some(hr_saver *saver, int64_t end)
{
    float frame[VALUES];

    for (int64_t i = hr_saver_done(saver); i < end; i++) {
        fill_frame(frame, (int)i);
        hr_test_ok(hr_saver_frame(saver, frame, hash));
    }
}

static void check_nothing_is_kept(const hr_save_options *to, const char *folder)
{
    hr_saver *saver;

    for (int i = 0; i < 2; i++) { /* the second time with what a killed one left */
        hr_test_ok(hr_saver_open(to, &plain, &saver));
        assert_int_equal(hr_saver_done(saver), 0);
        save_some(saver, 110);
        hr_saver_abandon(saver);
        assert_int_equal(hr_test_count_entries(folder), 0);
    }
}

static void test_abandoned(void **state)
{
    const char *folder = hr_test_folder();
    const hr_save_options film = {.video = hr_test_path(folder, "video.mp4")};
    const hr_save_options pictures = {.frames_folder = hr_test_path(folder, "frames")};

    (void)state;
    check_nothing_is_kept(&film, folder);
    check_nothing_is_kept(&pictures, folder);
    hr_saver_abandon(NULL);
}

static void count(void *user, int64_t frame, hr_hash of)
{
    int64_t *n = user;

    assert_int_equal(frame, *n);
    assert_true(hr_hash_equal(of, hash));
    ++*n;
}

/* Waits until the saver's thread has closed the first segment. */
static void wait_for(const char *path)
{
    for (int i = 0; i < 3000 && access(path, F_OK) != 0; i++)
        usleep(10000);
    assert_int_equal(access(path, F_OK), 0);
}

/* Goes on behind the closed segment; the hashes of what is there come back. */
static void check_goes_on(const hr_save_options *to, const char *segments)
{
    hr_saver_film film = plain;
    int64_t n = 0;
    hr_saver *saver;

    film.segments_folder = segments;
    film.done = count;
    film.user = &n;
    hr_test_ok(hr_saver_open(to, &film, &saver));
    save_some(saver, 110);
    wait_for(hr_test_path(segments, "0000.txt"));
    hr_saver_abandon(saver);
    assert_int_equal(n, 0);
    hr_test_ok(hr_saver_open(to, &film, &saver));
    assert_int_equal(hr_saver_done(saver), 97);
    assert_int_equal(n, 97);
    save_some(saver, N_FRAMES);
    hr_test_ok(hr_saver_finish(saver));
    assert_int_equal(access(segments, F_OK), -1);
}

static void test_goes_on(void **state)
{
    const char *folder = hr_test_folder();
    const char *segments = hr_test_path(folder, "segments");
    const hr_save_options film = {.video = hr_test_path(folder, "video.mp4")};
    const hr_save_options pictures = {.frames_folder = hr_test_path(folder, "frames")};
    const hr_save_options none = {0};

    (void)state;
    check_goes_on(&film, segments);
    check_goes_on(&pictures, segments);
    check_goes_on(&none, segments);
    assert_int_equal(hr_test_count_entries(pictures.frames_folder), N_FRAMES);
    assert_int_equal(hr_test_count_entries(folder), 2);
}

/* Raw frames are of the whole video: it begins anew. */
static void test_raw_frames_begin_anew(void **state)
{
    const char *folder = hr_test_folder();
    hr_save_options to = {.video = hr_test_path(folder, "video.mp4")};
    hr_saver_film film = plain;
    hr_saver *saver;

    (void)state;
    film.segments_folder = hr_test_path(folder, "segments");
    hr_test_ok(hr_saver_open(&to, &film, &saver));
    save_some(saver, 110);
    wait_for(hr_test_path(film.segments_folder, "0000.txt"));
    hr_saver_abandon(saver);
    to.frames_file = hr_test_path(folder, "f.safetensors");
    hr_test_ok(hr_saver_open(&to, &film, &saver));
    assert_int_equal(hr_saver_done(saver), 0);
    save_some(saver, N_FRAMES);
    hr_test_ok(hr_saver_finish(saver));
    assert_int_equal(hr_test_count_entries(folder), 2);
}

static void test_a_still_picture(void **state)
{
    const char *folder = hr_test_folder();
    const hr_save_options to = {.picture = hr_test_path(folder, "picture.png")};
    hr_saver_film film = plain;
    hr_saver *saver;

    (void)state;
    film.n_frames = 1;
    film.segments_folder = hr_test_path(folder, "segments");
    hr_test_ok(hr_saver_open(&to, &film, &saver));
    assert_int_equal(hr_saver_done(saver), 0);
    save_some(saver, 1);
    assert_int_equal(hr_test_count_entries(folder), 0);
    hr_test_ok(hr_saver_finish(saver));
    assert_int_equal(hr_test_count_entries(folder), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_frames_in_order, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_full_disk, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_too_few_frames, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_abandoned, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_goes_on, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_raw_frames_begin_anew, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_still_picture, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("worker/save", tests, NULL, NULL);
}
