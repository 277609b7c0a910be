/* For tests of interrupted renders: one job of one model, rendered again and again in
 * pieces and layouts, and what it has to come to. Collective over all ranks. */
#ifndef HR_TESTS_WORKER_TRIAL_H
#define HR_TESTS_WORKER_TRIAL_H

#include "base/text.h"
#include "worker/long_jobs.h"

/* A job of one model, its folders (the same on all ranks), and what it has to come to. */
typedef struct hr_trial {
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
} hr_trial;

uint32_t hr_trial_draw(hr_trial *t, uint32_t n); /* below n, the same on all ranks */
bool hr_trial_is_first(const hr_trial *t);
/* Any layout that so many ranks and the model allow, with idle ranks or without. */
hr_layout hr_trial_layout(hr_trial *t);

/* Renders it once; without the decode, but for a whole one. Closing removes the
 * checkpoints. */
void hr_trial_open(hr_trial *t, hr_group *all, const hr_pipeline_model *model,
                   void (*change)(hr_job *job));
void hr_trial_open_whole(hr_trial *t, hr_group *all, const hr_pipeline_model *model,
                         void (*change)(hr_job *job), bool is_whole);
void hr_trial_close(hr_trial *t);

/* With what `options` say, in the trial's folder; and whether that came to the same
 * latents and hashes (true also where *options.got is no success). */
void hr_trial_run(const hr_trial *t, hr_pipeline_options options);
bool hr_trial_is_same(const hr_trial *t, hr_pipeline_options options);

/* Into the trial's folder, and what is there, newest first, on all ranks. */
hr_checkpointing hr_trial_checkpointing(const hr_trial *t);
size_t hr_trial_list(const hr_trial *t, char ***paths);
const char *hr_trial_newest(char **paths, size_t n); /* NULL: none */

/* What the user of a rank wants, and what was seen. */
typedef struct hr_trial_wishes {
    bool is_first, saves; /* at every round */
    int stop_at;          /* so manieth time it is asked; 0: never */
    int n_asked, n_saved, n_failed;
    bool has_bad_pace, has_bad_progress;
    int64_t units; /* done, as shown last */
} hr_trial_wishes;

hr_worker_hooks hr_trial_hooks(hr_trial_wishes *w);

#endif
