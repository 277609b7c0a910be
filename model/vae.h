/* The VAE's decoder (AutoencoderKLWan, 2.1 and 2.2), streamed one latent frame at a time
 * and cut into bands of rows over ranks. Local where nothing else is said. Source:
 * diffusers 0.40.0 models/autoencoders/autoencoder_kl_wan.py; wan-spec section 4
 * (docs/vae.md). */
#ifndef HR_MODEL_VAE_H
#define HR_MODEL_VAE_H

#include "comm/rows.h"
#include "compute/arena.h"
#include "compute/trace.h"
#include "model/config.h"
#include "model/weights.h"

typedef struct hr_vae hr_vae;

/* Declares every tensor that the decoder needs. */
hr_status hr_vae_expect(const hr_vae_config *config, hr_weights *weights);
/* Loads the checked weights, fp32 whatever the numerics. Caller closes (NULL is fine)
 * when no work uses it. */
hr_status hr_vae_open(const hr_vae_config *config, const hr_weights *weights,
                      hr_stream *stream, hr_vae **out);
void hr_vae_close(hr_vae *vae);

/* How many latent frames the past reaches into a picture: decoders that were begun on
 * latent frames 0 and max(0, f - this) make the same pictures of latent frame f and of
 * all later ones, bit by bit. Pure. */
int64_t hr_vae_receptive_frames(const hr_vae_config *config);

/* Decoding one video, or this rank's band of it: the causal histories of every
 * convolution. They are made during the first two latent frames; memory does not depend
 * on the number of frames. The bits of a picture do not depend on how it is cut. */
typedef struct hr_vae_decoder hr_vae_decoder;

typedef struct hr_vae_decoder_options {
    int64_t height, width; /* of the whole latent */
    hr_group *group;       /* its ranks share the rows, none without a row; NULL: alone */
} hr_vae_decoder_options;

/* Borrows vae, stream and group. Destroying waits for the stream. */
hr_status hr_vae_decoder_create(const hr_vae *vae, hr_stream *stream,
                                const hr_vae_decoder_options *options,
                                hr_vae_decoder **out);
void hr_vae_decoder_destroy(hr_vae_decoder *decoder);

/* This rank's rows of the latent. */
hr_band hr_vae_decoder_band(const hr_vae_decoder *decoder);
/* Frames that the next latent frame yields: 1 for the first, then scale_temporal. */
int64_t hr_vae_decoder_next_frames(const hr_vae_decoder *decoder);

/* Collective over the group. Decodes the next latent frame, enqueued on the stream of the
 * decoder. latent: F32 [z, height, width], normalised space, the whole frame on each
 * rank; out: F32 [next_frames, band.n * scale, width * scale, 3], RGB in 0..1, made by
 * the caller. After a failure the decoder can only be destroyed. Trace names: vae_in,
 * conv_in, mid, up<i>, norm_out, conv_out (channels last; frames in order, but a name
 * comes as often as its stage is run; all but vae_in of the band). */
hr_status hr_vae_decoder_run(hr_vae_decoder *decoder, hr_stream *stream, hr_arena *arena,
                             const hr_tensor *latent, const hr_tensor *out,
                             const hr_trace *trace);

/* Forgets the past: the next latent frame is the first of a video again. Enqueued. */
hr_status hr_vae_decoder_restart(hr_vae_decoder *decoder);

#endif
