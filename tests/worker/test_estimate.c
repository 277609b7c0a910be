/* The estimate is the real code run dry: its figures hold for the real run. Runs on each
 * HR_TEST_DEVICE. */
#include "worker/estimate.h"
#include "worker/pipeline.h"

#include "support/device.h"

/* Peak device memory of a real render, and what was estimated for it. */
static void compare(const char *case_name, bool keep_parts)
{
    hr_golden *golden = hr_golden_open(case_name);
    const hr_golden_run *run = hr_golden_run_at(golden, 0);
    hr_device *device = hr_test_device_open(0);
    hr_pipeline_figures figures;
    uint64_t frames = (uint64_t)(run->num_frames * run->height * run->width * 3);

    hr_pipeline_estimate(golden, run, keep_parts, device, &figures);
    print_message("%s: estimated %zu, measured %zu bytes\n", case_name,
                  (size_t)figures.estimate.device_bytes, figures.measured.peak_all_bytes);
    /* the strict device does not count what operators keep besides */
    if (hr_device_is_host(device))
        assert_int_equal(figures.estimate.device_bytes, figures.measured.peak_all_bytes);
    else
        assert_true(figures.estimate.device_bytes >= figures.measured.peak_bytes);
    assert_true(figures.estimate.flops == figures.measured.flops);
    /* at least the latents and one latent frame's pictures */
    assert_true(figures.estimate.host_bytes >=
                frames / (uint64_t)run->num_frames * sizeof(float));
    hr_device_close(device);
    hr_golden_close(golden);
    hr_test_no_leaks();
}

static void test_one_transformer(void **state)
{
    (void)state;
    compare("wan21-tiny", false);
    compare("wan22-5b", false);
}

static void test_two_experts(void **state)
{
    (void)state;
    compare("wan22-moe", false);
    compare("wan22-moe", true);
}

static void make_long(hr_job *job)
{
    job->frames = 4 * 57 + 1;
    job->window_frames = 9;
    job->window_overlap = 4;
    job->anchor = (hr_job_anchor)(job->seed % 3);
    job->grid = (hr_job_grid)(job->seed % 2);
}

/* Any rank of any layout, with nobody to answer. */
static void test_all_ranks_of_layouts(void **state)
{
    hr_golden *golden = hr_golden_open("wan21-tiny");
    hr_golden_run run = *hr_golden_run_at(golden, 0);
    uint32_t draw = 1;

    (void)state;
    for (int i = 0; i < 60; i++) {
        hr_pipeline_options options = {.change = make_long};
        hr_estimate estimate;
        int n_ranks, rank;

        draw = draw * 1664525U + 1013904223U;
        options.layout = (hr_layout){.windows = (int)(draw >> 24) % 40 + 1,
                                     .stages = (int)(draw >> 16) % 3 + 1,
                                     .tensor = 1 << (draw >> 12) % 3,
                                     .cfg = (int)(draw >> 8) % 2 + 1};
        n_ranks = hr_layout_size(&options.layout) + (int)(draw >> 20) % 2;
        rank = (int)(draw >> 4) % n_ranks;
        run.seed = draw >> 10;
        hr_pipeline_estimate_rank(golden, &run, &options, rank, n_ranks, &estimate);
        assert_true(estimate.flops > 0);
    }
    hr_golden_close(golden);
    hr_test_no_leaks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_transformer),
        cmocka_unit_test(test_two_experts),
        cmocka_unit_test(test_all_ranks_of_layouts),
    };

    return cmocka_run_group_tests_name("worker/estimate", tests, NULL, NULL);
}
