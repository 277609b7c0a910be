/* The diffusion transformer (WanTransformer3DModel, text to video). Local.
 * Source: diffusers 0.40.0 models/transformers/transformer_wan.py; wan-spec section 3. */
#ifndef HR_MODEL_TRANSFORMER_H
#define HR_MODEL_TRANSFORMER_H

#include "comm/group.h"
#include "compute/arena.h"
#include "compute/trace.h"
#include "model/config.h"
#include "model/numerics.h"
#include "model/weights.h"

typedef struct hr_transformer hr_transformer;

hr_status hr_transformer_expect(const hr_transformer_config *config, hr_weights *weights);

/* Virtual shards that every layer is cut into, whatever the number of ranks: the largest
 * power of two up to 8 that divides heads and feed-forward. */
enum { HR_TRANSFORMER_MAX_SHARDS = 8 };
int hr_transformer_n_shards(const hr_transformer_config *config);

/* What one rank has of the transformer: some layers, and of each of them n_shards /
 * tensor_size neighbouring shards. The entry is the patch embedding, the head makes the
 * velocity. Results have the same bits for all parts that make up the whole. */
typedef struct hr_transformer_part {
    int64_t first_layer, n_layers; /* at least one */
    bool has_entry, has_head;
    int tensor_rank, tensor_size; /* tensor_size divides n_shards */
    hr_group *tensor_group; /* of tensor_size ranks, borrowed; NULL when that is 1 */
} hr_transformer_part;

/* Reads only the weights of the part. Caller closes (NULL is fine). */
hr_status hr_transformer_open(const hr_transformer_config *config,
                              const hr_transformer_part *part, const hr_weights *weights,
                              hr_stream *stream, hr_numerics numerics,
                              hr_transformer **out);
void hr_transformer_close(hr_transformer *transformer);
/* Reads the weights of a part and refuses NaN and infinities by name, for one that is
 * loaded only after long work. */
hr_status hr_transformer_check_values(const hr_transformer_config *config,
                                      const hr_transformer_part *part,
                                      const hr_weights *weights);

/* Text keys and values of the part's layers and heads, computed once per prompt and
 * expert. The text_length - n zero-padded rows are one key with log(text_length - n)
 * added to its score. Creation is collective over the tensor group. Caller destroys (NULL
 * is fine) when no work uses it. */
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
 * size that `rope` was made for. A part without the entry starts from hidden_in, which it
 * overwrites, instead of latents, one without the head leaves hidden_out instead of out:
 * F32 [L, width], the same memory or apart. Work is enqueued on the stream, activations
 * come from the arena, which is left as it was. Collective over the tensor group. `tick`
 * is called between blocks, its failure ends the forward. Trace names: patch_embed,
 * time_sinusoid, temb, time_proj, block<i>.{norm1, attn1_in, attn1, after_attn1, attn2,
 * after_attn2, ffn, out}, head_in, model_out; text_proj at creation of the context. Rows
 * are tokens. Of long sequences norm1, attn1_in, attn1, attn2, ffn and head_in come in
 * parts, HR_BLOCK_ROWS (block.h) rows at a time. */
typedef struct hr_forward {
    const hr_rope *rope;
    const hr_text_context *context;
    hr_tensor latents, out;
    hr_tensor hidden_in, hidden_out;
    double timestep;
    const hr_trace *trace;         /* optional */
    hr_status (*tick)(void *user); /* optional */
    void *user;
} hr_forward;
hr_status hr_transformer_run(const hr_transformer *transformer, hr_stream *stream,
                             hr_arena *arena, const hr_forward *forward);

#endif
