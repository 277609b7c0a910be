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
    hr_device *device = hr_test_device_open(2);
    hr_pipeline_figures figures;
    uint64_t frames = (uint64_t)(run->num_frames * run->height * run->width * 3);

    hr_pipeline_estimate(golden, run, keep_parts, device, &figures);
    print_message("%s: estimated %zu, measured %zu bytes\n", case_name,
                  (size_t)figures.estimate.device_bytes, figures.measured.peak_bytes);
    /* Never less than what it takes; more, since packed weights count with full blocks of
     * channels, which these tiny models have few of. */
    assert_true(figures.estimate.device_bytes >= figures.measured.peak_bytes);
    assert_true(figures.estimate.device_bytes <= figures.measured.peak_bytes * 5 / 4);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_transformer),
        cmocka_unit_test(test_two_experts),
    };

    return cmocka_run_group_tests_name("worker/estimate", tests, NULL, NULL);
}
