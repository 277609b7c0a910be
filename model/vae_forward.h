/* Inside the VAE only: running its layers on frames, channels last ([T, H, W, C], F32; H
 * rows of this rank's band). Collective over the ranks that have bands.
 *
 * A causal convolution sees two frames of the past. They live in its history, outside the
 * arena; its input is gathered in one buffer, history in front:
 *
 *     [ past past | new ]   3 frames, from the arena, each with the band's halo rows
 *
 * begin() makes the buffer and hands out the part for the new frame, which the caller
 * fills with whatever makes the input (a norm, a product, a copy); end() fetches the new
 * frame's halo rows, runs the convolution and remembers the last two frames. */
#ifndef HR_MODEL_VAE_FORWARD_H
#define HR_MODEL_VAE_FORWARD_H

#include "comm/rows.h"
#include "compute/arena.h"
#include "model/vae_layers.h"

enum { HR_VAE_PAST = 2 };

/* One latent frame on its way through the decoder. */
typedef struct hr_vae_pass {
    hr_stream *stream;
    hr_arena *arena;
    hr_rows *rows;
    hr_tensor
        *history;  /* by slot, [2, rows, W, C]; absent until first used, zeros then */
    bool is_first; /* latent frame 0 */
} hr_vae_pass;

typedef struct hr_vae_input {
    hr_tensor all, fresh; /* the buffer, and its part for the new frame, [1, H, W, C] */
} hr_vae_input;

hr_status hr_vae_causal_begin(const hr_vae_pass *pass, const hr_vae_conv *conv,
                              int64_t height, int64_t width, hr_vae_input *input);
/* out = (or +=, with `accumulate`) the convolution: [1, H, W, conv->out]. */
hr_status hr_vae_causal_end(const hr_vae_pass *pass, const hr_vae_conv *conv,
                            const hr_vae_input *input, const hr_tensor *out,
                            bool accumulate);

/* out = SiLU or nothing of norm(x) gamma; x, out: [..., C]. */
hr_status hr_vae_norm_run(const hr_vae_pass *pass, const hr_tensor *gamma,
                          const hr_tensor *x, const hr_tensor *out,
                          hr_activation activation);
/* Over pixels: x [..., in], out [..., linear->out]. */
hr_status hr_vae_linear_run(const hr_vae_pass *pass, const hr_vae_linear *linear,
                            const hr_tensor *x, const hr_tensor *out);

/* *x becomes the block's output: the same memory, or new memory from the arena where the
 * number of channels or pixels changes. Scratch is given back. */
hr_status hr_vae_resnet_run(const hr_vae_pass *pass, const hr_vae_resnet *resnet,
                            hr_tensor *x);
/* x: one frame, [1, H, W, C]. */
hr_status hr_vae_attention_run(const hr_vae_pass *pass, const hr_vae_attention *attention,
                               hr_tensor *x);
hr_status hr_vae_stage_run(const hr_vae_pass *pass, const hr_vae_stage *stage,
                           hr_tensor *x);

#endif
