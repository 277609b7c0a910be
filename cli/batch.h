/* The videos that one call of `haloreel render` makes: prompts x seeds. Local. */
#ifndef HR_CLI_BATCH_H
#define HR_CLI_BATCH_H

#include "cli/render_options.h"
#include "io/job.h"

/* One video of the call. */
typedef struct hr_video {
    hr_job job; /* complete: merged with the model's defaults, seed drawn, folder named */
    char *prompt;     /* what is encoded: the job's prompt with the style phrase */
    char *label;      /* "a-red-cat-seed-7" in a batch; NULL for a single video */
    hr_status status; /* how it went so far */
} hr_video;

typedef struct hr_batch {
    hr_video *videos;
    size_t n;
} hr_batch;

/* One video per prompt and seed, prompts outermost. `job` is what the user asked for,
 * merged with the entry's defaults. A prompt that cannot be used marks its videos as
 * failed in a batch, and is an error for a single video. Seeds that nobody gave
 * are drawn from `seed_key`. Caller frees. */
hr_status hr_batch_make(const hr_render_options *options, const hr_model_entry *entry,
                        const hr_job *job, uint64_t seed_key, hr_batch *out);
void hr_batch_free(hr_batch *batch);

#endif
