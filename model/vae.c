#include "model/vae.h"

#include "base/memory.h"
#include "model/vae_forward.h"
#include "model/vae_layers.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_NAME = 64 };

struct hr_vae {
    hr_vae_config config;
    int n_slots;             /* convolutions with a history */
    hr_tensor mean, inv_std; /* [z] */
    hr_vae_linear post_quant;
    hr_vae_conv conv_in, conv_out;
    hr_vae_resnet mid_first, mid_last;
    hr_vae_attention mid_attention;
    hr_vae_stage stages[HR_VAE_MAX_STAGES];
    hr_tensor norm_out;
};

struct hr_vae_decoder {
    const hr_vae *vae;
    hr_stream *stream;
    hr_rows *rows;
    int64_t height, width, n_done; /* latent frames so far */
    hr_tensor *history;            /* vae->n_slots */
};

/* Width after `i` stages: the last multiple twice, then the others backwards. */
static int64_t width_after(const hr_vae_config *config, int64_t i)
{
    int64_t last = config->n_stages - 1;

    return config->base_dim * config->dim_mult[i == 0 ? last : last - (i - 1)];
}

/* The up-samplers of the 2.1 VAE halve the channels (rounding down), those of 2.2 keep
 * them. */
static hr_vae_stage_plan plan_stage(const hr_vae_config *config, int64_t i)
{
    bool has_upsampler = i + 1 < config->n_stages;
    int64_t before = width_after(config, i), out = width_after(config, i + 1);
    hr_vae_stage_plan plan = {.in = before, .out = out, .up_out = out};

    plan.n_resnets = config->n_res_blocks + 1;
    if (!config->is_residual) {
        plan.in = i == 0 ? before : before / 2;
        plan.up_out = out / 2;
    }
    if (has_upsampler) {
        plan.upsampler = config->is_residual ? "upsampler" : "upsamplers.0";
        plan.is_temporal = config->temporal_up[i];
        plan.has_duplicate = config->is_residual;
    }
    return plan;
}

static hr_status make_mid(hr_vae *vae, hr_vae_source *source)
{
    int64_t width = width_after(&vae->config, 0);

    HR_TRY(hr_vae_conv_make(source, "decoder.conv_in",
                            HR_DIMS(width, vae->config.z_dim, 3, 3, 3), &vae->conv_in));
    HR_TRY(hr_vae_resnet_make(source, "decoder.mid_block.resnets.0", width, width,
                              &vae->mid_first));
    HR_TRY(hr_vae_attention_make(source, "decoder.mid_block.attentions.0", width,
                                 &vae->mid_attention));
    return hr_vae_resnet_make(source, "decoder.mid_block.resnets.1", width, width,
                              &vae->mid_last);
}

/* The walk over all parameters, declaring or loading. */
static hr_status make_all(hr_vae *vae, hr_vae_source *source)
{
    const hr_vae_config *config = &vae->config;
    int64_t last = width_after(config, config->n_stages);

    HR_TRY(hr_vae_linear_make(source, "post_quant_conv",
                              HR_DIMS(config->z_dim, config->z_dim, 1, 1, 1),
                              &vae->post_quant));
    HR_TRY(make_mid(vae, source));
    for (int64_t i = 0; i < config->n_stages; i++) {
        hr_vae_stage_plan plan = plan_stage(config, i);
        char name[MAX_NAME];

        snprintf(name, sizeof name, "decoder.up_blocks.%" PRId64, i);
        HR_TRY(hr_vae_stage_make(source, name, &plan, &vae->stages[i]));
    }
    HR_TRY(hr_vae_norm_make(source, "decoder.norm_out", 4, last, &vae->norm_out));
    HR_TRY(hr_vae_conv_make(source, "decoder.conv_out",
                            HR_DIMS(config->out_channels, last, 3, 3, 3),
                            &vae->conv_out));
    vae->n_slots = source->n_slots;
    return HR_OK;
}

/* A map's frames are counted from 0, the first that belongs to the latent frame behind
 * the one that a decoder was begun on; `frame` is the first that is as if it had been
 * begun earlier. Each causal convolution sees HR_VAE_PAST more. A frame doubler sees none
 * of the frames before 0, whatever they are. docs/vae.md has the sum for Wan's VAE. */
