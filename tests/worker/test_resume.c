/* HR_TEST_RANKS: a render that is saved, stopped and resumed, at any round, on any
 * layout, has the bits of one that is not. */
#include "worker/trial.h"

#include "io/checkpoint.h"
#include "io/checkpoint_folder.h"
#include "support/ranks.h"

#include <stdio.h>

/* Shorter, as it is rendered again and again. */
static void make_for_experts(hr_job *job)
{
    hr_long_job_experts(job);
    job->frames = 25;
}

/* From a file to a step, which some frames may have passed, and from there to the end. */
static void go_on_by_a_step(hr_trial *t, const char *path)
{
    hr_checkpointing c = hr_trial_checkpointing(t);
    char **paths;
    size_t n;

    c.resume = path;
    hr_trial_run(t, (hr_pipeline_options){.layout = hr_trial_layout(t),
                                          .checkpointing = &c,
                                          .stop_after_step = 2});
    n = hr_trial_list(t, &paths);
    c.resume = hr_trial_newest(paths, n);
    hr_test_on_all(t->all,
                   hr_trial_is_same(t, (hr_pipeline_options){.layout = hr_trial_layout(t),
                                                             .checkpointing = &c}));
    hr_checkpoint_list_free(paths, n);
}

/* Saves at every round and goes on; the number of files. */
static size_t save_everywhere(hr_trial *t, char ***paths)
{
    hr_trial_wishes w = {.is_first = hr_trial_is_first(t), .saves = true};
    const hr_worker_hooks hooks = hr_trial_hooks(&w);
    hr_checkpointing c = hr_trial_checkpointing(t);
    size_t n;

    hr_test_on_all(t->all,
                   hr_trial_is_same(t, (hr_pipeline_options){.layout = hr_trial_layout(t),
                                                             .checkpointing = &c,
                                                             .hooks = &hooks}));
    hr_test_on_all(t->all, !w.has_bad_pace && !w.has_bad_progress && w.n_failed == 0);
    n = hr_trial_list(t, paths);
    hr_test_on_all(t->all, !w.is_first || (size_t)w.n_saved >= n);
    return n;
}

/* Then resumes from some of the files. Rank 0 hears of what others have done a little
 * later, so a short job on many ranks may be over before it has asked for a second one:
 * then again, on another layout. */
static void cut_everywhere(hr_group *all, const hr_pipeline_model *model,
                           void (*change)(hr_job *job), size_t n_resumed)
{
    hr_trial t;
    char **paths;
    size_t n;

    hr_trial_open(&t, all, model, change);
    n = save_everywhere(&t, &paths);
    for (int tries = 1; n < 2 && tries < 6; tries++) {
        hr_checkpoint_list_free(paths, n);
        n = save_everywhere(&t, &paths);
    }
    hr_test_on_all(all, n >= 2);
    for (size_t i = 0; i < n_resumed; i++) {
        hr_checkpointing from = {.resume = paths[hr_trial_draw(&t, (uint32_t)n)]};
        hr_render_times times = {0};
        hr_layout layout = hr_trial_layout(&t);
        bool is_same = hr_trial_is_same(&t, (hr_pipeline_options){.layout = layout,
                                                                  .checkpointing = &from,
                                                                  .times = &times});

        if (!is_same && hr_trial_is_first(&t))
            print_error("from %s on %d x %d x %d x %d\n", from.resume, layout.windows,
                        layout.stages, layout.tensor, layout.cfg);
        hr_test_on_all(all, is_same);
        hr_test_on_all(all, times.stage_flops[HR_STAGE_TEXT] == 0);
    }
    go_on_by_a_step(&t, paths[hr_trial_draw(&t, (uint32_t)n)]);
    hr_checkpoint_list_free(paths, n);
    hr_trial_close(&t);
}

static void anchored_on_the_first_frame(hr_group *all)
{
    for (int i = 0; i < 2; i++)
        cut_everywhere(all, &hr_long_sharded, hr_long_job, 3);
}

static void anchored_on_the_previous_window(hr_group *all)
{
    cut_everywhere(all, &hr_long_sharded, hr_long_job_previous, 3);
}

static void fixed_grid(hr_group *all)
{
    cut_everywhere(all, &hr_long_sharded, hr_long_job_fixed, 3);
}

