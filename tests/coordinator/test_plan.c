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
    job = job_of(128, 80, 4 * 1024 + 1);
    refused(&job, "video: 1025 token positions in time; the model has 1024");
    job = job_of(16 * 1025, 80, 5);
    refused(&job, "video: 1025 token positions in width; the model has 1024");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_native_clip),
        cmocka_unit_test(test_seconds_become_frames),
        cmocka_unit_test(test_guidance),
        cmocka_unit_test(test_bad_sizes_name_the_nearest),
    };

    return cmocka_run_group_tests_name("coordinator/plan", tests, NULL, NULL);
}
