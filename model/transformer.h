/* The diffusion transformer (WanTransformer3DModel, text to video). Local.
 * Source: diffusers 0.40.0 models/transformers/transformer_wan.py; wan-spec section 3. */
#ifndef HR_MODEL_TRANSFORMER_H
#define HR_MODEL_TRANSFORMER_H

#include "compute/arena.h"
#include "compute/trace.h"
#include "model/config.h"
#include "model/numerics.h"
#include "model/weights.h"

typedef struct hr_transformer hr_transformer;

hr_status hr_transformer_expect(const hr_transformer_config *config, hr_weights *weights);
hr_status hr_transformer_open(const hr_transformer_config *config,
                              const hr_weights *weights, hr_stream *stream,
                              hr_numerics numerics, hr_transformer **out);
void hr_transformer_close(hr_transformer *transformer);

/* Text keys and values of every layer, computed once per prompt and expert. The
 * text_length - n zero-padded rows are one key with log(text_length - n) added to its
 * score. Caller destroys (NULL is fine) when no work uses it. */
typedef struct hr_text_context hr_text_context;
typedef struct hr_text_rows {
    hr_tensor embeds;      /* F32 [n, text_dim], 1 <= n <= text_length */
    int64_t text_length;   /* rows that the model is to see */
    const hr_trace *trace; /* optional: text_proj */
} hr_text_rows;
hr_status hr_text_context_create(const hr_transformer *transformer, hr_stream *stream,
                                 hr_arena *arena, const hr_text_rows *rows,
                                 hr_text_context **out);
void hr_text_context_destroy(hr_text_context *context);

/* RoPE tables for latents of [frames, height, width] (before patching), kept on the
 * device. A size that is no multiple of the patch or has more positions than the model
 * knows is HR_ERR_ARG. Caller destroys (NULL is fine). */
typedef struct hr_rope hr_rope;
hr_status hr_rope_create(const hr_transformer_config *config, hr_stream *stream,
                         int64_t frames, int64_t height, int64_t width, hr_rope **out);
void hr_rope_destroy(hr_rope *rope);

/* One forward: velocity of `latents` at `timestep`. latents, out: F32 [F, C, H, W] of the
 * size that `rope` was made for. Work is enqueued on the stream, activations come from
 * the arena, which is left as it was. Trace names: patch_embed, time_sinusoid, temb,
 * time_proj, block<i>.{norm1, attn1_in, attn1, after_attn1, attn2, after_attn2, ffn,
 * out}, head_in, model_out; text_proj at creation of the context. Rows are tokens. Of
 * long sequences norm1, attn1_in, attn1, attn2, ffn and head_in come in parts,
 * HR_BLOCK_ROWS (block.h) rows at a time. */
typedef struct hr_forward {
    const hr_rope *rope;
    const hr_text_context *context;
    hr_tensor latents, out;
    double timestep;
    const hr_trace *trace; /* optional */
} hr_forward;
hr_status hr_transformer_run(const hr_transformer *transformer, hr_stream *stream,
                             hr_arena *arena, const hr_forward *forward);

#endif
