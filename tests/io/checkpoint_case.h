/* A denoising that is not one: states whose every value is known, shared out over ranks.
 */
#ifndef HR_TESTS_IO_CHECKPOINT_CASE_H
#define HR_TESTS_IO_CHECKPOINT_CASE_H

#include "io/checkpoint.h"
#include "support/ranks.h"

#include <stdbool.h>

typedef struct checkpoint_case {
    int64_t n_frames, channels, height, width;
    int n_history, n_steps;
    int64_t n_pending; /* of all ranks: rank r has every size-th */
    int64_t n_rounds;
    bool is_bare;          /* no texts, no embeddings */
    bool leaves_out_first; /* rank 0 has no frames, if there is another */
    /* The call of a source that fails on this rank: -1: none. */
    int64_t bad_frame, bad_pending;

    /* Filled by checkpoint_case_begin. */
    int rank, size;
    hr_status (*give_frame)(void *user, int64_t frame, hr_checkpoint_frame *out);
    hr_checkpoint_head head;
    hr_checkpoint_source source;
    hr_round *rounds;
    float *embeds;
} checkpoint_case;

void checkpoint_case_begin(checkpoint_case *c, hr_group *all);
void checkpoint_case_end(checkpoint_case *c);

/* Asserts that the file holds just what the case is. */
void checkpoint_case_check(const checkpoint_case *c, const char *path);

/* A folder that all ranks know: rank 0's. */
const char *checkpoint_case_folder(hr_group *all);

#endif
