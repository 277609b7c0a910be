/* A transformer of any size with random weights. */
#ifndef HR_TESTS_TOY_TRANSFORMER_H
#define HR_TESTS_TOY_TRANSFORMER_H

#include "model/transformer.h"

typedef struct hr_toy_size {
    int64_t n_heads, head_dim, n_layers, ffn_dim;
} hr_toy_size;

hr_transformer_config hr_toy_config(const hr_toy_size *size);

/* Its weights, F32, written to a new temporary folder and declared; the last value of the
 * tensor `broken` is NaN (NULL: of none). Close them with hr_weights_close. */
hr_weights *hr_toy_weights(const hr_transformer_config *config, const char *broken);

/* All of a transformer, on one rank. */
hr_transformer_part hr_toy_whole(const hr_transformer_config *config);

/* Parameters of one layer: that are cut into shards, and that every rank has. */
int64_t hr_toy_sharded(const hr_transformer_config *config);
int64_t hr_toy_unsharded(const hr_transformer_config *config);

#endif
