/* HR_TEST_RANKS: a render that is saved, stopped and resumed, at any round, on any
 * layout, has the bits of one that is not. */
#include "worker/pipeline.h"

#include "base/memory.h"
#include "coordinator/layout.h"
#include "io/checkpoint.h"
#include "io/checkpoint_folder.h"
#include "support/ranks.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const hr_pipeline_model sharded = {"wan21-tiny", 0, 3, 4};
static const hr_pipeline_model deep = {"wan21-odd", 1, 5, 1}; /* with guidance */
static const hr_pipeline_model experts = {"wan22-moe", 0, 2, 2};

/* 11 latent frames, windows of 3: 5 or 6 of them a step. */
static void make_long(hr_job *job)
{
    job->steps = 3;
    job->frames = 41;
    job->window_frames = 9;
    job->window_overlap = 4;
    job->anchor = HR_ANCHOR_FIRST;
}

/* The second expert comes at step 3. */
static void make_for_experts(hr_job *job)
{
    make_long(job);
    job->steps = 5;
    job->frames = 25;
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
}

/* Two windows: fewer than groups of some layouts. */
static void make_short(hr_job *job)
{
    make_long(job);
    job->frames = 17;
}

/* One window. */
static void make_clip(hr_job *job)
{
    make_long(job);
    job->frames = 9;
}

/* A job of one model, its folders (the same on all ranks), and what it has to come to. */
typedef struct trial {
    hr_group *all;
    const hr_pipeline_model *model;
    void (*change)(hr_job *job);
    hr_golden *golden;
    char folder[256], checkpoints[280]; /* below it */
    uint32_t draw;
    bool is_whole; /* with the decode */
    char *latents; /* the file; on rank 0 */
    size_t n_latents;
    hr_receipt *receipt; /* the same */
} trial;

static uint32_t draw(trial *t, uint32_t n)
{
    t->draw = t->draw * 1664525U + 1013904223U;
    return (t->draw >> 8) % n;
}

static bool is_first(const trial *t)
{
    return hr_group_rank(t->all) == 0;
}

static void remove_checkpoints(const trial *t)
{
    char **paths;
    size_t n;

    hr_test_ok(hr_group_agree(t->all, HR_OK));
    if (is_first(t)) {
        hr_test_ok(hr_checkpoint_list(t->checkpoints, &paths, &n));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(unlink(paths[i]), 0);
        hr_checkpoint_list_free(paths, n);
    }
    hr_test_ok(hr_group_agree(t->all, HR_OK));
}

/* Any layout that so many ranks allow, some idle or not. */
static hr_layout draw_layout(trial *t)
{
    for (;;) {
        uint32_t i = draw(t, HR_PIPELINE_N_LAYOUTS + 1);
        const hr_layout one = {1, 1, 1, 1};
        const hr_layout *layout = i == 0 ? &one : &hr_pipeline_layouts[i - 1];

        if (hr_layout_size(layout) <= hr_group_size(t->all) &&
            hr_pipeline_allows(t->model, layout) &&
            (layout->cfg == 1 || t->model == &deep))
            return *layout;
    }
}

static hr_receipt *create_receipt(const trial *t)
{
    hr_receipt *receipt = NULL;
    hr_job job;

    hr_job_init(&job);
    t->change(&job);
    if (is_first(t))
        hr_test_ok(
            hr_receipt_create(job.steps, (job.frames - 1) / 4 + 1, job.frames, &receipt));
    hr_job_free(&job);
    return receipt;
}

static void run(const trial *t, hr_pipeline_options options)
{
    options.folder = t->folder;
    options.group = t->all;
    options.threads = 1;
    options.change = t->change;
    hr_pipeline_render(t->golden, hr_golden_run_at(t->golden, t->model->run), &options);
}

/* Renders with what `options` say, and compares where that comes to the end. */
static bool comes_to_the_same(const trial *t, hr_pipeline_options options)
{
    bool is_same = true;
    hr_receipt *receipt = create_receipt(t);

    options.latents_only = !t->is_whole;
    options.receipt = receipt;
    run(t, options);
    if (is_first(t) && (options.got == NULL || *options.got == HR_OK)) {
        hr_text difference = {0};
        size_t n;
        char *latents = hr_test_read(hr_test_path(t->folder, "latents.safetensors"), &n);

        hr_test_ok(hr_receipt_compare(receipt, t->receipt, &difference));
        is_same = n == t->n_latents && memcmp(latents, t->latents, n) == 0 &&
                  difference.length == 0;
        if (!is_same)
            print_error("%s: other bits: %s\n", t->model->name,
                        difference.length > 0 ? difference.s : "latents");
        hr_text_free(&difference);
        hr_free(latents);
    }
    hr_receipt_free(receipt);
    return is_same;
}

