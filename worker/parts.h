/* Inside worker/ only: the worker and the parts of the model that it has on its device.
 */
#ifndef HR_WORKER_PARTS_H
#define HR_WORKER_PARTS_H

#include "compute/arena.h"
#include "model/text_encoder.h"
#include "model/transformer.h"
#include "model/vae.h"
#include "worker/figures.h"
#include "worker/worker.h"

/* Text embeddings on the host: F32 [n, width], n <= text_length. */
typedef struct hr_embeds {
    char *text;
    int64_t text_length; /* what the text was cut to */
    int64_t n, width;
    float *data;
} hr_embeds;

struct hr_worker {
    hr_group *group; /* all ranks; borrowed */
    hr_world *world; /* theirs */
    hr_layout layout;
    hr_place place;     /* of this rank */
    hr_group *tensor;   /* the ranks of one forward and stage; NULL where it is idle */
    hr_group *branches; /* the first ranks of the forwards of its window group, its leader
                           first; NULL when it is none of them */
    const hr_model *model;
    hr_device *device;
    hr_stream *stream;
    hr_arena *arena;
    hr_numerics numerics;
    bool keep_parts;
    hr_text_encoder *text_encoder;
    hr_transformer *expert[2];
    size_t expert_bytes[2]; /* on the device, of experts loaded so far */
    hr_vae *vae;
    hr_embeds *embeds; /* of all texts so far */
    size_t n_embeds;
    bool values_checked; /* hr_parts_check_values */
    double load_seconds; /* since the worker was opened */
    hr_figures skipped;  /* work that a dry run counts instead of doing it again */
};

/* Makes the groups of the layout; collective. On failure what was made stays for
 * hr_parts_drop_groups. */
hr_status hr_parts_make_groups(hr_worker *worker);
void hr_parts_drop_groups(hr_worker *worker);

/* A leader keeps the frames that its window group owns, and steps them. */
bool hr_parts_is_leader(const hr_worker *worker);

/* Load when first asked for. An expert displaces the other one unless keep_parts. The
 * result is the worker's. */
hr_status hr_parts_text_encoder(hr_worker *worker, const hr_text_encoder **out);
hr_status hr_parts_expert(hr_worker *worker, int index, const hr_transformer **out);
hr_status hr_parts_vae(hr_worker *worker, const hr_vae **out);

/* Refuses NaN in what this rank loads only after the first step, once per worker. */
hr_status hr_parts_check_values(hr_worker *worker);

/* Wait for the stream and free. */
void hr_parts_drop_text_encoder(hr_worker *worker);
void hr_parts_drop_experts(hr_worker *worker);
void hr_parts_drop_vae(hr_worker *worker);

/* Bytes of weights that this rank has read, since the start of the process. */
uint64_t hr_parts_bytes_read(const hr_worker *worker);

#endif
