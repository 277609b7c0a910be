/* The life of one rank: it holds its part of a model on a device and renders videos with
 * the other ranks, one after another.
 *
 * All functions are collective over the worker's group: same arguments (but for the files
 * of a render, which rank 0 alone writes), same status on all ranks. Where the device is
 * dry, everything runs but nothing is computed, read or written: that is the estimate
 * (estimate.h). */
#ifndef HR_WORKER_WORKER_H
#define HR_WORKER_WORKER_H

#include "comm/group.h"
#include "compute/trace.h"
#include "coordinator/plan.h"
#include "coordinator/schedule.h"
#include "io/receipt.h"
#include "model/model.h"
#include "model/numerics.h"
#include "worker/save.h"

typedef struct hr_worker hr_worker;

typedef struct hr_worker_options {
    const hr_model *model; /* borrowed */
    hr_device *device;     /* borrowed */
    hr_numerics numerics;
    hr_layout layout; /* how the ranks of the group share the denoising */
    bool keep_parts;  /* keep experts and VAE on the device from one video to the next */
} hr_worker_options;

/* Nothing is loaded yet: parts of the model are loaded when first needed. `group` is that
 * of the whole world, borrowed. After a render that failed the worker is only good for
 * closing (and the world may need hr_world_recover before another is opened). Caller
 * closes (NULL is fine). */
hr_status hr_worker_open(hr_group *group, const hr_worker_options *options,
                         hr_worker **out);
void hr_worker_close(hr_worker *worker);

typedef enum hr_stage {
    HR_STAGE_TEXT = 0,
    HR_STAGE_DENOISE,
    HR_STAGE_DECODE,
    HR_STAGE_COUNT
} hr_stage;
/* "text", "denoise", "decode" */
const char *hr_stage_name(hr_stage stage);

/* On rank 0, of all ranks together. */
typedef struct hr_progress {
    hr_stage stage;
    int64_t done, total;             /* texts, whole steps, frames */
    int64_t windows_done, n_windows; /* of the step at work; 0 of 0 in other stages */
    int64_t units_done, n_units;     /* of the whole stage: what an ETA goes by */
    double seconds;                  /* since the stage began, loading included */
    double work_seconds;             /* since its first unit of work began */
    int slowest_rank;                /* -1: no rank stands out */
    double slowest_factor;           /* its work time over the median of the ranks */
} hr_progress;

/* Called on the thread that renders, on_progress on rank 0 only; both may be NULL. */
typedef struct hr_worker_hooks {
    void (*on_progress)(void *user, const hr_progress *progress);
    bool (*should_stop)(
        void *user); /* asked before each step and frame: true ends in HR_ERR_CANCELLED */
    void *user;
} hr_worker_hooks;

/* One video. The job has been merged with its defaults and planned. */
typedef struct hr_render {
    const hr_job *job;
    const hr_plan *plan;
    const char *prompt, *negative_prompt; /* what is encoded: style phrase included */
    const char *latents_in;               /* initial noise; NULL: drawn from the seed */
    const char *latents_out;              /* NULL: not written; by rank 0 */
    int stop_after_step;        /* 0: all steps and decode; else the latents only */
    const char *scratch_folder; /* for frame states; deleted with the render */
    hr_save_options save;       /* rank 0 saves */
    hr_receipt *receipt;        /* filled on rank 0; NULL: none */
    const char *preview_folder; /* NULL: no previews; by rank 0, of a frame of its own */
    const hr_worker_hooks *hooks;
    const hr_trace *trace; /* tests: step<k>/frame<f>/{noise_pred,latents}, from 0 */
} hr_render;

/* Encodes the texts of several videos, then frees the text encoder. hr_worker_render does
 * it by itself for texts that are not encoded yet; calling this first loads the encoder
 * once for all of them. */
hr_status hr_worker_encode(hr_worker *worker, const hr_render *renders, size_t n);

typedef struct hr_render_times {
    double seconds[HR_STAGE_COUNT]; /* each with the loading of its weights */
    double load_seconds;            /* of all parts, contained in the above */
    double step_seconds;            /* mean over the steps */
    double start_seconds;           /* from the start of the process to the first step */
    double wait_seconds;            /* of the denoising: this rank waited for others */
    uint64_t weight_bytes_read;     /* by this rank */
    uint64_t transformer_bytes;     /* on the device: this rank's part, packed */
    double stage_flops[HR_STAGE_COUNT];             /* of this rank */
    hr_traffic_stats stage_traffic[HR_STAGE_COUNT]; /* sent by this rank */
} hr_render_times;

/* Renders one video: text, denoise, latents to disk, decode, files. A failure leaves
 * nothing under a final name but the denoised latents. `times`, of this rank, may be
 * NULL. */
hr_status hr_worker_render(hr_worker *worker, const hr_render *render,
                           hr_render_times *times);

#endif
