/* The same job gives the same bits: any number of threads, parts kept or loaded anew,
 * noise from a file or from the seed, this device or the strict one. Runs on each
 * HR_TEST_DEVICE. */
#include "worker/pipeline.h"

#include "base/memory.h"
#include "io/safetensors.h"
#include "support/device.h"

#include <string.h>

/* The bytes of both result files in `folder`, one after the other; hr_free it. */
static char *read_results(const char *folder, size_t *n_bytes)
{
    size_t n_latents, n_frames;
    char *latents = hr_test_read(hr_test_path(folder, "latents.safetensors"), &n_latents);
    char *frames = hr_test_read(hr_test_path(folder, "frames.safetensors"), &n_frames);
    char *both = hr_alloc(n_latents + n_frames);

    assert_non_null(both);
    memcpy(both, latents, n_latents);
    memcpy(both + n_latents, frames, n_frames);
    hr_free(latents);
    hr_free(frames);
    *n_bytes = n_latents + n_frames;
    return both;
}

static char *render(const char *case_name, hr_pipeline_options options, size_t *n_bytes)
{
    hr_golden *golden = hr_golden_open(case_name);

    options.folder = hr_test_folder();
    hr_pipeline_render(golden, hr_golden_run_at(golden, 0), &options);
    hr_golden_close(golden);
    return read_results(options.folder, n_bytes);
}

static void check_equal(const char *case_name, hr_pipeline_options one,
                        hr_pipeline_options other)
{
    size_t n_one, n_other;
    char *bytes_one = render(case_name, one, &n_one);
    char *bytes_other = render(case_name, other, &n_other);

    assert_int_equal(n_one, n_other);
    assert_memory_equal(bytes_one, bytes_other, n_one);
    hr_free(bytes_one);
    hr_free(bytes_other);
    hr_test_no_leaks();
}

static void test_threads(void **state)
{
    static const char *const cases[] = {"wan21-odd", "wan22-5b", "wan22-moe"};
    static const hr_numerics numerics[] = {HR_NUMERICS_EXACT, HR_NUMERICS_F32};

    (void)state;
    for (int c = 0; c < 3; c++)
        for (int n = 0; n < 2; n++)
            for (int threads = 2; threads <= 4; threads++)
                check_equal(
                    cases[c],
                    (hr_pipeline_options){.numerics = numerics[n], .threads = 1},
                    (hr_pipeline_options){.numerics = numerics[n], .threads = threads});
}

static void test_kept_parts_and_a_second_video(void **state)
{
    (void)state;
    check_equal("wan22-moe", (hr_pipeline_options){0},
                (hr_pipeline_options){.keep_parts = true, .n_times = 2});
}

static void test_noise_from_a_file(void **state)
{
    hr_golden *golden = hr_golden_open("wan21-tiny");
    const hr_golden_tensor *init = hr_golden_find(golden, "main/latents_init");
    const char *path = hr_test_path(hr_test_folder(), "noise.safetensors");
    const hr_stored_tensor stored = {
        .name = "latents",
        .dtype = HR_F32,
        .n_dims = 5,
        .dim = {init->dim[0], init->dim[1], init->dim[2], init->dim[3], init->dim[4]},
        .data = init->f32};

    (void)state;
    hr_test_ok(hr_safetensors_write(path, &stored, 1));
    hr_golden_close(golden);
    check_equal("wan21-tiny", (hr_pipeline_options){0},
                (hr_pipeline_options){.latents_in = path});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_kept_parts_and_a_second_video),
        cmocka_unit_test(test_noise_from_a_file),
    };

    return cmocka_run_group_tests_name("worker/same_bits", tests, NULL, NULL);
}
