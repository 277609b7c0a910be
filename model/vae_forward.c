#include "model/vae_forward.h"

#include <math.h>

/* Halo rows that a convolution sees beyond the band. */
typedef struct halo {
    int above, below;
} halo;

static halo halo_of(const hr_vae_pass *pass, const hr_vae_conv *conv)
{
    if (conv->kernel[1] == 1)
        return (halo){0};
    return (halo){.above = hr_rows_above(pass->rows), .below = hr_rows_below(pass->rows)};
}

/* x has the band's halo rows. Zeros lie beyond the picture only: this is decided here and
 * nowhere else. */
static hr_status convolve(const hr_vae_pass *pass, const hr_vae_conv *conv,
                          const hr_tensor *x, const hr_tensor *out, bool accumulate)
{
    int rows = (int)conv->kernel[1] / 2, columns = (int)conv->kernel[2] / 2;
    halo have = halo_of(pass, conv);

    return hr_op_conv(pass->stream, &(hr_conv_args){.x = *x,
                                                    .bias = conv->bias,
                                                    .out = *out,
                                                    .weight = conv->weight,
                                                    .pad_top = rows - have.above,
                                                    .pad_bottom = rows - have.below,
                                                    .pad_left = columns,
                                                    .pad_right = columns,
                                                    .accumulate = accumulate});
}

static hr_status history_make(const hr_vae_pass *pass, const hr_vae_conv *conv,
                              const hr_tensor *all)
{
    hr_tensor *past = &pass->history[conv->slot];

    if (!hr_tensor_is_absent(past))
        return HR_OK;
    HR_TRY(hr_tensor_create(hr_stream_device(pass->stream), HR_F32,
                            HR_DIMS(HR_VAE_PAST, all->dim[1], all->dim[2], all->dim[3]),
                            past));
    return hr_op_fill(pass->stream, &(hr_fill_args){.out = *past, .value = 0});
}

/* Rows [first, first + n) of a map of one frame. */
static hr_tensor rows_of(const hr_tensor *x, int64_t first, int64_t n)
{
    hr_tensor rows = hr_tensor_reshape(x, HR_DIMS(x->dim[1], x->dim[2], x->dim[3]));

    rows = hr_tensor_slice(&rows, first, n);
    return hr_tensor_reshape(&rows, HR_DIMS(1, n, x->dim[2], x->dim[3]));
}

hr_status hr_vae_causal_begin(const hr_vae_pass *pass, const hr_vae_conv *conv,
                              int64_t height, int64_t width, hr_vae_input *input)
{
    halo have = halo_of(pass, conv);
    hr_tensor front, frame;

    HR_TRY(hr_arena_tensor(
        pass->arena, HR_F32,
        HR_DIMS(HR_VAE_PAST + 1, have.above + height + have.below, width, conv->in),
        &input->all));
    HR_TRY(history_make(pass, conv, &input->all));
    front = hr_tensor_slice(&input->all, 0, HR_VAE_PAST);
    frame = hr_tensor_slice(&input->all, HR_VAE_PAST, 1);
    input->fresh = rows_of(&frame, have.above, height);
    return hr_copy(pass->stream, &front, &pass->history[conv->slot]);
}

hr_status hr_vae_causal_end(const hr_vae_pass *pass, const hr_vae_conv *conv,
                            const hr_vae_input *input, const hr_tensor *out,
                            bool accumulate)
{
    hr_tensor frame = hr_tensor_slice(&input->all, HR_VAE_PAST, 1);
    hr_tensor last = hr_tensor_slice(&input->all, 1, HR_VAE_PAST);

    if (conv->kernel[1] > 1)
        HR_TRY(hr_rows_exchange(pass->rows, pass->stream, &frame));
    HR_TRY(convolve(pass, conv, &input->all, out, accumulate));
    return hr_copy(pass->stream, &pass->history[conv->slot], &last);
}

