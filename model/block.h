/* Inside the transformer only: one block. Local.
 * Source: diffusers 0.40.0 transformer_wan.py, WanTransformerBlock; wan-spec 3.6 to 3.8.
 */
#ifndef HR_MODEL_BLOCK_H
#define HR_MODEL_BLOCK_H

#include "comm/group.h"
#include "model/linear.h"
#include "model/rope.h"

/* Rows that are worked on at a time wherever rows do not depend on each other: working
 * memory beside queries, keys and values does not grow with the video. */
enum { HR_BLOCK_ROWS = 4096 };

/* What this rank holds of every layer: virtual shards [first, first + n) of `total`,
 * whole heads and a part of the feed-forward each. Every product is done shard by shard
 * and sums over the shards are a fixed binary tree, of which a rank has a subtree, so
 * that the bits do not depend on how many ranks there are. */
typedef struct hr_shard_range {
    int first, n, total;
    hr_group
        *group; /* of the ranks that hold the shards together; NULL: this one alone */
} hr_shard_range;

/* Queries, keys and values by output, `out` by input. */
typedef struct hr_attention_weights {
    hr_linear q, k, v, out;
    hr_tensor norm_q, norm_k; /* F32 [own width]: the norm is over all heads together */
} hr_attention_weights;

typedef struct hr_block {
    const hr_transformer_config *config; /* borrowed */
    const hr_shard_range *shards;        /* borrowed */
    hr_dtype matrix;                     /* inputs and weights of matrix products */
    hr_attention_weights self, cross;
    hr_tensor norm2_weight, norm2_bias; /* F32 [width]; absent without cross_attn_norm */
    hr_linear ffn_up, ffn_down;         /* by output, by input */
    /* F32 [1, 6, width]: shift, scale and gate of self-attention, then of the
     * feed-forward. */
    hr_tensor table;
} hr_block;

hr_status hr_block_expect(const hr_transformer_config *config, int64_t index,
                          hr_weights *weights);
/* Loads this rank's shards of block `index` into a zeroed block with config, shards and
 * matrix set. After a failure too, the caller frees what is there. */
hr_status hr_block_load(hr_block *block, int64_t index, const hr_loader *loader);
void hr_block_free(hr_block *block);

typedef struct hr_block_input {
    hr_tensor x;    /* F32 [L, width]: the residual stream, changed in place */
    hr_tensor time; /* F32 [6, width]: the time projection */
    const hr_rope *rope;
    hr_tensor text_k, text_v; /* matrix type [n, own heads, head_dim] */
    hr_tensor key_bias;       /* F32 [n], absent for 0 */
    int64_t index;            /* for trace names */
    const hr_trace *trace;    /* optional */
} hr_block_input;

/* Heads of this rank. */
int64_t hr_block_n_heads(const hr_block *block);

/* Keys and values of text rows (matrix type [n, width]) for cross-attention; k and v:
 * matrix type [n, own heads, head_dim], made by the caller. Collective over the group. */
hr_status hr_block_text_keys(const hr_block *block, hr_stream *stream, hr_arena *arena,
                             const hr_tensor *text, const hr_tensor *k,
                             const hr_tensor *v);

/* Collective over the group. Leaves the arena as it was, but after a failure. */
hr_status hr_block_run(const hr_block *block, hr_stream *stream, hr_arena *arena,
                       const hr_block_input *input);

#endif
