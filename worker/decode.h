/* Inside worker/ only: from latents to frames and files. */
#ifndef HR_WORKER_DECODE_H
#define HR_WORKER_DECODE_H

#include "worker/parts.h"

/* Where denoised latent frames come from. */
typedef struct hr_frame_source {
    /* Collective over the worker's group: latent frame `frame` for every rank, host
     * memory [C, h, w]. */
    hr_status (*fetch)(void *user, int64_t frame, float *out);
    void *user;
    bool is_saved; /* whoever fails to decode the frames has not lost them */
} hr_frame_source;

/* Collective over the worker's group. Decodes the source's frames one by one: each rank
 * its band of rows (ranks without a row only fetch), rank 0 gathers the pictures, notes
 * their hashes in the receipt and saves them, in the background. Pictures that are in
 * closed segments of render->checkpointing.segments_folder are not made again, whatever
 * the ranks that made them: the decoder is begun so far before the next one that its bits
 * are the same (docs/vae.md). Frames are fetched in the same order on all ranks;
 * windows.decode windowed fetches frame 0 again and again. Memory does not depend on the
 * number of frames. After a failure or a stop closed segments stay, and the others wait
 * until the caller gives up or agrees (comm/world.h). */
hr_status hr_decode_stage(hr_worker *worker, const hr_render *render,
                          const hr_frame_source *source);

/* The same for the frames in the file render->checkpointing.latents, which rank 0 reads
 * (the others need not see it); writes render->latents_out too, and that alone where
 * render->stop_after_step is set. Also puts the hashes that it holds, of each frame after
 * each step, into the receipt. HR_ERR_CHECKPOINT, logged, when it holds other frames than
 * the plan has or some that are not denoised. */
hr_status hr_decode_stored(hr_worker *worker, const hr_render *render);

#endif
