/* What a model folder (diffusers layout) says about itself: the JSON files, checked.
 * Local.
 *
 * Nothing is assumed about sizes. Keys that older folders lack get the documented
 * defaults (docs/model.md), unknown keys are ignored, impossible numbers are refused with
 * one logged line "FILE: KEY: found X, expected Y" and HR_ERR_MODEL. */
#ifndef HR_MODEL_CONFIG_H
#define HR_MODEL_CONFIG_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { HR_FREQ_DIM_MAX = 4096 };
typedef struct hr_transformer_config {
    int64_t n_heads, head_dim, n_layers, ffn_dim, in_channels, out_channels, text_dim,
        freq_dim;
    int64_t patch[3]; /* time, height, width */
    int64_t rope_max; /* positions per axis */
    bool cross_attn_norm;
    float eps;
} hr_transformer_config;

/* heads x head_dim */
static inline int64_t hr_transformer_width(const hr_transformer_config *c)
{
    return c->n_heads * c->head_dim;
}

typedef struct hr_text_config { /* UMT5 encoder */
    int64_t d_model, d_kv, n_heads, d_ff, n_layers, vocab_size, n_buckets, max_distance;
    int64_t pad_id, eos_id;
    float eps;
} hr_text_config;

enum { HR_VAE_MAX_STAGES = 8, HR_VAE_MAX_Z = 256 };
typedef struct hr_vae_config {
    int64_t base_dim; /* of the decoder */
    int64_t z_dim, n_res_blocks, n_stages, dim_mult[HR_VAE_MAX_STAGES];
    bool temporal_up[HR_VAE_MAX_STAGES]; /* of decoder stage i (n_stages - 1 of them) */
    bool is_residual;                    /* the 2.2 VAE */
    int64_t out_channels, patch; /* 3 x patch x patch; patch 1 where the file has null */
    int64_t scale_temporal, scale_spatial;
    float mean[HR_VAE_MAX_Z], std[HR_VAE_MAX_Z];
} hr_vae_config;

typedef enum hr_sampler_kind {
    HR_SAMPLER_UNIPC = 0,
    HR_SAMPLER_EULER,
    HR_SAMPLER_DPMPP
} hr_sampler_kind;

typedef struct hr_scheduler_config {
    hr_sampler_kind kind;
    double shift;
    int64_t n_train_timesteps, solver_order;
    bool lower_order_final;
} hr_scheduler_config;

typedef struct hr_model_config {
    hr_transformer_config transformer; /* equal for both experts (checked) */
    bool has_second_expert;
    double boundary_ratio; /* of the training timesteps; 0 without a second expert */
    bool expand_timesteps;
    hr_text_config text;
    hr_vae_config vae;
    hr_scheduler_config scheduler;
} hr_model_config;

/* Reads model_index.json and the config of every component below `folder`. */
hr_status hr_model_config_load(const char *folder, hr_model_config *out);

#endif
