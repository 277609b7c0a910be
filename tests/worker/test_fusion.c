/* What windows predict becomes one video: against plain clips of what each window sees.
 * Runs on each HR_TEST_DEVICE. */
#include "worker/pipeline.h"

#include "base/memory.h"
#include "io/latents.h"
#include "support/device.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { C = 16, H = 4, W = 6, FLOATS = C * H * W, MAX_FRAMES = 8, MAX_WINDOWS = 2 };

/* A video of two windows at step 0, written out by hand. */
typedef struct video_case {
    int n_frames, length, overlap;
    hr_job_anchor anchor;
    hr_job_blend blend;
    int shown[MAX_WINDOWS][MAX_FRAMES];     /* frame at each position */
    double weight[MAX_WINDOWS][MAX_FRAMES]; /* of the prediction at each position */
} video_case;

static const video_case cases[] = {
    {.n_frames = 5,
     .length = 3,
     .overlap = 1,
     .shown = {{0, 1, 2}, {2, 3, 4}},
     .weight = {{1, 1, 0.5}, {0.5, 1, 1}}},
    {.n_frames = 6,
     .length = 4,
     .overlap = 2,
     .shown = {{0, 1, 2, 3}, {2, 3, 4, 5}},
     .weight = {{1, 1, 2.0 / 3, 1.0 / 3}, {1.0 / 3, 2.0 / 3, 1, 1}}},
    {.n_frames = 6, /* distances to the nearer end: 1 2 2 1 */
     .length = 4,
     .overlap = 2,
     .blend = HR_BLEND_TRIANGLE,
     .shown = {{0, 1, 2, 3}, {2, 3, 4, 5}},
     .weight = {{1, 1, 2.0 / 3, 1.0 / 3}, {1.0 / 3, 2.0 / 3, 1, 1}}},
    {.n_frames = 5,
     .length = 3,
     .overlap = 1,
     .anchor = HR_ANCHOR_FIRST,
     .shown = {{0, 1, 2}, {0, 3, 4}},
     .weight = {{1, 1, 1}, {0, 1, 1}}},
    {.n_frames = 6,
     .length = 4,
     .overlap = 2,
     .anchor = HR_ANCHOR_FIRST,
     .shown = {{0, 1, 2, 3}, {0, 3, 4, 5}},
     .weight = {{1, 1, 1, 0.5}, {0, 0.5, 1, 1}}},
    {.n_frames = 5,
     .length = 3,
     .overlap = 1,
     .anchor = HR_ANCHOR_PREVIOUS,
     .shown = {{0, 1, 2}, {2, 3, 4}},
     .weight = {{1, 1, 1}, {0, 1, 1}}},
};

static const video_case *current; /* for the change hook */

static void make_job(hr_job *job)
{
    job->frames = (current->n_frames - 1) * 4 + 1;
    job->window_frames = (current->length - 1) * 4 + 1;
    job->window_overlap = current->overlap * 4;
    job->anchor = current->anchor;
    job->blend = current->blend;
    job->grid = HR_GRID_FIXED;
}

static void make_clip(hr_job *job)
{
    job->frames = (current->length - 1) * 4 + 1;
}

typedef float frames[MAX_FRAMES][FLOATS];

/* The velocities of step 0. */
static hr_status take(void *user, hr_stream *stream, const char *name, const hr_tensor *t)
{
    frames *out = user;
    int frame;
    float *data;

    if (sscanf(name, "step0/frame%d/", &frame) != 1 || strstr(name, "noise_pred") == NULL)
        return HR_OK;
    assert_int_equal(hr_tensor_count(t), FLOATS);
    data = hr_test_download(stream, t);
    memcpy((*out)[frame], data, sizeof(*out)[frame]);
    hr_free(data);
    return HR_OK;
}

/* Renders from the noise of `n` frames and takes the velocities of step 0. */
static void predict(frames noise, int n, void (*change)(hr_job *job), frames out)
{
    hr_golden *golden = hr_golden_open("wan21-tiny");
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "noise");
    const int64_t shape[4] = {n, C, H, W};
    const hr_trace trace = {.on_tensor = take, .user = out};
    hr_latents_writer *writer;

    hr_test_ok(hr_latents_begin(path, shape, &writer));
    for (int f = 0; f < n; f++)
        hr_test_ok(hr_latents_write_frame(writer, f, noise[f]));
    hr_test_ok(hr_latents_finish(writer));
    hr_pipeline_render(golden, hr_golden_run_at(golden, 0),
                       &(hr_pipeline_options){.numerics = HR_NUMERICS_F32,
                                              .change = change,
                                              .latents_in = path,
                                              .latents_only = true,
                                              .trace = &trace,
                                              .folder = folder});
    hr_golden_close(golden);
}

/* The video's velocities are the weighted sums of those of clips that hold what the
 * windows see. */
static void check(const video_case *video)
{
    static frames noise, got, seen, clip, want;

    current = video;
    hr_test_random(7, &noise[0][0], MAX_FRAMES * FLOATS);
    memset(want, 0, sizeof want);
    for (int i = 0; i < MAX_WINDOWS; i++) {
        int start = i == 0 ? 0 : video->n_frames - video->length;

        for (int p = 0; p < video->length; p++)
            memcpy(seen[p], noise[video->shown[i][p]], sizeof seen[p]);
        predict(seen, video->length, make_clip, clip);
        for (int p = 0; p < video->length; p++)
            for (int k = 0; k < FLOATS; k++)
                want[start + p][k] += (float)video->weight[i][p] * clip[p][k];
    }
    predict(noise, video->n_frames, make_job, got);
    for (int f = 0; f < video->n_frames; f++)
        for (int k = 0; k < FLOATS; k++)
            if (!(fabsf(got[f][k] - want[f][k]) <= 1e-6F * (1 + fabsf(want[f][k])))) {
                print_error("frame %d, element %d: %g, expected %g\n", f, k,
                            (double)got[f][k], (double)want[f][k]);
                fail();
            }
}

static void test_two_windows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("case %zu\n", i);
        check(&cases[i]);
    }
    hr_test_no_leaks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_two_windows)};

    return cmocka_run_group_tests_name("worker/fusion", tests, NULL, NULL);
}
