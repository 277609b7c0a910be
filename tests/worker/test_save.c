/* The saver: frames in order, failures of its thread, nothing left behind. */
#include "support/test_util.h"

#include "base/memory.h"
#include "io/safetensors.h"
#include "worker/save.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

enum { N_FRAMES = 40, HEIGHT = 16, WIDTH = 24, VALUES = HEIGHT * WIDTH * 3 };

static const int64_t shape[3] = {N_FRAMES, HEIGHT, WIDTH};

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
    hr_test_ok(hr_saver_open(&to, shape, 16, &saver));
    for (int i = 0; i < N_FRAMES; i++) {
        fill_frame(frame, i);
        hr_test_ok(hr_saver_frame(saver, frame));
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
        hr_status status = hr_saver_frame(saver, frame);

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
    struct rlimit before, small;
    hr_saver *saver;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    hr_test_ok(hr_saver_open(&to, shape, 16, &saver));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 10000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hr_test_fails(HR_ERR_IO, "f.safetensors", save_all(saver));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(hr_test_count_entries(folder), 0);
}

static void test_too_few_frames(void **state)
{
    const char *folder = hr_test_folder();
    const hr_save_options to = {.frames_file = hr_test_path(folder, "f.safetensors")};
    float frame[VALUES] = {0};
    hr_saver *saver;

    (void)state;
    hr_test_ok(hr_saver_open(&to, shape, 16, &saver));
    hr_test_ok(hr_saver_frame(saver, frame));
    hr_test_fails(HR_ERR_INTERNAL, "1 of 40 frames were saved", hr_saver_finish(saver));
    assert_int_equal(hr_test_count_entries(folder), 0);
}

static void test_abandoned(void **state)
{
    const char *folder = hr_test_folder();
    const hr_save_options to = {.video = hr_test_path(folder, "video.mp4"),
                                .frames_folder = hr_test_path(folder, "frames")};
    float frame[VALUES] = {0};
    hr_saver *saver;

    (void)state;
    hr_test_ok(hr_saver_open(&to, shape, 16, &saver));
    for (int i = 0; i < HR_SAVER_QUEUE; i++)
        hr_test_ok(hr_saver_frame(saver, frame));
    hr_saver_abandon(saver);
    hr_saver_abandon(NULL);
    assert_int_equal(hr_test_count_entries(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_frames_in_order, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_a_full_disk, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_too_few_frames, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_abandoned, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests_name("worker/save", tests, NULL, NULL);
}