static void open_whole_trial(trial *t, hr_group *all, const hr_pipeline_model *model,
                             void (*change)(hr_job *job), bool is_whole)
{
    static unsigned n_opened;

    *t = (trial){.all = all,
                 .model = model,
                 .change = change,
                 .draw = ++n_opened,
                 .is_whole = is_whole};
    t->golden = hr_golden_open(model->name);
    if (is_first(t))
        snprintf(t->folder, sizeof t->folder, "%s", hr_test_folder());
    hr_test_ok(hr_group_broadcast(all, 0, t->folder, sizeof t->folder));
    snprintf(t->checkpoints, sizeof t->checkpoints, "%s/checkpoint", t->folder);
    if (is_first(t))
        assert_int_equal(mkdir(t->checkpoints, 0777), 0);
    t->receipt = create_receipt(t);
    run(t, (hr_pipeline_options){.latents_only = !is_whole, .receipt = t->receipt});
    if (is_first(t))
        t->latents =
            hr_test_read(hr_test_path(t->folder, "latents.safetensors"), &t->n_latents);
}

static void open_trial(trial *t, hr_group *all, const hr_pipeline_model *model,
                       void (*change)(hr_job *job))
{
    open_whole_trial(t, all, model, change, false);
}

static void close_trial(trial *t)
{
    remove_checkpoints(t);
    hr_receipt_free(t->receipt);
    hr_free(t->latents);
    hr_golden_close(t->golden);
}

static hr_checkpointing checkpointing(const trial *t)
{
    return (hr_checkpointing){.folder = t->checkpoints,
                              .keep = 1000,
                              .job = "seed\t1\n",
                              .model = "name\ttoy\n",
                              .job_yaml = "seed: 1\n"};
}

/* What the user of a rank wants, and what was seen. */
typedef struct wishes {
    bool is_first, saves; /* at every round */
    int stop_at;          /* so manieth time it is asked; 0: never */
    int n_asked, n_saved, n_failed;
    bool has_bad_pace, has_bad_progress;
    int64_t units; /* done, as shown last */
} wishes;

static void on_progress(void *user, const hr_progress *p)
{
    wishes *w = user;

    if (p->stage != HR_STAGE_DENOISE || p->n_windows == 0)
        return;
    w->has_bad_progress |= p->units_done < w->units || p->units_done > p->n_units ||
                           p->units_before > p->units_done || p->done > p->total;
    w->units = p->units_done;
}

static hr_wish wish(void *user, const hr_pace *pace)
{
    wishes *w = user;

    w->has_bad_pace |= (pace != NULL) != w->is_first && w->n_asked > 3;
    if (pace != NULL)
        w->has_bad_pace |= pace->round_seconds < 0 || pace->since_save_seconds < 0 ||
                           pace->late_round_seconds + 1e-9 < pace->round_seconds / 100 ||
                           pace->steps_since_save > pace->steps_done;
    if (++w->n_asked == w->stop_at)
        return HR_WISH_STOP;
    return w->saves && pace != NULL ? HR_WISH_SAVE : HR_WISH_NONE;
}

static void on_saved(void *user, const char *path, hr_status status)
{
    wishes *w = user;

    (void)path;
    w->n_saved += status == HR_OK;
    w->n_failed += status != HR_OK;
}

/* The checkpoints that there are, newest first; on all ranks. */
static size_t list(const trial *t, char ***paths)
{
    size_t n;

    hr_test_ok(hr_group_agree(t->all, HR_OK));
    hr_test_ok(hr_checkpoint_list(t->checkpoints, paths, &n));
    return n;
}

static const char *newest(char **paths, size_t n)
{
    return n > 0 ? paths[0] : NULL;
}

/* From a file to a step, which some frames may have passed, and from there to the end. */
static void go_on_by_a_step(trial *t, const char *path)
{
    hr_checkpointing c = checkpointing(t);
    char **paths;
    size_t n;

    c.resume = path;
    run(t, (hr_pipeline_options){
               .layout = draw_layout(t), .checkpointing = &c, .stop_after_step = 2});
    n = list(t, &paths);
    c.resume = newest(paths, n);
    hr_test_on_all(t->all,
                   comes_to_the_same(t, (hr_pipeline_options){.layout = draw_layout(t),
                                                              .checkpointing = &c}));
    hr_checkpoint_list_free(paths, n);
}

