/* Renders the runs of golden cases through a whole worker, for the tests of this folder.
 */
#ifndef HR_TESTS_WORKER_PIPELINE_H
#define HR_TESTS_WORKER_PIPELINE_H

#include "support/golden.h"
#include "support/test_util.h"
#include "worker/estimate.h"

/* What a test varies. Zeroed: numerics exact, all threads, noise of torch from the run's
 * seed. */
typedef struct hr_pipeline_options {
    hr_numerics numerics;
    int threads;
    bool keep_parts;
    int n_times; /* render so many times with one worker; 0 is 1 */
    const char *latents_in;
    const hr_trace *trace;
    const char *folder;          /* results: latents.safetensors, frames.safetensors */
    hr_group *group;             /* NULL: this process alone */
    hr_layout layout;            /* zeroed: one of each */
    void (*change)(hr_job *job); /* makes another job of the run's; NULL: no */
    bool latents_only;
    int stop_after_step; /* 0: no; writes no latents */
    const hr_checkpointing *checkpointing;
    const hr_worker_hooks *hooks;
    hr_receipt *receipt;
    hr_status expected;     /* of the render, on all ranks */
    hr_status *got;         /* filled in instead of comparing; NULL: no */
    hr_render_times *times; /* NULL, or filled in */
} hr_pipeline_options;

/* Layouts of 2 to 8 ranks, and whether a model (its layers, its shards) allows one. */
enum { HR_PIPELINE_N_LAYOUTS = 15 };
extern const hr_layout hr_pipeline_layouts[HR_PIPELINE_N_LAYOUTS];
typedef struct hr_pipeline_model {
    const char *name; /* of the golden case */
    size_t run;
    int n_layers, n_shards;
} hr_pipeline_model;
bool hr_pipeline_allows(const hr_pipeline_model *model, const hr_layout *layout);

/* Asserts that everything works and nothing leaks. Collective over the group. */
void hr_pipeline_render(const hr_golden *golden, const hr_golden_run *run,
                        const hr_pipeline_options *options);

/* What a run was estimated to need, and what it took on `device`, which is fresh. */
typedef struct hr_pipeline_figures {
    hr_estimate estimate;
    hr_device_stats measured;
} hr_pipeline_figures;
void hr_pipeline_estimate(const hr_golden *golden, const hr_golden_run *run,
                          bool keep_parts, hr_device *device, hr_pipeline_figures *out);

/* The same estimate alone, for one of many ranks. */
void hr_pipeline_estimate_rank(const hr_golden *golden, const hr_golden_run *run,
                               const hr_pipeline_options *options, int rank, int n_ranks,
                               hr_estimate *out);

#endif
