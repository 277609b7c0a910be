/* UMT5 encoder. Local.
 * Source: transformers 5.23 models/umt5/modeling_umt5.py; wan-spec section 2
 * (docs/text.md). */
#ifndef HR_MODEL_TEXT_ENCODER_H
#define HR_MODEL_TEXT_ENCODER_H

#include "compute/arena.h"
#include "compute/trace.h"
#include "model/config.h"
#include "model/numerics.h"
#include "model/weights.h"

typedef struct hr_text_encoder hr_text_encoder;

/* Declares every tensor that the encoder needs. */
hr_status hr_text_encoder_expect(const hr_text_config *config, hr_weights *weights);
/* Loads the checked weights. Caller closes (NULL is fine) when no work uses it. */
hr_status hr_text_encoder_open(const hr_text_config *config, const hr_weights *weights,
                               hr_stream *stream, hr_numerics numerics,
                               hr_text_encoder **out);
void hr_text_encoder_close(hr_text_encoder *encoder);

/* Encodes the n valid ids (end of sequence included): out is F32 [n, d_model], made by
 * the caller. Activations come from the arena. Trace names: "block0_attn", "block0". */
hr_status hr_text_encoder_run(const hr_text_encoder *encoder, hr_stream *stream,
                              hr_arena *arena, const int32_t *ids, const hr_tensor *out,
                              const hr_trace *trace);

#endif