hr_status hr_vae_norm_run(const hr_vae_pass *pass, const hr_tensor *gamma,
                          const hr_tensor *x, const hr_tensor *out,
                          hr_activation activation)
{
    return hr_op_norm(pass->stream, &(hr_norm_args){.x = *x,
                                                    .weight = *gamma,
                                                    .out = *out,
                                                    .kind = HR_NORM_L2,
                                                    .eps = 1e-12F,
                                                    .activation = activation});
}

static hr_tensor as_rows(const hr_tensor *x)
{
    return hr_tensor_reshape(x, HR_DIMS(hr_tensor_rows(x), hr_tensor_width(x)));
}

hr_status hr_vae_linear_run(const hr_vae_pass *pass, const hr_vae_linear *linear,
                            const hr_tensor *x, const hr_tensor *out)
{
    return hr_op_linear(pass->stream, &(hr_linear_args){.x = as_rows(x),
                                                        .bias = linear->bias,
                                                        .out = as_rows(out),
                                                        .weight = linear->weight});
}

/* A map of the frames and pixels of x with `channels`. */
static hr_status like(const hr_vae_pass *pass, const hr_tensor *x, int64_t channels,
                      hr_tensor *out)
{
    return hr_arena_tensor(pass->arena, HR_F32,
                           HR_DIMS(x->dim[0], x->dim[1], x->dim[2], channels), out);
}

/* out (+)= conv(SiLU(norm(x))) */
static hr_status norm_conv(const hr_vae_pass *pass, const hr_tensor *gamma,
                           const hr_vae_conv *conv, const hr_tensor *x,
                           const hr_tensor *out, bool accumulate)
{
    hr_arena_mark mark = hr_arena_get_mark(pass->arena);
    hr_vae_input input;

    HR_TRY(hr_vae_causal_begin(pass, conv, x->dim[1], x->dim[2], &input));
    HR_TRY(hr_vae_norm_run(pass, gamma, x, &input.fresh, HR_ACT_SILU));
    HR_TRY(hr_vae_causal_end(pass, conv, &input, out, accumulate));
    hr_arena_rewind(pass->arena, mark);
    return HR_OK;
}

/* The second convolution adds its result to the shortcut's, which without a layer is the
 * input. */
hr_status hr_vae_resnet_run(const hr_vae_pass *pass, const hr_vae_resnet *resnet,
                            hr_tensor *x)
{
    hr_tensor out = *x, middle;
    hr_arena_mark mark;

    if (resnet->has_shortcut)
        HR_TRY(like(pass, x, resnet->shortcut.out, &out));
    mark = hr_arena_get_mark(pass->arena);
    HR_TRY(like(pass, x, resnet->conv1.out, &middle));
    HR_TRY(norm_conv(pass, &resnet->norm1, &resnet->conv1, x, &middle, false));
    if (resnet->has_shortcut)
        HR_TRY(hr_vae_linear_run(pass, &resnet->shortcut, x, &out));
    HR_TRY(norm_conv(pass, &resnet->norm2, &resnet->conv2, &middle, &out, true));
    hr_arena_rewind(pass->arena, mark);
    *x = out;
    return HR_OK;
}

/* The pixels that are looked at: the whole map, normalised. x: the band. */
static hr_status gather_map(const hr_vae_pass *pass, const hr_tensor *x,
                            const hr_tensor *normed, hr_tensor *out)
{
    int64_t n = x->dim[1], width = x->dim[2], channels = x->dim[3];
    int64_t height = hr_rows_height(pass->rows);
    hr_tensor mine, all;

    *out = *normed;
    if (n == height)
        return HR_OK;
    HR_TRY(hr_arena_tensor(pass->arena, HR_F32, HR_DIMS(height * width, channels), out));
    mine = hr_tensor_reshape(normed, HR_DIMS(n, width, channels));
    all = hr_tensor_reshape(out, HR_DIMS(height, width, channels));
    return hr_rows_gather(pass->rows, pass->stream, &mine, &all);
}

