/* Planning is arithmetic: sizes that a model can make, and what is said of the others. */
#include "base/log.h"
#include "coordinator/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const hr_model_facts wan21 = {.latent_channels = 16,
                                     .scale_temporal = 4,
                                     .scale_spatial = 8,
                                     .patch_time = 1,
                                     .patch_height = 2,
                                     .patch_width = 2,
                                     .rope_max = 1024};
static char last_line[512];

static void keep_line(hr_log_level level, const char *line)
{
    (void)level;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static hr_job job_of(int64_t width, int64_t height, int64_t frames)
{
    hr_job job;

    hr_job_init(&job);
    job.width = width;
    job.height = height;
    job.frames = frames;
    job.fps = 16;
    job.steps = 25;
    job.guidance = 5;
    job.shift = 3;
    return job;
}

static void refused(const hr_job *job, const char *line)
{
    hr_plan plan;

    last_line[0] = '\0';
    hr_log_set_sink(keep_line);
    assert_int_equal(hr_plan_make(job, &wan21, &plan), HR_ERR_ARG);
    hr_log_set_sink(NULL);
    assert_string_equal(last_line, line);
}

static void test_native_clip(void **state)
{
    hr_job job = job_of(832, 480, 81);
    hr_plan plan;

    (void)state;
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    assert_int_equal(plan.latent_frames, 21);
    assert_int_equal(plan.latent_height, 60);
    assert_int_equal(plan.latent_width, 104);
    assert_int_equal(plan.n_tokens, 32760); /* wan-spec section 6.3 */
    assert_true(plan.use_guidance);
    assert_true(plan.guidance_2 == 5.0);
}

static void test_seconds_become_frames(void **state)
{
    hr_job job = job_of(128, 80, 1);
    hr_plan plan;

    (void)state;
    job.seconds = 10;
    job.is_set[HR_KEY_SECONDS] = true;
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    assert_int_equal(plan.frames, 161);
    job.seconds = 0.01;
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    assert_int_equal(plan.frames, 1);
}

static void test_guidance(void **state)
{
    hr_job job = job_of(128, 80, 21);
    hr_plan plan;

    (void)state;
    job.guidance = 1;
    job.guidance_2 = 3;
    job.is_set[HR_KEY_GUIDANCE_2] = true;
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    assert_false(plan.use_guidance); /* decided by the first scale alone */
    assert_true(plan.guidance_2 == 3.0);
}

static void test_bad_sizes_name_the_nearest(void **state)
{
    hr_job job = job_of(130, 80, 21);

    (void)state;
    refused(&job, "video.width: 130 is not a multiple of 16; nearest: 128 or 144");
    job = job_of(8, 80, 21);
    refused(&job, "video.width: 8 is not a multiple of 16; nearest: 16");
    job = job_of(128, 88, 21);
    refused(&job, "video.height: 88 is not a multiple of 16; nearest: 80 or 96");
    job = job_of(128, 80, 20);
    refused(&job,
            "video.frames: 20 frames; the model makes 4n+1 frames; nearest: 17 or 21");
    job = job_of(128, 80, 2);
    refused(&job, "video.frames: 2 frames; the model makes 4n+1 frames; nearest: 1 or 5");
    job = job_of(128, 80, 4 * 1024 + 1); /* without windows.frames: one window */
    refused(&job, "video: 1025 token positions in time; the model has 1024");
    job = job_of(16 * 1025, 80, 5);
    refused(&job, "video: 1025 token positions in width; the model has 1024");
}

static hr_job long_job(int64_t frames, int64_t window, int64_t overlap)
{
    hr_job job = job_of(128, 80, frames);

    job.window_frames = window;
    job.window_overlap = overlap;
    return job;
}

static void test_windows(void **state)
{
    hr_job job = long_job(161, 21, 8);
    hr_layout layout = {.windows = 2, .stages = 3, .tensor = 1, .cfg = 2};
    hr_schedule schedule;
    hr_plan plan;
    int64_t fewest, most;

    (void)state;
    job.blend = HR_BLEND_TRIANGLE;
    job.grid = HR_GRID_FIXED;
    job.noise = HR_NOISE_INDEPENDENT;
    job.decode = HR_DECODE_WINDOWED;
    job.anchor = HR_ANCHOR_PREVIOUS;
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    assert_int_equal(plan.latent_frames, 41);
    assert_int_equal(plan.windows.n_frames, 41);
    assert_int_equal(plan.windows.length, 6);
    assert_int_equal(plan.windows.overlap, 2);
    assert_int_equal(plan.windows.grid, HR_GRID_FIXED);
    assert_int_equal(plan.windows.blend, HR_BLEND_TRIANGLE);
    assert_int_equal(plan.windows.anchor, HR_ANCHOR_PREVIOUS);
    assert_int_equal(plan.noise, HR_NOISE_INDEPENDENT);
    assert_int_equal(plan.decode, HR_DECODE_WINDOWED);
    assert_int_equal(plan.n_tokens, 6 * 5 * 8);
    hr_plan_count_windows(&plan, &fewest, &most);
    assert_int_equal(fewest, 10); /* 0, 4, ..., 32, 35 */
    assert_int_equal(most, 10);
    job.grid = HR_GRID_MOVING;
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    hr_plan_count_windows(&plan, &fewest, &most);
    assert_int_equal(fewest, 10); /* offset 3: 0, 3, 7, ..., 31, 35 */
    assert_int_equal(most, 11);   /* offset 1: 0, 1, 5, ..., 33, 35 */
    schedule = hr_plan_schedule(&plan, &layout);
    assert_int_equal(schedule.n_branches, 2);
    assert_int_equal(schedule.n_steps, 25);
    assert_memory_equal(&schedule.windows, &plan.windows, sizeof plan.windows);
    assert_memory_equal(&schedule.layout, &layout, sizeof layout);
    job.guidance = 1;
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    assert_int_equal(hr_plan_schedule(&plan, &layout).n_branches, 1);
}

/* Not longer than a window: one window of its own length, whatever the overlap. The
 * model's positions bound the window only. */
static void test_one_window(void **state)
{
    static const int64_t lengths[] = {1, 17, 21};
    hr_job job;
    hr_plan plan;
    int64_t fewest, most;

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        job = long_job(lengths[i], 21, 1000);
        job.anchor = HR_ANCHOR_FIRST;
        job.rng = HR_JOB_TORCH;
        job.noise = HR_NOISE_INDEPENDENT;
        assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
        assert_int_equal(plan.windows.length, (lengths[i] - 1) / 4 + 1);
        assert_int_equal(plan.windows.n_frames, plan.windows.length);
        assert_int_equal(plan.windows.overlap, 0);
        hr_plan_count_windows(&plan, &fewest, &most);
        assert_true(fewest == 1 && most == 1);
    }
    job = long_job(999997, 81, 32);
    assert_int_equal(hr_plan_make(&job, &wan21, &plan), HR_OK);
    assert_int_equal(plan.windows.n_frames, 250000);
}

