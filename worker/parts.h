/* Inside worker/ only: the worker and the parts of the model that it has on its device.
 */
#ifndef HR_WORKER_PARTS_H
#define HR_WORKER_PARTS_H

#include "compute/arena.h"
#include "model/text_encoder.h"
#include "model/transformer.h"
#include "model/vae.h"
#include "worker/worker.h"

/* Text embeddings on the host: F32 [n, width], n <= text_length. */
typedef struct hr_embeds {
    char *text;
    int64_t text_length; /* what the text was cut to */
    int64_t n, width;
    float *data;
} hr_embeds;

struct hr_worker {
    hr_group group;
    const hr_model *model;
    hr_device *device;
    hr_stream *stream;
    hr_arena *arena;
    hr_numerics numerics;
    bool keep_parts;
    hr_text_encoder *text_encoder;
    hr_transformer *expert[2];
    hr_vae *vae;
    hr_embeds *embeds; /* of all texts so far */
    size_t n_embeds;
    bool values_checked; /* hr_parts_check_values */
    double load_seconds; /* since the worker was opened */
};

/* Load when first asked for. An expert displaces the other one unless keep_parts. The
 * result is the worker's. */
hr_status hr_parts_text_encoder(hr_worker *worker, const hr_text_encoder **out);
hr_status hr_parts_expert(hr_worker *worker, int index, const hr_transformer **out);
hr_status hr_parts_vae(hr_worker *worker, const hr_vae **out);

/* Refuses NaN in the parts that are loaded only after the first step, once per worker. */
hr_status hr_parts_check_values(hr_worker *worker);

/* Wait for the stream and free. */
void hr_parts_drop_text_encoder(hr_worker *worker);
void hr_parts_drop_experts(hr_worker *worker);
void hr_parts_drop_vae(hr_worker *worker);

#endif