/* Saves at every round, goes on; then resumes from some of the files. */
static void cut_everywhere(hr_group *all, const hr_pipeline_model *model,
                           void (*change)(hr_job *job), size_t n_resumed)
{
    wishes w = {.is_first = hr_group_rank(all) == 0, .saves = true};
    const hr_worker_hooks hooks = {
        .wish = wish, .on_progress = on_progress, .on_saved = on_saved, .user = &w};
    hr_checkpointing c;
    trial t;
    char **paths;
    size_t n;

    open_trial(&t, all, model, change);
    c = checkpointing(&t);
    hr_test_on_all(all,
                   comes_to_the_same(&t, (hr_pipeline_options){.layout = draw_layout(&t),
                                                               .checkpointing = &c,
                                                               .hooks = &hooks}));
    hr_test_on_all(all, !w.has_bad_pace && !w.has_bad_progress && w.n_failed == 0);
    n = list(&t, &paths);
    hr_test_on_all(all, n >= 2 && (!w.is_first || (size_t)w.n_saved >= n));
    for (size_t i = 0; i < n_resumed; i++) {
        hr_checkpointing from = {.resume = paths[draw(&t, (uint32_t)n)]};
        hr_render_times times = {0};
        hr_layout layout = draw_layout(&t);
        bool is_same = comes_to_the_same(&t, (hr_pipeline_options){.layout = layout,
                                                                   .checkpointing = &from,
                                                                   .times = &times});

        if (!is_same && w.is_first)
            print_error("from %s on %d x %d x %d x %d\n", from.resume, layout.windows,
                        layout.stages, layout.tensor, layout.cfg);
        hr_test_on_all(all, is_same);
        hr_test_on_all(all, times.stage_flops[HR_STAGE_TEXT] == 0);
    }
    go_on_by_a_step(&t, paths[draw(&t, (uint32_t)n)]);
    hr_checkpoint_list_free(paths, n);
    close_trial(&t);
}

static void anchored_on_the_first_frame(hr_group *all)
{
    for (int i = 0; i < 2; i++)
        cut_everywhere(all, &sharded, make_long, 3);
}

static void anchored_on_the_previous_window(hr_group *all)
{
    cut_everywhere(all, &sharded, make_previous, 3);
}

static void fixed_grid(hr_group *all)
{
    cut_everywhere(all, &sharded, make_fixed, 3);
}

static void stages_and_guidance(hr_group *all)
{
    cut_everywhere(all, &deep, make_long, 4);
}

static void two_experts(hr_group *all)
{
    cut_everywhere(all, &experts, make_for_experts, 3);
}

static void few_windows(hr_group *all)
{
    cut_everywhere(all, &sharded, make_short, 2);
    cut_everywhere(all, &sharded, make_clip, 1);
}