/* Part `i` of q, k and v, from normalised pixels: [n, width]. */
static hr_status project(const hr_vae_pass *pass, const hr_vae_attention *attention,
                         int i, const hr_tensor *x, hr_tensor *out)
{
    const hr_packed *weights[] = {attention->q, attention->k, attention->v};
    int64_t width = attention->width;
    hr_linear_args args = {.x = *x, .weight = weights[i]};

    HR_TRY(hr_arena_tensor(pass->arena, HR_F32, x->n_dims, x->dim, out));
    args.bias = hr_tensor_slice(&attention->qkv_bias, i * width, width);
    args.out = *out;
    return hr_op_linear(pass->stream, &args);
}

static hr_tensor as_head(const hr_tensor *x)
{
    return hr_tensor_reshape(x, HR_DIMS(x->dim[0], 1, x->dim[1]));
}

hr_status hr_vae_attention_run(const hr_vae_pass *pass, const hr_vae_attention *attention,
                               hr_tensor *x)
{
    hr_arena_mark mark = hr_arena_get_mark(pass->arena);
    hr_tensor normed, map, q, k, v, rows = as_rows(x);
    hr_attention_args args = {.scale = (float)(1 / sqrt((double)attention->width))};

    HR_TRY(hr_arena_tensor(pass->arena, HR_F32, rows.n_dims, rows.dim, &normed));
    HR_TRY(hr_vae_norm_run(pass, &attention->norm, &rows, &normed, HR_ACT_NONE));
    HR_TRY(gather_map(pass, x, &normed, &map));
    HR_TRY(project(pass, attention, 0, &normed, &q));
    HR_TRY(project(pass, attention, 1, &map, &k));
    HR_TRY(project(pass, attention, 2, &map, &v));
    args.q = as_head(&q);
    args.k = as_head(&k);
    args.v = as_head(&v);
    args.out = as_head(&normed);
    HR_TRY(hr_op_attention(pass->stream, &args));
    HR_TRY(hr_vae_linear_run(pass, &attention->proj, &normed, &q));
    HR_TRY(hr_op_gated_add(pass->stream, &(hr_gated_add_args){.x = rows, .y = q}));
    hr_arena_rewind(pass->arena, mark);
    return HR_OK;
}

/* Twice as many frames; *x becomes new memory. The first latent frame stays one frame and
 * is not in the history of those that follow. */
static hr_status double_frames(const hr_vae_pass *pass, const hr_vae_conv *conv,
                               hr_tensor *x)
{
    hr_tensor out, halves;
    hr_arena_mark mark;
    hr_vae_input input;

    if (pass->is_first)
        return HR_OK;
    HR_TRY(hr_arena_tensor(pass->arena, HR_F32,
                           HR_DIMS(2 * x->dim[0], x->dim[1], x->dim[2], x->dim[3]),
                           &out));
    mark = hr_arena_get_mark(pass->arena);
    HR_TRY(like(pass, x, conv->out, &halves));
    HR_TRY(hr_vae_causal_begin(pass, conv, x->dim[1], x->dim[2], &input));
    HR_TRY(hr_copy(pass->stream, &input.fresh, x));
    HR_TRY(hr_vae_causal_end(pass, conv, &input, &halves, false));
    HR_TRY(hr_op_split_frames(pass->stream,
                              &(hr_split_frames_args){.x = halves, .out = out}));
    hr_arena_rewind(pass->arena, mark);
    *x = out;
    return HR_OK;
}

/* The frames of x with the band's halo rows; x itself where there are none. */
static hr_status with_halo(const hr_vae_pass *pass, halo have, const hr_tensor *x,
                           hr_tensor *out)
{
    int64_t height = x->dim[1];

    *out = *x;
    if (have.above + have.below == 0)
        return HR_OK;
    HR_TRY(hr_arena_tensor(
        pass->arena, HR_F32,
        HR_DIMS(x->dim[0], have.above + height + have.below, x->dim[2], x->dim[3]), out));
    for (int64_t t = 0; t < x->dim[0]; t++) {
        hr_tensor from = hr_tensor_slice(x, t, 1), to = hr_tensor_slice(out, t, 1);

        to = rows_of(&to, have.above, height);
        HR_TRY(hr_copy(pass->stream, &to, &from));
    }
    return hr_rows_exchange(pass->rows, pass->stream, out);
}

