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
    int64_t units_before;            /* of units_done, by earlier runs */
    double seconds;                  /* since the stage began, loading included */
    double work_seconds;             /* since its first unit of work began */
    int slowest_rank;                /* -1: no rank stands out */
    double slowest_factor;           /* its work time over the median of the ranks */
} hr_progress;

/* What whoever decides about saving and stopping goes by; of the denoising, on rank 0. */
typedef struct hr_pace {
    double
        round_seconds; /* a window of one step, all branches: mean so far; 0: none yet */
    double late_round_seconds; /* the longest of the last ones */
    double save_seconds;       /* of the last checkpoint; 0: none yet */
    double since_save_seconds; /* since then, or since the denoising began or went on */
    int steps_done, steps_since_save; /* by all frames */
} hr_pace;

typedef enum hr_wish {
    HR_WISH_NONE = 0,
    HR_WISH_SAVE, /* write a checkpoint when all ranks can, and go on */
    HR_WISH_STOP  /* the same, and end in HR_ERR_CANCELLED */
} hr_wish;

/* Called on the thread that renders, on_progress, on_saved and on_left on rank 0 only;
 * all may be NULL. */
typedef struct hr_worker_hooks {
    void (*on_progress)(void *user, const hr_progress *progress);
    /* Asked before each unit, text and frame, and ten times a second while the rank waits
     * for others' frames; what is wished is kept until the next round. `pace` is NULL
     * where there is none: on other ranks than 0 (of whose wishes only HR_WISH_STOP
     * counts) and beside the denoising (where HR_WISH_STOP ends in HR_ERR_CANCELLED at
     * once, as it does where no checkpoints are written). A wish to save is dropped when
     * nothing was done since the last one. */
    hr_wish (*wish)(void *user, const hr_pace *pace);
    /* On every rank: its first unit of work of this stage begins, with all weights
     * there. */
    void (*on_work)(void *user, hr_stage stage);
    /* A checkpoint, or the latents, is on the disk, or could not be written (status,
     * which has been logged). */
    void (*on_saved)(void *user, const char *path, hr_status status);
    /* The latents could not be written, and this is the checkpoint to go on from: what
     * was newer is damaged. */
    void (*on_left)(void *user, const char *path);
    void *user;
} hr_worker_hooks;

/* Where checkpoints go and come from. All zero: none. Paths are the same on all ranks. */
typedef struct hr_checkpointing {
    const char *folder;  /* NULL: no checkpoints are written */
    int keep;            /* so many of them stay, at least one */
    const char *resume;  /* a verified checkpoint to go on from; NULL: from noise */
    const char *latents; /* file of the denoised latents, written before the decode, which
                            does not begin without it while a checkpoint is there; or,
                            when it is there and `is_denoised`, what is decoded */
    bool is_denoised;    /* only the decode is left to do */
    const char *segments_folder; /* of closed pieces of the film; NULL: in one piece */
    const char *job, *model, *job_yaml; /* identity, see io/checkpoint.h */
} hr_checkpointing;

/* One video. The job has been merged with its defaults and planned. */
typedef struct hr_render {
    const hr_job *job;
    const hr_plan *plan;
    const char *prompt, *negative_prompt; /* what is encoded: style phrase included */
    const char *latents_in;               /* initial noise; NULL: drawn from the seed */
    const char *latents_out;              /* NULL: not written; by rank 0 */
    /* 0: all steps and decode; else the latents only, and, with a checkpointing folder, a
     * checkpoint there (after the last step: checkpointing.latents). */
    int stop_after_step;
    const char *scratch_folder; /* for frame states; deleted with the render */
    hr_checkpointing checkpointing;
    hr_save_options save;       /* rank 0 saves */
    hr_receipt *receipt;        /* filled on rank 0; NULL: none */
    const char *preview_folder; /* NULL: no previews; by rank 0, of a frame of its own */
    const hr_worker_hooks *hooks;
    const hr_trace *trace; /* tests: step<k>/frame<f>/{noise_pred,latents}, from 0 */
} hr_render;

/* Encodes the texts of several videos, then frees the text encoder. hr_worker_render does
 * it by itself for texts that are not encoded yet; calling this first loads the encoder
 * once for all of them. Renders that go on from a file need none. */
hr_status hr_worker_encode(hr_worker *worker, const hr_render *renders, size_t n);

typedef struct hr_render_times {
    double seconds[HR_STAGE_COUNT]; /* each with the loading of its weights */
    double load_seconds;            /* of all parts, contained in the above */
    double step_seconds;            /* mean over the steps */
    double start_seconds;           /* from the start of the process to the first step */
    double wait_seconds;            /* of the denoising: this rank waited for others */
    int n_saves;                    /* checkpoints and latents written */
    double save_seconds;            /* in which they were, without meeting for it */
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