static void stages_and_guidance(hr_group *all)
{
    cut_everywhere(all, &hr_long_deep, hr_long_job, 4);
}

static void two_experts(hr_group *all)
{
    cut_everywhere(all, &hr_long_experts, make_for_experts, 3);
}

static void few_windows(hr_group *all)
{
    cut_everywhere(all, &hr_long_sharded, hr_long_job_short, 2);
    cut_everywhere(all, &hr_long_sharded, hr_long_job_clip, 1);
}

/* Stopped by any rank, and gone on with on another layout; whether it came to the end. */
static bool stop_once(hr_trial *t, int at)
{
    int stopper = (int)hr_trial_draw(t, (uint32_t)hr_group_size(t->all));
    hr_trial_wishes w = {.is_first = hr_trial_is_first(t),
                         .stop_at = stopper == hr_group_rank(t->all) ? at : 0};
    const hr_worker_hooks hooks = hr_trial_hooks(&w);
    hr_checkpointing c = hr_trial_checkpointing(t);
    hr_status got = HR_ERR_INTERNAL;
    bool is_same;
    char **paths;
    size_t n = hr_trial_list(t, &paths);

    c.keep = 2;
    c.resume = hr_trial_newest(paths, n);
    is_same = hr_trial_is_same(t, (hr_pipeline_options){.layout = hr_trial_layout(t),
                                                        .checkpointing = &c,
                                                        .hooks = &hooks,
                                                        .got = &got});
    hr_checkpoint_list_free(paths, n);
    if (got != HR_OK) {
        hr_test_ok(hr_world_recover(hr_group_world(t->all)));
        hr_test_on_all(t->all, got == HR_ERR_CANCELLED);
        n = hr_trial_list(t, &paths);
        hr_checkpoint_list_free(paths, n);
        hr_test_on_all(t->all, n >= 1 && n <= 2 && (!w.is_first || w.n_saved == 1));
    }
    hr_test_on_all(t->all, is_same && !w.has_bad_progress);
    return got == HR_OK;
}

static void stop_often(hr_group *all, const hr_pipeline_model *model,
                       void (*change)(hr_job *job))
{
    int n_stops = 0;
    hr_trial t;

    hr_trial_open(&t, all, model, change);
    while (!stop_once(&t, n_stops < 4 ? 2 + (int)hr_trial_draw(&t, 8) : 0))
        n_stops++;
    if (hr_trial_is_first(&t))
        print_message("%s: stopped %d times\n", model->name, n_stops);
    hr_trial_close(&t);
}

static void stopped_again_and_again(hr_group *all)
{
    stop_often(all, &hr_long_sharded, hr_long_job_previous);
    stop_often(all, &hr_long_deep, hr_long_job);
    stop_often(all, &hr_long_experts, make_for_experts);
}

/* A rank that has nothing to do yet, or any more, is heard too. */
static void stopped_before_anything(hr_group *all)
{
    hr_trial t;

    hr_trial_open(&t, all, &hr_long_sharded, hr_long_job);
    hr_test_on_all(all, !stop_once(&t, 2));
    hr_test_on_all(all, stop_once(&t, 0));
    hr_trial_close(&t);
}

/* The render goes on, and has the same bits. */
static void a_save_that_fails(hr_group *all)
{
    hr_trial_wishes w = {.is_first = hr_group_rank(all) == 0, .saves = true};
    const hr_worker_hooks hooks = hr_trial_hooks(&w);
    hr_checkpointing c;
    hr_trial t;
    bool is_same;

    hr_trial_open_whole(&t, all, &hr_long_sharded, hr_long_job, true);
    c = hr_trial_checkpointing(&t);
    c.folder = "/nowhere/at/all";
    hr_test_catch_log();
    is_same = hr_trial_is_same(&t, (hr_pipeline_options){.layout = hr_trial_layout(&t),
                                                         .checkpointing = &c,
                                                         .hooks = &hooks});
    hr_test_release_log();
    hr_test_on_all(all, is_same && w.n_saved == 0 && (!w.is_first || w.n_failed > 0));
    hr_trial_close(&t);
}

