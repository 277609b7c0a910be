/* What is where in a checkpoint: its data sets, their shapes and places, and the text in
 * front of the HDF5 part (the user block) that says so (docs/checkpoint.md). A reader
 * goes by that text alone, so HDF5 never sees a stranger's file. Pure. */
#ifndef HR_IO_CHECKPOINT_LAYOUT_H
#define HR_IO_CHECKPOINT_LAYOUT_H

#include "base/text.h"
#include "io/checkpoint.h"

#include <stdbool.h>

/* Bytes in front of the HDF5 part. */
enum { HR_CHECKPOINT_USER_BLOCK = 4096, HR_CHECKPOINT_MAX_DIMS = 5 };

typedef enum hr_checkpoint_set {
    HR_SET_JOB = 0,
    HR_SET_MODEL,
    HR_SET_JOB_YAML,
    HR_SET_PROMPT,
    HR_SET_NEGATIVE_PROMPT,
    HR_SET_STEP,
    HR_SET_LATENTS,
    HR_SET_HISTORY,
    HR_SET_HASHES,
    HR_SET_ROUNDS,
    HR_SET_PENDING_HEADS,
    HR_SET_PENDING_LATENTS,
    HR_SET_COUNT
} hr_checkpoint_set;

typedef enum hr_checkpoint_type {
    HR_TYPE_TEXT = 0, /* one dim: bytes with the closing zero */
    HR_TYPE_I32,
    HR_TYPE_U64,
    HR_TYPE_F32
} hr_checkpoint_type;

typedef struct hr_checkpoint_spec {
    const char *name;
    hr_checkpoint_type type;
    int n_dims;
    int n_chunk_dims; /* so many last dims are one chunk; 0: not chunked */
    bool is_common;   /* written by rank 0 alone */
    const char *unit, *description;
} hr_checkpoint_spec;
extern const hr_checkpoint_spec hr_checkpoint_specs[HR_SET_COUNT];

typedef struct hr_checkpoint_layout {
    int64_t bytes; /* of the file */
    int64_t steps_done, rounds_done;
    int64_t dims[HR_SET_COUNT][HR_CHECKPOINT_MAX_DIMS];
    int64_t offset[HR_SET_COUNT]; /* in the file; 0 where there is nothing */
} hr_checkpoint_layout;

/* All but bytes and offsets. A size that no checkpoint can have: HR_ERR_UNSUPPORTED,
 * logged. n_pending of the head counts. */
hr_status hr_checkpoint_layout_init(const hr_checkpoint_head *head,
                                    hr_checkpoint_layout *out);

int64_t hr_checkpoint_set_bytes(const hr_checkpoint_layout *layout,
                                hr_checkpoint_set set);
/* Which dimension counts rows: frames, pending entries. */
int hr_checkpoint_row_dim(hr_checkpoint_set set);
size_t hr_checkpoint_type_bytes(hr_checkpoint_type type);

/* The text up to the line with the hash. */
hr_status hr_checkpoint_layout_text(const hr_checkpoint_layout *layout, hr_text *out);

/* `text` is what a user block holds (with a closing zero), `n` bytes of it up to the line
 * with the hash. Anything that hr_checkpoint_layout_text would not write, sizes out of
 * range, places out of the file: HR_ERR_CHECKPOINT, not logged, the cause in *wrong. */
hr_status hr_checkpoint_layout_parse(const char *text, size_t n,
                                     hr_checkpoint_layout *out, const char **wrong);

/* Whether numbers of a file or of a save are in range. */
bool hr_checkpoint_is_round(const hr_checkpoint_layout *layout, const hr_round *round);
bool hr_checkpoint_is_pending(const hr_checkpoint_layout *layout, const hr_pending *head);
bool hr_checkpoint_is_step(const hr_checkpoint_layout *layout, int64_t step);

#endif
