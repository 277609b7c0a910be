#include "worker/trial.h"

#include "base/memory.h"
#include "coordinator/layout.h"
#include "io/checkpoint_folder.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint32_t hr_trial_draw(hr_trial *t, uint32_t n)
{
    t->draw = t->draw * 1664525U + 1013904223U;
    return (t->draw >> 8) % n;
}

bool hr_trial_is_first(const hr_trial *t)
{
    return hr_group_rank(t->all) == 0;
}

static void remove_checkpoints(const hr_trial *t)
{
    char **paths;
    size_t n;

    hr_test_ok(hr_group_agree(t->all, HR_OK));
    if (hr_trial_is_first(t)) {
        hr_test_ok(hr_checkpoint_list(t->checkpoints, &paths, &n));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(unlink(paths[i]), 0);
        hr_checkpoint_list_free(paths, n);
    }
    hr_test_ok(hr_group_agree(t->all, HR_OK));
}

/* Any layout that so many ranks allow, some idle or not. */
hr_layout hr_trial_layout(hr_trial *t)
{
    for (;;) {
        uint32_t i = hr_trial_draw(t, HR_PIPELINE_N_LAYOUTS + 1);
        const hr_layout one = {1, 1, 1, 1};
        const hr_layout *layout = i == 0 ? &one : &hr_pipeline_layouts[i - 1];

        if (hr_layout_size(layout) <= hr_group_size(t->all) &&
            hr_pipeline_allows(t->model, layout) &&
            (layout->cfg == 1 || t->model == &hr_long_deep))
            return *layout;
    }
}

static hr_receipt *create_receipt(const hr_trial *t)
{
    hr_receipt *receipt = NULL;
    hr_job job;

    hr_job_init(&job);
    t->change(&job);
    if (hr_trial_is_first(t))
        hr_test_ok(
            hr_receipt_create(job.steps, (job.frames - 1) / 4 + 1, job.frames, &receipt));
    hr_job_free(&job);
    return receipt;
}

void hr_trial_run(const hr_trial *t, hr_pipeline_options options)
{
    options.folder = t->folder;
    options.group = t->all;
    options.threads = 1;
    options.change = t->change;
    hr_pipeline_render(t->golden, hr_golden_run_at(t->golden, t->model->run), &options);
}

/* Renders with what `options` say, and compares where that comes to the end. */
bool hr_trial_is_same(const hr_trial *t, hr_pipeline_options options)
{
    bool is_same = true;
    hr_receipt *receipt = create_receipt(t);

    options.latents_only = !t->is_whole;
    options.receipt = receipt;
    hr_trial_run(t, options);
    if (hr_trial_is_first(t) && (options.got == NULL || *options.got == HR_OK)) {
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

void hr_trial_open_whole(hr_trial *t, hr_group *all, const hr_pipeline_model *model,
                         void (*change)(hr_job *job), bool is_whole)
{
    static unsigned n_opened;

    *t = (hr_trial){.all = all,
                    .model = model,
                    .change = change,
                    .draw = ++n_opened,
                    .is_whole = is_whole};
    t->golden = hr_golden_open(model->name);
    if (hr_trial_is_first(t))
        snprintf(t->folder, sizeof t->folder, "%s", hr_test_folder());
    hr_test_ok(hr_group_broadcast(all, 0, t->folder, sizeof t->folder));
    snprintf(t->checkpoints, sizeof t->checkpoints, "%s/checkpoint", t->folder);
    if (hr_trial_is_first(t))
        assert_int_equal(mkdir(t->checkpoints, 0777), 0);
    t->receipt = create_receipt(t);
    hr_trial_run(t,
                 (hr_pipeline_options){.latents_only = !is_whole, .receipt = t->receipt});
    if (hr_trial_is_first(t))
        t->latents =
            hr_test_read(hr_test_path(t->folder, "latents.safetensors"), &t->n_latents);
}

void hr_trial_open(hr_trial *t, hr_group *all, const hr_pipeline_model *model,
                   void (*change)(hr_job *job))
{
    hr_trial_open_whole(t, all, model, change, false);
}

void hr_trial_close(hr_trial *t)
{
    remove_checkpoints(t);
    hr_receipt_free(t->receipt);
    hr_free(t->latents);
    hr_golden_close(t->golden);
}

hr_checkpointing hr_trial_checkpointing(const hr_trial *t)
{
    return (hr_checkpointing){.folder = t->checkpoints,
                              .keep = 1000,
                              .job = "seed\t1\n",
                              .model = "name\ttoy\n",
                              .job_yaml = "seed: 1\n"};
}

static void on_progress(void *user, const hr_progress *p)
{
    hr_trial_wishes *w = user;

    if (p->stage != HR_STAGE_DENOISE || p->n_windows == 0)
        return;
    w->has_bad_progress |= p->units_done < w->units || p->units_done > p->n_units ||
                           p->units_before > p->units_done || p->done > p->total;
    w->units = p->units_done;
}

static hr_wish wish(void *user, const hr_pace *pace)
{
    hr_trial_wishes *w = user;

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
    hr_trial_wishes *w = user;

    (void)path;
    w->n_saved += status == HR_OK;
    w->n_failed += status != HR_OK;
}

/* The checkpoints that there are, newest first; on all ranks. */
size_t hr_trial_list(const hr_trial *t, char ***paths)
{
    size_t n;

    hr_test_ok(hr_group_agree(t->all, HR_OK));
    hr_test_ok(hr_checkpoint_list(t->checkpoints, paths, &n));
    return n;
}

const char *hr_trial_newest(char **paths, size_t n)
{
    return n > 0 ? paths[0] : NULL;
}

hr_worker_hooks hr_trial_hooks(hr_trial_wishes *w)
{
    return (hr_worker_hooks){
        .wish = wish, .on_progress = on_progress, .on_saved = on_saved, .user = w};
}
