/* Inside the transformer only: what stands behind hr_transformer and hr_text_context. */
#ifndef HR_MODEL_TRANSFORMER_PARTS_H
#define HR_MODEL_TRANSFORMER_PARTS_H

#include "model/block.h"

struct hr_transformer {
    hr_transformer_config config;
    hr_transformer_part part;
    hr_shard_range shards;
    hr_dtype matrix; /* inputs and weights of matrix products */
    hr_linear patch_embedding, text_1, text_2, time_proj, proj_out;
    hr_linear time_1, time_2; /* fp32 whatever the numerics */
    hr_tensor table;          /* F32 [1, 2, width]: shift and scale of the head */
    hr_block *blocks;         /* the part's */
};

static inline int64_t hr_patch_volume(const hr_transformer_config *c)
{
    return c->patch[0] * c->patch[1] * c->patch[2];
}

struct hr_text_context {
    int64_t n_layers; /* of the part */
    hr_tensor *k, *v; /* per layer: matrix type [n, own heads, head_dim] */
    hr_tensor
        key_bias; /* F32 [n]: log of how many rows a key stands for; absent for all 0 */
};

#endif
