/* Inside the VAE only: its layers as data, declared or loaded by one walk over the names.
 * Local. */
#ifndef HR_MODEL_VAE_LAYERS_H
#define HR_MODEL_VAE_LAYERS_H

#include "model/weights.h"

/* Where a walk gets its parameters: exactly one of the first two is set. A declaring walk
 * leaves all tensors and packed weights out. */
typedef struct hr_vae_source {
    hr_weights *declare;
    const hr_weights *load;
    hr_stream *stream; /* of a loading walk */
    int n_slots;       /* causal convolutions so far */
} hr_vae_source;

typedef struct hr_vae_linear {
    int64_t out;
    hr_packed *weight;
    hr_tensor bias;
} hr_vae_linear;

typedef struct hr_vae_conv {
    int64_t in, out, kernel[3]; /* time, height, width */
    int slot;                   /* of its history; causal ones only (kernel[0] is 3) */
    hr_packed *weight;
    hr_tensor bias;
} hr_vae_conv;

typedef struct hr_vae_resnet {
    hr_tensor norm1, norm2;
    hr_vae_conv conv1, conv2;
    bool has_shortcut;
    hr_vae_linear shortcut;
} hr_vae_resnet;

typedef struct hr_vae_attention {
    int64_t width;
    hr_tensor norm, qkv_bias;
    hr_packed *q, *k, *v;
    hr_vae_linear proj;
} hr_vae_attention;

/* An up block. */
typedef struct hr_vae_stage {
    int64_t n_resnets;
    hr_vae_resnet *resnets;
    bool has_upsampler, is_temporal;
    bool has_duplicate; /* the duplicating shortcut of the 2.2 VAE */
    hr_vae_conv time_conv, spatial_conv;
} hr_vae_stage;

/* The shape of a stage. `upsampler` is the last part of its upsampler's name, NULL
 * without one. */
typedef struct hr_vae_stage_plan {
    int64_t in, out, up_out, n_resnets;
    const char *upsampler;
    bool is_temporal, has_duplicate;
} hr_vae_stage_plan;

/* Each fills a zeroed layer from the parameters called "PREFIX.weight" and so on. On
 * failure what was loaded stays in the layer: free it. */
hr_status hr_vae_norm_make(hr_vae_source *source, const char *prefix, int n_dims,
                           int64_t width, hr_tensor *out);
hr_status hr_vae_linear_make(hr_vae_source *source, const char *prefix, int n_dims,
                             const int64_t *dim, hr_vae_linear *out);
/* A 3-d kernel for 5 dimensions, a 2-d one for 4. */
hr_status hr_vae_conv_make(hr_vae_source *source, const char *prefix, int n_dims,
                           const int64_t *dim, hr_vae_conv *out);
hr_status hr_vae_resnet_make(hr_vae_source *source, const char *prefix, int64_t n_in,
                             int64_t n_out, hr_vae_resnet *out);
hr_status hr_vae_attention_make(hr_vae_source *source, const char *prefix, int64_t width,
                                hr_vae_attention *out);
hr_status hr_vae_stage_make(hr_vae_source *source, const char *prefix,
                            const hr_vae_stage_plan *plan, hr_vae_stage *out);

/* They take zeroed and half-made layers. */
void hr_vae_linear_free(hr_vae_linear *linear);
void hr_vae_conv_free(hr_vae_conv *conv);
void hr_vae_resnet_free(hr_vae_resnet *resnet);
void hr_vae_attention_free(hr_vae_attention *attention);
void hr_vae_stage_free(hr_vae_stage *stage);

#endif