static void stopped_after_a_step(hr_group *all)
{
    hr_checkpointing c, from;
    hr_trial t;
    char **paths;
    size_t n;

    hr_trial_open(&t, all, &hr_long_sharded, hr_long_job);
    c = hr_trial_checkpointing(&t);
    for (int step = 1; step < 3; step++) {
        size_t n_before = hr_trial_list(&t, &paths);

        from = c;
        from.resume = hr_trial_newest(paths, n_before);
        hr_trial_run(&t, (hr_pipeline_options){.layout = hr_trial_layout(&t),
                                               .checkpointing = &from,
                                               .stop_after_step = step});
        hr_checkpoint_list_free(paths, n_before);
        n = hr_trial_list(&t, &paths);
        hr_checkpoint_list_free(paths, n);
        hr_test_on_all(all, n == n_before + 1);
    }
    n = hr_trial_list(&t, &paths);
    from.resume = paths[0];
    hr_test_on_all(
        all, hr_trial_is_same(&t, (hr_pipeline_options){.layout = hr_trial_layout(&t),
                                                        .checkpointing = &from}));
    hr_checkpoint_list_free(paths, n);
    hr_trial_close(&t);
}

/* Checkpoints go when the latents are there. */
static void the_latents_take_the_place_of_checkpoints(hr_group *all)
{
    hr_trial_wishes w = {.is_first = hr_group_rank(all) == 0, .saves = true};
    const hr_worker_hooks hooks = hr_trial_hooks(&w);
    char path[300];
    hr_checkpointing c;
    hr_checkpoint *file;
    hr_trial t;
    char **paths;
    size_t n;

    hr_trial_open_whole(&t, all, &hr_long_sharded, hr_long_job, true);
    c = hr_trial_checkpointing(&t);
    snprintf(path, sizeof path, "%s/latents.h5", t.folder);
    c.latents = path;
    hr_test_on_all(
        all, hr_trial_is_same(&t, (hr_pipeline_options){.layout = hr_trial_layout(&t),
                                                        .checkpointing = &c,
                                                        .hooks = &hooks}));
    n = hr_trial_list(&t, &paths);
    hr_checkpoint_list_free(paths, n);
    hr_test_on_all(all, n == 0 && (!w.is_first || w.n_saved > 2));
    hr_test_ok(hr_checkpoint_verify(all, path));
    hr_test_ok(hr_checkpoint_open(path, &file));
    hr_test_on_all(all, hr_checkpoint_get_head(file)->steps_done == 3 &&
                            hr_checkpoint_get_head(file)->n_pending == 0 &&
                            hr_checkpoint_get_head(file)->n_rounds == 0);
    hr_checkpoint_close(file);
    hr_trial_close(&t);
}

/* Another job's. */
static void a_checkpoint_that_does_not_fit(hr_group *all)
{
    hr_checkpointing c, from = {0};
    hr_trial t;
    char **paths;
    size_t n;

    hr_trial_open(&t, all, &hr_long_sharded, hr_long_job);
    c = hr_trial_checkpointing(&t);
    hr_trial_run(&t, (hr_pipeline_options){.checkpointing = &c, .stop_after_step = 1});
    n = hr_trial_list(&t, &paths);
    from.resume = paths[0];
    t.change = hr_long_job_short;
    hr_test_catch_log();
    hr_trial_run(&t, (hr_pipeline_options){.checkpointing = &from,
                                           .latents_only = true,
                                           .expected = HR_ERR_CHECKPOINT});
    hr_test_release_log();
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    hr_checkpoint_list_free(paths, n);
    hr_trial_close(&t);
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(anchored_on_the_first_frame),
        HR_RANK_TEST(anchored_on_the_previous_window),
        HR_RANK_TEST(fixed_grid),
        HR_RANK_TEST(stages_and_guidance),
        HR_RANK_TEST(two_experts),
        HR_RANK_TEST(few_windows),
        HR_RANK_TEST(stopped_again_and_again),
        HR_RANK_TEST(stopped_before_anything),
        HR_RANK_TEST(a_save_that_fails),
        HR_RANK_TEST(stopped_after_a_step),
        HR_RANK_TEST(the_latents_take_the_place_of_checkpoints),
        HR_RANK_TEST(a_checkpoint_that_does_not_fit),
    };

    return hr_test_run_on_ranks("worker/resume", tests, sizeof tests / sizeof tests[0]);
}