/* Stopped by any rank, and gone on with on another layout; whether it came to the end. */
static bool stop_once(trial *t, int at)
{
    int stopper = (int)draw(t, (uint32_t)hr_group_size(t->all));
    wishes w = {.is_first = is_first(t),
                .stop_at = stopper == hr_group_rank(t->all) ? at : 0};
    const hr_worker_hooks hooks = {
        .wish = wish, .on_progress = on_progress, .on_saved = on_saved, .user = &w};
    hr_checkpointing c = checkpointing(t);
    hr_status got = HR_ERR_INTERNAL;
    bool is_same;
    char **paths;
    size_t n = list(t, &paths);

    c.keep = 2;
    c.resume = newest(paths, n);
    is_same = comes_to_the_same(t, (hr_pipeline_options){.layout = draw_layout(t),
                                                         .checkpointing = &c,
                                                         .hooks = &hooks,
                                                         .got = &got});
    hr_checkpoint_list_free(paths, n);
    if (got != HR_OK) {
        hr_test_ok(hr_world_recover(hr_group_world(t->all)));
        hr_test_on_all(t->all, got == HR_ERR_CANCELLED);
        n = list(t, &paths);
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
    trial t;

    open_trial(&t, all, model, change);
    while (!stop_once(&t, n_stops < 4 ? 2 + (int)draw(&t, 8) : 0))
        n_stops++;
    if (is_first(&t))
        print_message("%s: stopped %d times\n", model->name, n_stops);
    close_trial(&t);
}

static void stopped_again_and_again(hr_group *all)
{
    stop_often(all, &sharded, make_previous);
    stop_often(all, &deep, make_long);
    stop_often(all, &experts, make_for_experts);
}

/* A rank that has nothing to do yet, or any more, is heard too. */
static void stopped_before_anything(hr_group *all)
{
    trial t;

    open_trial(&t, all, &sharded, make_long);
    hr_test_on_all(all, !stop_once(&t, 2));
    hr_test_on_all(all, stop_once(&t, 0));
    close_trial(&t);
}

/* The render goes on, and has the same bits. */
static void a_save_that_fails(hr_group *all)
{
    wishes w = {.is_first = hr_group_rank(all) == 0, .saves = true};
    const hr_worker_hooks hooks = {
        .wish = wish, .on_progress = on_progress, .on_saved = on_saved, .user = &w};
    hr_checkpointing c;
    trial t;
    bool is_same;

    open_whole_trial(&t, all, &sharded, make_long, true);
    c = checkpointing(&t);
    c.folder = "/nowhere/at/all";
    hr_test_catch_log();
    is_same = comes_to_the_same(&t, (hr_pipeline_options){.layout = draw_layout(&t),
                                                          .checkpointing = &c,
                                                          .hooks = &hooks});
    hr_test_release_log();
    hr_test_on_all(all, is_same && w.n_saved == 0 && (!w.is_first || w.n_failed > 0));
    close_trial(&t);
}

static void stopped_after_a_step(hr_group *all)
{
    hr_checkpointing c, from;
    trial t;
    char **paths;
    size_t n;

    open_trial(&t, all, &sharded, make_long);
    c = checkpointing(&t);
    for (int step = 1; step < 3; step++) {
        size_t n_before = list(&t, &paths);

        from = c;
        from.resume = newest(paths, n_before);
        run(&t, (hr_pipeline_options){.layout = draw_layout(&t),
                                      .checkpointing = &from,
                                      .stop_after_step = step});
        hr_checkpoint_list_free(paths, n_before);
        n = list(&t, &paths);
        hr_checkpoint_list_free(paths, n);
        hr_test_on_all(all, n == n_before + 1);
    }
    n = list(&t, &paths);
    from.resume = paths[0];
    hr_test_on_all(all,
                   comes_to_the_same(&t, (hr_pipeline_options){.layout = draw_layout(&t),
                                                               .checkpointing = &from}));
    hr_checkpoint_list_free(paths, n);
    close_trial(&t);
}

/* Checkpoints go when the latents are there. */
static void the_latents_take_the_place_of_checkpoints(hr_group *all)
{
    wishes w = {.is_first = hr_group_rank(all) == 0, .saves = true};
    const hr_worker_hooks hooks = {
        .wish = wish, .on_progress = on_progress, .on_saved = on_saved, .user = &w};
    char path[300];
    hr_checkpointing c;
    hr_checkpoint *file;
    trial t;
    char **paths;
    size_t n;

    open_whole_trial(&t, all, &sharded, make_long, true);
    c = checkpointing(&t);
    snprintf(path, sizeof path, "%s/latents.h5", t.folder);
    c.latents = path;
    hr_test_on_all(all,
                   comes_to_the_same(&t, (hr_pipeline_options){.layout = draw_layout(&t),
                                                               .checkpointing = &c,
                                                               .hooks = &hooks}));
    n = list(&t, &paths);
    hr_checkpoint_list_free(paths, n);
    hr_test_on_all(all, n == 0 && (!w.is_first || w.n_saved > 2));
    hr_test_ok(hr_checkpoint_verify(all, path));
    hr_test_ok(hr_checkpoint_open(path, &file));
    hr_test_on_all(all, hr_checkpoint_get_head(file)->steps_done == 3 &&
                            hr_checkpoint_get_head(file)->n_pending == 0 &&
                            hr_checkpoint_get_head(file)->n_rounds == 0);
    hr_checkpoint_close(file);
    close_trial(&t);
}

/* Another job's. */
static void a_checkpoint_that_does_not_fit(hr_group *all)
{
    hr_checkpointing c, from = {0};
    trial t;
    char **paths;
    size_t n;

    open_trial(&t, all, &sharded, make_long);
    c = checkpointing(&t);
    run(&t, (hr_pipeline_options){.checkpointing = &c, .stop_after_step = 1});
    n = list(&t, &paths);
    from.resume = paths[0];
    t.change = make_short;
    hr_test_catch_log();
    run(&t, (hr_pipeline_options){.checkpointing = &from,
                                  .latents_only = true,
                                  .expected = HR_ERR_CHECKPOINT});
    hr_test_release_log();
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    hr_checkpoint_list_free(paths, n);
    close_trial(&t);
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
