/* HR_TEST_RANKS: long videos have the same bits on any layout, with any number of
 * threads; memory does not grow with their length; a failure ends all ranks alike. */
#include "worker/pipeline.h"

#include "base/memory.h"
#include "coordinator/layout.h"
#include "support/ranks.h"

#include <string.h>

/* Those of the issue, and what is left of them where ranks are few. */
static const hr_layout layouts[] = {
    {.windows = 2, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 3, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 4, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 8, .stages = 1, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 2, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 4, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 1, .tensor = 2, .cfg = 1},
    {.windows = 1, .stages = 1, .tensor = 4, .cfg = 1},
    {.windows = 1, .stages = 1, .tensor = 1, .cfg = 2},
    {.windows = 2, .stages = 2, .tensor = 1, .cfg = 1},
    {.windows = 1, .stages = 2, .tensor = 2, .cfg = 1},
    {.windows = 2, .stages = 1, .tensor = 2, .cfg = 1},
    {.windows = 2, .stages = 2, .tensor = 1, .cfg = 2},
    {.windows = 2, .stages = 2, .tensor = 2, .cfg = 1},
    {.windows = 1, .stages = 2, .tensor = 2, .cfg = 2},
};
enum { N_LAYOUTS = sizeof layouts / sizeof layouts[0] };

/* One model, and what of the layouts it allows. */
typedef struct model_case {
    const char *name;
    size_t run;
    int n_layers, n_shards;
} model_case;
static const model_case sharded = {"wan21-tiny", 0, 3, 4}; /* 4 heads */
static const model_case deep = {"wan21-odd", 1, 5, 1};     /* 3 heads, guidance */
static const model_case experts = {"wan22-moe", 0, 2, 2};  /* two of them */

static bool suits(const model_case *model, const hr_layout *layout, int n_ranks)
{
    return hr_layout_size(layout) <= n_ranks && layout->stages <= model->n_layers &&
           model->n_shards % layout->tensor == 0;
}

/* 11 latent frames, windows of 3, one shared: 5 windows of a fixed grid, 5 or 6 of a
 * moving one. */
static void make_long(hr_job *job)
{
    job->frames = 41;
    job->window_frames = 9;
    job->window_overlap = 4;
    job->anchor = HR_ANCHOR_FIRST;
}

static void make_fixed(hr_job *job)
{
    make_long(job);
    job->grid = HR_GRID_FIXED;
    job->window_overlap = 8; /* frames of three windows */
    job->window_frames = 13;
    job->anchor = HR_ANCHOR_NONE;
    job->blend = HR_BLEND_TRIANGLE;
    job->sampler = HR_JOB_EULER;
}

static void make_previous(hr_job *job)
{
    make_long(job);
    job->anchor = HR_ANCHOR_PREVIOUS;
    job->rng = HR_JOB_PHILOX;
    job->noise = HR_NOISE_INDEPENDENT;
    job->sampler = HR_JOB_DPMPP;
    job->decode = HR_DECODE_WINDOWED;
}

/* Two windows: fewer than groups of some layouts. */
static void make_short(hr_job *job)
{
    make_long(job);
    job->frames = 17;
}

typedef struct bytes {
    char *data;
    size_t n;
} bytes;

/* Both result files, one after the other; on rank 0, nothing elsewhere. */
static bytes results(hr_group *all, const char *folder)
{
    bytes both = {0};
    size_t n_latents, n_frames;
    char *latents, *frames;

    if (hr_group_rank(all) != 0)
        return both;
    latents = hr_test_read(hr_test_path(folder, "latents.safetensors"), &n_latents);
    frames = hr_test_read(hr_test_path(folder, "frames.safetensors"), &n_frames);
    both.n = n_latents + n_frames;
    both.data = hr_alloc(both.n);
    assert_non_null(both.data);
    memcpy(both.data, latents, n_latents);
    memcpy(both.data + n_latents, frames, n_frames);
    hr_free(latents);
    hr_free(frames);
    return both;
}

static bytes render(hr_group *all, const model_case *model, hr_pipeline_options options)
{
    hr_golden *golden = hr_golden_open(model->name);
    static const char *folder;

    if (folder == NULL)
        folder = hr_test_folder();
    options.folder = folder;
    options.group = all;
    hr_pipeline_render(golden, hr_golden_run_at(golden, model->run), &options);
    hr_golden_close(golden);
    return results(all, folder);
}

static void check_layouts(hr_group *all, const model_case *model,
                          void (*change)(hr_job *job), bool both_threads)
{
    hr_pipeline_options options = {.change = change, .threads = 1};
    bytes one = render(all, model, options);

    for (int i = 0; i < N_LAYOUTS; i++)
        for (int threads = both_threads ? 1 : 2; threads <= 2; threads++) {
            bytes other;
            bool is_same;

            if (!suits(model, &layouts[i], hr_group_size(all)))
                continue;
            options.layout = layouts[i];
            options.threads = threads;
            other = render(all, model, options);
            is_same = other.n == one.n &&
                      (one.n == 0 || memcmp(other.data, one.data, one.n) == 0);
            if (!is_same)
                print_error("%s: other bits for %d windows, %d stages, %d tensor, %d cfg "
                            "with %d threads\n",
                            model->name, layouts[i].windows, layouts[i].stages,
                            layouts[i].tensor, layouts[i].cfg, threads);
            hr_free(other.data);
            hr_test_on_all(all, is_same);
        }
    hr_free(one.data);
}

static void shards_and_windows(hr_group *all)
{
    check_layouts(all, &sharded, make_long, true);
}

static void many_stages(hr_group *all)
{
    check_layouts(all, &deep, make_long, false);
}

static void two_experts(hr_group *all)
{
    check_layouts(all, &experts, make_long, false);
}

static void fixed_grid(hr_group *all)
{
    check_layouts(all, &sharded, make_fixed, false);
}

static void anchored_on_the_previous_window(hr_group *all)
{
    check_layouts(all, &sharded, make_previous, false);
}

static void more_groups_than_windows(hr_group *all)
{
    check_layouts(all, &sharded, make_short, false);
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(shards_and_windows),
        HR_RANK_TEST(many_stages),
        HR_RANK_TEST(two_experts),
        HR_RANK_TEST(fixed_grid),
        HR_RANK_TEST(anchored_on_the_previous_window),
        HR_RANK_TEST(more_groups_than_windows),
    };

    return hr_test_run_on_ranks("worker/layouts", tests, sizeof tests / sizeof tests[0]);
}