static void test_bad_windows_name_the_nearest(void **state)
{
    hr_job job = long_job(161, 20, 8);

    (void)state;
    refused(&job, "windows.frames: 20 frames; the model makes 4n+1 frames; nearest: 17 "
                  "or 21");
    job = long_job(5, 20, 8); /* refused where it would not matter, too */
    refused(&job, "windows.frames: 20 frames; the model makes 4n+1 frames; nearest: 17 "
                  "or 21");
    job = long_job(161, 21, 21);
    refused(&job, "windows.overlap: 21 is not less than windows.frames, 21; nearest: 20");
    job = long_job(161, 21, 24);
    refused(&job, "windows.overlap: 24 is not less than windows.frames, 21; nearest: 20");
    job = long_job(161, 21, 10);
    refused(&job, "windows.overlap: 10 is not a multiple of 4; nearest: 8 or 12");
    job = long_job(161, 21, 3);
    refused(&job, "windows.overlap: 3 is not a multiple of 4; nearest: 4");
    job.anchor = HR_ANCHOR_NONE;
    refused(&job, "windows.overlap: 3 is not a multiple of 4; nearest: 0 or 4");
    job = long_job(161, 21, 0);
    job.anchor = HR_ANCHOR_PREVIOUS;
    refused(&job, "windows.overlap: 0 leaves frames that no window predicts with "
                  "windows.anchor previous; nearest: 4");
    job = long_job(161, 1, 0);
    job.anchor = HR_ANCHOR_FIRST;
    refused(&job, "windows.frames: 1 is all context with windows.anchor first; "
                  "nearest: 5");
    job = long_job(16001, 4 * 1024 + 1, 8);
    refused(&job, "video: 1025 token positions in time; the model has 1024");
    job = long_job(161, 21, 8);
    job.rng = HR_JOB_TORCH;
    job.noise = HR_NOISE_INDEPENDENT;
    refused(&job, "sampler.rng: torch is the noise of one window; a longer video takes "
                  "windows.noise rescheduled, or sampler.rng philox");
    job = long_job(160, 21, 8);
    refused(&job, "video.frames: 160 frames; the model makes 4n+1 frames; nearest: 157 "
                  "or 161");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_clip),
        cmocka_unit_test(test_seconds_become_frames),
        cmocka_unit_test(test_guidance),
        cmocka_unit_test(test_bad_sizes_name_the_nearest),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_one_window),
        cmocka_unit_test(test_bad_windows_name_the_nearest),
    };

    return cmocka_run_group_tests_name("coordinator/plan", tests, NULL, NULL);
}