int64_t hr_vae_receptive_frames(const hr_vae_config *config)
{
    int64_t frame = -1, rate = 1; /* rate: frames of a latent frame */

    frame += HR_VAE_PAST * (1 + 2 * 2); /* conv_in, two resnets */
    for (int64_t i = 0; i < config->n_stages; i++) {
        hr_vae_stage_plan plan = plan_stage(config, i);

        frame += HR_VAE_PAST * 2 * plan.n_resnets;
        if (plan.upsampler == NULL || !plan.is_temporal)
            continue;
        frame = 2 * ((frame > 0 ? frame : 0) + HR_VAE_PAST);
        rate *= 2;
    }
    frame += HR_VAE_PAST; /* conv_out */
    return 1 + (frame + rate - 1) / rate;
}

/* diffusers divides by the rounded reciprocal of the deviation. */
static hr_status load_statistics(hr_vae *vae, hr_stream *stream)
{
    const hr_vae_config *config = &vae->config;
    hr_device *device = hr_stream_device(stream);
    float inv_std[HR_VAE_MAX_Z];

    for (int64_t i = 0; i < config->z_dim; i++)
        inv_std[i] = 1.0F / config->std[i];
    HR_TRY(hr_tensor_create(device, HR_F32, HR_DIMS(config->z_dim), &vae->mean));
    HR_TRY(hr_tensor_create(device, HR_F32, HR_DIMS(config->z_dim), &vae->inv_std));
    HR_TRY(hr_copy_to_device(stream, &vae->mean, config->mean));
    HR_TRY(hr_copy_to_device(stream, &vae->inv_std, inv_std));
    return hr_stream_sync(stream);
}

static hr_status create(const hr_vae_config *config, hr_vae **out)
{
    void *memory;

    HR_TRY(hr_alloc_or_fail(sizeof **out, "the VAE", &memory));
    *out = memory;
    (*out)->config = *config;
    return HR_OK;
}

hr_status hr_vae_expect(const hr_vae_config *config, hr_weights *weights)
{
    hr_vae_source source = {.declare = weights};
    hr_status status;
    hr_vae *vae;

    HR_TRY(create(config, &vae));
    status = make_all(vae, &source);
    hr_vae_close(vae);
    return status;
}

hr_status hr_vae_open(const hr_vae_config *config, const hr_weights *weights,
                      hr_stream *stream, hr_vae **out)
{
    hr_vae_source source = {.load = weights, .stream = stream};
    hr_status status;
    hr_vae *vae;

    HR_TRY(create(config, &vae));
    HR_TRY_GOTO(make_all(vae, &source), fail);
    HR_TRY_GOTO(load_statistics(vae, stream), fail);
    *out = vae;
    return HR_OK;
fail:
    hr_vae_close(vae);
    return status;
}

void hr_vae_close(hr_vae *vae)
{
    if (vae == NULL)
        return;
    hr_vae_conv_free(&vae->conv_out);
    hr_tensor_free(&vae->norm_out);
    for (int i = HR_VAE_MAX_STAGES; i-- > 0;)
        hr_vae_stage_free(&vae->stages[i]);
    hr_vae_resnet_free(&vae->mid_last);
    hr_vae_attention_free(&vae->mid_attention);
    hr_vae_resnet_free(&vae->mid_first);
    hr_vae_conv_free(&vae->conv_in);
    hr_vae_linear_free(&vae->post_quant);
    hr_tensor_free(&vae->inv_std);
    hr_tensor_free(&vae->mean);
    hr_free(vae);
}

hr_status hr_vae_decoder_create(const hr_vae *vae, hr_stream *stream,
                                const hr_vae_decoder_options *options,
                                hr_vae_decoder **out)
{
    size_t bytes = (size_t)vae->n_slots * sizeof(hr_tensor);
    hr_vae_decoder *decoder;
    hr_status status;
    void *memory;

    HR_TRY(hr_alloc_or_fail(sizeof *decoder, "a VAE decoder", &memory));
    decoder = memory;
    decoder->vae = vae;
    decoder->stream = stream;
    decoder->height = options->height;
    decoder->width = options->width;
    HR_TRY_GOTO(hr_rows_open(options->group, options->height, &decoder->rows), fail);
    HR_TRY_GOTO(hr_alloc_or_fail(bytes, "VAE histories", &memory), fail);
    decoder->history = memory;
    *out = decoder;
    return HR_OK;
fail:
    hr_vae_decoder_destroy(decoder);
    return status;
}

