/* Inside the transformer only: what stands behind hr_transformer and hr_text_context. */
#ifndef HR_MODEL_TRANSFORMER_PARTS_H
#define HR_MODEL_TRANSFORMER_PARTS_H

#include "model/block.h"

struct hr_transformer {
    hr_transformer_config config;
    hr_dtype matrix; /* inputs and weights of matrix products */
    hr_linear patch_embedding, text_1, text_2, time_proj, proj_out;
    hr_linear time_1, time_2; /* fp32 whatever the numerics */
    hr_tensor table;          /* F32 [1, 2, width]: shift and scale of the head */
    hr_block *blocks;
};

struct hr_text_context {
    int64_t n_layers;
    hr_tensor *k, *v; /* per layer: matrix type [n, heads, head_dim] */
    hr_tensor
        key_bias; /* F32 [n]: log of how many rows a key stands for; absent for all 0 */
};

#endif
