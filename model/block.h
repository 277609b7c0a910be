/* Inside the transformer only: one block. Local.
 * Source: diffusers 0.40.0 transformer_wan.py, WanTransformerBlock; wan-spec 3.6 to 3.8.
 */
#ifndef HR_MODEL_BLOCK_H
#define HR_MODEL_BLOCK_H

#include "model/linear.h"
#include "model/rope.h"

/* Rows that are worked on at a time wherever rows do not depend on each other: working
 * memory beside queries, keys and values does not grow with the video. */
enum { HR_BLOCK_ROWS = 4096 };

typedef struct hr_attention_weights {
    hr_linear q, k, v, out;
    hr_tensor norm_q, norm_k; /* F32 [width]: over all heads together */
} hr_attention_weights;

typedef struct hr_block {
    const hr_transformer_config *config; /* borrowed */
    hr_dtype matrix;                     /* inputs and weights of matrix products */
    hr_attention_weights self, cross;
    hr_tensor norm2_weight, norm2_bias; /* F32 [width]; absent without cross_attn_norm */
    hr_linear ffn_up, ffn_down;
    /* F32 [1, 6, width]: shift, scale and gate of self-attention, then of the
     * feed-forward. */
    hr_tensor table;
} hr_block;

hr_status hr_block_expect(const hr_transformer_config *config, int64_t index,
                          hr_weights *weights);
/* Loads block `index` into a zeroed block with config and matrix set. After a failure
 * too, the caller frees what is there. */
hr_status hr_block_load(hr_block *block, int64_t index, const hr_weights *weights,
                        hr_stream *stream);
void hr_block_free(hr_block *block);

typedef struct hr_block_input {
    hr_tensor x;    /* F32 [L, width]: the residual stream, changed in place */
    hr_tensor time; /* F32 [6, width]: the time projection */
    const hr_rope *rope;
    hr_tensor text_k, text_v; /* matrix type [n, heads, head_dim] */
    hr_tensor key_bias;       /* F32 [n], absent for 0 */
    int64_t index;            /* for trace names */
    const hr_trace *trace;    /* optional */
} hr_block_input;

/* Keys and values of text rows (matrix type [n, width]) for cross-attention; k and v:
 * matrix type [n, heads, head_dim], made by the caller. */
hr_status hr_block_text_keys(const hr_block *block, hr_stream *stream, hr_arena *arena,
                             const hr_tensor *text, const hr_tensor *k,
                             const hr_tensor *v);

/* Leaves the arena as it was, but after a failure. */
hr_status hr_block_run(const hr_block *block, hr_stream *stream, hr_arena *arena,
                       const hr_block_input *input);

#endif