void hr_vae_decoder_destroy(hr_vae_decoder *decoder)
{
    if (decoder == NULL)
        return;
    (void)hr_stream_sync(decoder->stream); /* whoever needs its result asks for it */
    for (int i = 0; decoder->history != NULL && i < decoder->vae->n_slots; i++)
        hr_tensor_free(&decoder->history[i]);
    hr_free(decoder->history);
    hr_rows_close(decoder->rows);
    hr_free(decoder);
}

hr_status hr_vae_decoder_restart(hr_vae_decoder *decoder)
{
    for (int i = 0; i < decoder->vae->n_slots; i++)
        if (!hr_tensor_is_absent(&decoder->history[i]))
            HR_TRY(hr_op_fill(decoder->stream,
                              &(hr_fill_args){.out = decoder->history[i], .value = 0}));
    decoder->n_done = 0;
    return HR_OK;
}

hr_band hr_vae_decoder_band(const hr_vae_decoder *decoder)
{
    return hr_rows_mine(decoder->rows);
}

int64_t hr_vae_decoder_next_frames(const hr_vae_decoder *decoder)
{
    return decoder->n_done == 0 ? 1 : decoder->vae->config.scale_temporal;
}

/* The latent into the decoder's first convolution: *x is made. */
static hr_status run_entry(const hr_vae_decoder *d, const hr_vae_pass *pass,
                           const hr_tensor *latent, const hr_trace *trace, hr_tensor *x)
{
    const hr_vae *vae = d->vae;
    hr_band band = hr_rows_mine(d->rows);
    hr_arena_mark mark;
    hr_vae_input input;
    hr_tensor z, rows;

    HR_TRY(hr_arena_tensor(pass->arena, HR_F32,
                           HR_DIMS(1, band.n, d->width, vae->conv_in.out), x));
    mark = hr_arena_get_mark(pass->arena);
    HR_TRY(hr_arena_tensor(pass->arena, HR_F32,
                           HR_DIMS(1, d->height, d->width, vae->config.z_dim), &z));
    HR_TRY(hr_op_denormalize(pass->stream, &(hr_denormalize_args){.x = *latent,
                                                                  .inv_std = vae->inv_std,
                                                                  .mean = vae->mean,
                                                                  .out = z}));
    HR_TRY(hr_trace_tensor(trace, pass->stream, "vae_in", &z));
    HR_TRY(hr_vae_causal_begin(pass, &vae->conv_in, band.n, d->width, &input));
    rows = hr_tensor_reshape(&z, HR_DIMS(d->height, d->width, vae->config.z_dim));
    rows = hr_tensor_slice(&rows, band.first, band.n);
    HR_TRY(hr_vae_linear_run(pass, &vae->post_quant, &rows, &input.fresh));
    HR_TRY(hr_vae_causal_end(pass, &vae->conv_in, &input, x, false));
    hr_arena_rewind(pass->arena, mark);
    return hr_trace_tensor(trace, pass->stream, "conv_in", x);
}

static hr_status run_mid(const hr_vae_decoder *d, const hr_vae_pass *pass,
                         const hr_trace *trace, hr_tensor *x)
{
    const hr_vae *vae = d->vae;

    HR_TRY(hr_vae_resnet_run(pass, &vae->mid_first, x));
    HR_TRY(hr_vae_attention_run(pass, &vae->mid_attention, x));
    HR_TRY(hr_vae_resnet_run(pass, &vae->mid_last, x));
    return hr_trace_tensor(trace, pass->stream, "mid", x);
}

/* The reference's tensor lies between norm and SiLU, which run as one: made again to be
 * seen. */