/* out = conv(x with doubled rows and columns). Frame by frame: the doubled map is the
 * largest of the decoder. A halo row becomes two, of which the convolution sees the
 * nearer. */
static hr_status double_pixels(const hr_vae_pass *pass, const hr_vae_conv *conv,
                               const hr_tensor *x, const hr_tensor *out)
{
    hr_arena_mark mark = hr_arena_get_mark(pass->arena);
    halo have = halo_of(pass, conv);
    hr_tensor source, wide, seen;

    HR_TRY(with_halo(pass, have, x, &source));
    HR_TRY(hr_arena_tensor(
        pass->arena, HR_F32,
        HR_DIMS(1, 2 * source.dim[1], 2 * source.dim[2], source.dim[3]), &wide));
    seen = rows_of(&wide, have.above, wide.dim[1] - have.above - have.below);
    for (int64_t t = 0; t < x->dim[0]; t++) {
        hr_tensor from = hr_tensor_slice(&source, t, 1), to = hr_tensor_slice(out, t, 1);

        HR_TRY(hr_op_upsample(pass->stream, &(hr_upsample_args){.x = from, .out = wide}));
        HR_TRY(convolve(pass, conv, &seen, &to, false));
    }
    hr_arena_rewind(pass->arena, mark);
    return HR_OK;
}

static hr_status resnets_run(const hr_vae_pass *pass, const hr_vae_stage *stage,
                             hr_tensor *x)
{
    for (int64_t i = 0; i < stage->n_resnets; i++)
        HR_TRY(hr_vae_resnet_run(pass, &stage->resnets[i], x));
    return HR_OK;
}

/* The duplicating shortcut needs the stage's input at the end, so blocks that work in
 * place get a copy. */
static hr_status keep_input(const hr_vae_pass *pass, const hr_vae_stage *stage,
                            hr_tensor *x)
{
    hr_tensor copy;

    if (!stage->has_duplicate || stage->resnets[0].has_shortcut)
        return HR_OK;
    HR_TRY(like(pass, x, x->dim[3], &copy));
    HR_TRY(hr_copy(pass->stream, &copy, x));
    *x = copy;
    return HR_OK;
}

hr_status hr_vae_stage_run(const hr_vae_pass *pass, const hr_vae_stage *stage,
                           hr_tensor *x)
{
    int factor = stage->is_temporal ? 2 : 1, skip = pass->is_first ? factor - 1 : 0;
    hr_tensor work = *x, out;
    hr_arena_mark mark;

    if (!stage->has_upsampler)
        return resnets_run(pass, stage, x);
    HR_TRY(hr_arena_tensor(pass->arena, HR_F32,
                           HR_DIMS(x->dim[0] * factor - skip, 2 * x->dim[1],
                                   2 * x->dim[2], stage->spatial_conv.out),
                           &out));
    mark = hr_arena_get_mark(pass->arena);
    HR_TRY(keep_input(pass, stage, &work));
    HR_TRY(resnets_run(pass, stage, &work));
    if (stage->is_temporal)
        HR_TRY(double_frames(pass, &stage->time_conv, &work));
    HR_TRY(double_pixels(pass, &stage->spatial_conv, &work, &out));
    if (stage->has_duplicate)
        HR_TRY(hr_op_add_duplicated(
            pass->stream,
            &(hr_add_duplicated_args){.x = *x, .out = out, .ft = factor, .skip = skip}));
    hr_arena_rewind(pass->arena, mark);
    *x = out;
    return HR_OK;
}
