/* The whole pipeline against diffusers in fp32: guidance and latents of every step,
 * frames. Runs on each HR_TEST_DEVICE. */
#include "worker/pipeline.h"

#include "base/memory.h"
#include "io/safetensors.h"
#include "support/device.h"

#include <stdio.h>
#include <string.h>

/* What the trace needs. */
typedef struct seen {
    hr_golden *golden;
    const hr_golden_run *run;
    int n_checked;
} seen;

/* Frames come one by one, step3/frame2/latents; the reference has whole videos, (1, C, F,
 * h, w) at step3/latents. */
static hr_status check_step(void *user, hr_stream *stream, const char *name,
                            const hr_tensor *t)
{
    seen *s = user;
    char full[128], what[16];
    int step, frame;
    const hr_golden_tensor *whole;
    size_t n_frames, area = (size_t)(t->dim[2] * t->dim[3]);
    float *ours, *theirs;

    if (sscanf(name, "step%d/frame%d/%15s", &step, &frame, what) != 3)
        return HR_OK;
    snprintf(full, sizeof full, "%s/step%d/%s", s->run->name, step, what);
    if (!hr_golden_has(s->golden, full))
        return HR_OK;
    whole = hr_golden_find(s->golden, full);
    n_frames = (size_t)whole->dim[2];
    ours = hr_test_download(stream, t);
    theirs = hr_alloc((size_t)hr_tensor_count(t) * sizeof(float));
    assert_non_null(theirs);
    for (size_t c = 0; c < (size_t)t->dim[1]; c++)
        memcpy(theirs + c * area, whole->f32 + (c * n_frames + (size_t)frame) * area,
               area * sizeof(float));
    hr_golden_compare(name, ours, theirs, (size_t)hr_tensor_count(t), whole->atol,
                      __FILE__, __LINE__);
    hr_free(theirs);
    hr_free(ours);
    s->n_checked++;
    return HR_OK;
}

/* The reference's video is (1, 3, F, H, W) in -1..1, our frames are (F, H, W, 3) in 0..1:
 * half the distance. */
static void check_frames(hr_golden *golden, const hr_golden_run *run, const char *path)
{
    const hr_golden_tensor *video = hr_golden_findf(golden, "%s/video", run->name);
    size_t n_frames = (size_t)video->dim[2];
    size_t area = (size_t)(video->dim[3] * video->dim[4]);
    hr_safetensors *file;
    const hr_stored_tensor *stored;
    float *ours = hr_alloc(video->n * sizeof(float));

    assert_non_null(ours);
    hr_test_ok(hr_safetensors_open(path, &file));
    stored = hr_safetensors_find(file, "frames");
    assert_non_null(stored);
    assert_int_equal(stored->n_elements, video->n);
    for (size_t c = 0; c < 3; c++)
        for (size_t f = 0; f < n_frames; f++)
            for (size_t i = 0; i < area; i++) {
                float value;

                memcpy(&value,
                       (const char *)stored->data +
                           ((f * area + i) * 3 + c) * sizeof(float),
                       sizeof value);
                ours[(c * n_frames + f) * area + i] = value * 2 - 1;
            }
    hr_golden_compare("video", ours, video->f32, video->n, video->atol + 2e-7, __FILE__,
                      __LINE__);
    hr_safetensors_close(file);
    hr_free(ours);
}

static void check_case(const char *name)
{
    hr_golden *golden = hr_golden_open(name);
    const char *folder = hr_test_folder();

    for (size_t i = 0; i < hr_golden_n_runs(golden); i++) {
        seen s = {.golden = golden, .run = hr_golden_run_at(golden, i)};
        const hr_trace trace = {.on_tensor = check_step, .user = &s};

        hr_pipeline_render(golden, s.run,
                           &(hr_pipeline_options){.numerics = HR_NUMERICS_F32,
                                                  .trace = &trace,
                                                  .folder = folder});
        assert_true(s.n_checked >=
                    s.run->steps *
                        hr_golden_findf(golden, "%s/step0/latents", s.run->name)->dim[2]);
        check_frames(golden, s.run, hr_test_path(folder, "frames.safetensors"));
    }
    hr_golden_close(golden);
    hr_test_no_leaks();
}

static void test_wan21_tiny(void **state)
{
    (void)state;
    check_case("wan21-tiny");
}

static void test_wan21_odd(void **state)
{
    (void)state;
    check_case("wan21-odd");
}

static void test_wan22_two_experts(void **state)
{
    (void)state;
    check_case("wan22-moe");
}

static void test_wan22_5b(void **state)
{
    (void)state;
    check_case("wan22-5b");
}

static void test_mixed_dtypes_in_shards(void **state)
{
    (void)state;
    check_case("bf16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wan21_tiny),
        cmocka_unit_test(test_wan21_odd),
        cmocka_unit_test(test_wan22_two_experts),
        cmocka_unit_test(test_wan22_5b),
        cmocka_unit_test(test_mixed_dtypes_in_shards),
    };

    return cmocka_run_group_tests_name("worker/pipeline_golden", tests, NULL, NULL);
}