static hr_status trace_norm_out(const hr_vae_decoder *d, const hr_vae_pass *pass,
                                const hr_trace *trace, const hr_tensor *x)
{
    hr_arena_mark mark = hr_arena_get_mark(pass->arena);
    hr_tensor normed;

    if (trace == NULL)
        return HR_OK;
    HR_TRY(hr_arena_tensor(pass->arena, HR_F32, x->n_dims, x->dim, &normed));
    HR_TRY(hr_vae_norm_run(pass, &d->vae->norm_out, x, &normed, HR_ACT_NONE));
    HR_TRY(hr_trace_tensor(trace, pass->stream, "norm_out", &normed));
    hr_arena_rewind(pass->arena, mark);
    return HR_OK;
}

/* Pictures being made: `frames` is what the caller gets, the first `n_done` are ready. */
typedef struct pictures {
    hr_tensor frames;
    int64_t n_done;
} pictures;

static hr_status run_head(const hr_vae_decoder *d, const hr_vae_pass *pass,
                          const hr_trace *trace, const hr_tensor *x, pictures *out)
{
    const hr_vae *vae = d->vae;
    int64_t height = x->dim[1], width = x->dim[2];
    hr_vae_input input;
    hr_tensor y;

    HR_TRY(trace_norm_out(d, pass, trace, x));
    HR_TRY(hr_arena_tensor(pass->arena, HR_F32,
                           HR_DIMS(1, height, width, vae->conv_out.out), &y));
    HR_TRY(hr_vae_causal_begin(pass, &vae->conv_out, height, width, &input));
    HR_TRY(hr_vae_norm_run(pass, &vae->norm_out, x, &input.fresh, HR_ACT_SILU));
    HR_TRY(hr_vae_causal_end(pass, &vae->conv_out, &input, &y, false));
    HR_TRY(hr_trace_tensor(trace, pass->stream, "conv_out", &y));
    HR_TRY(hr_op_to_rgb(
        pass->stream,
        &(hr_to_rgb_args){.x = y,
                          .out = hr_tensor_slice(&out->frames, out->n_done, 1),
                          .patch = (int)vae->config.patch}));
    out->n_done++;
    return HR_OK;
}

/* From stage `i` on. Each frame goes all the way down before the next one starts, so that
 * scratch is that of one frame however many a latent frame becomes. */
static hr_status run_from(const hr_vae_decoder *d, const hr_vae_pass *pass,
                          const hr_trace *trace, int64_t i, const hr_tensor *x,
                          pictures *out)
{
    hr_arena_mark mark = hr_arena_get_mark(pass->arena);
    char name[MAX_NAME];

    if (i == d->vae->config.n_stages)
        return run_head(d, pass, trace, x, out);
    snprintf(name, sizeof name, "up%" PRId64, i);
    for (int64_t t = 0; t < x->dim[0]; t++) {
        hr_tensor frame = hr_tensor_slice(x, t, 1);

        HR_TRY(hr_vae_stage_run(pass, &d->vae->stages[i], &frame));
        HR_TRY(hr_trace_tensor(trace, pass->stream, name, &frame));
        HR_TRY(run_from(d, pass, trace, i + 1, &frame, out));
        hr_arena_rewind(pass->arena, mark);
    }
    return HR_OK;
}

static hr_status run_frame(const hr_vae_decoder *d, const hr_vae_pass *pass,
                           const hr_tensor *latent, const hr_trace *trace, pictures *out)
{
    hr_tensor x;

    HR_TRY(run_entry(d, pass, latent, trace, &x));
    HR_TRY(run_mid(d, pass, trace, &x));
    return run_from(d, pass, trace, 0, &x, out);
}

hr_status hr_vae_decoder_run(hr_vae_decoder *decoder, hr_stream *stream, hr_arena *arena,
                             const hr_tensor *latent, const hr_tensor *out,
                             const hr_trace *trace)
{
    hr_arena_mark mark = hr_arena_get_mark(arena);
    const hr_vae_pass pass = {.stream = stream,
                              .arena = arena,
                              .rows = decoder->rows,
                              .history = decoder->history,
                              .is_first = decoder->n_done == 0};
    pictures made = {.frames = *out};
    hr_status status = run_frame(decoder, &pass, latent, trace, &made);

    hr_arena_rewind(arena, mark);
    if (status == HR_OK)
        decoder->n_done++;
    return status;
}
