/* One forward pass. */
#include "base/log.h"
#include "model/transformer_parts.h"

#include <math.h>

/* [cos(t w_0), ..., sin(t w_0), ...] with w_i = exp(-ln(10000) i / half), each operation
 * rounded to fp32 as in the reference (get_timestep_embedding). */
static void fill_sinusoid(double timestep, int64_t freq_dim, float *out)
{
    const int64_t half = freq_dim / 2;
    const float minus_log = (float)-9.210340371976184, time = (float)timestep;

    for (int64_t i = 0; i < half; i++) {
        float exponent = minus_log * (float)i / (float)half;
        float angle = time * (float)exp((double)exponent);

        out[i] = (float)cos((double)angle);
        out[half + i] = (float)sin((double)angle);
    }
}

/* One forward pass on its way. */
typedef struct forward_run {
    const hr_transformer *t;
    hr_stream *stream;
    hr_arena *arena;
    const hr_forward *forward;
    int64_t width;
    hr_tensor x;    /* F32 [L, width]: the residual stream */
    hr_tensor temb; /* F32 [width] */
    hr_tensor time; /* F32 [6, width] */
} forward_run;

static hr_status show(const forward_run *r, const char *name, const hr_tensor *t)
{
    return hr_trace_tensor(r->forward->trace, r->stream, name, t);
}

static hr_status embed_sinusoid(const forward_run *r, const hr_tensor *sinusoid,
                                const hr_tensor *temb)
{
    hr_tensor hidden;

    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(1, r->width), &hidden));
    HR_TRY(hr_linear_run(&r->t->time_1, r->stream, sinusoid, &hidden, HR_ACT_SILU));
    return hr_linear_run(&r->t->time_2, r->stream, &hidden, temb, HR_ACT_NONE);
}

static hr_status embed_time(forward_run *r)
{
    float host[HR_FREQ_DIM_MAX];
    hr_tensor sinusoid, temb, activated, time;

    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(1, r->width), &temb));
    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(1, 6 * r->width), &time));
    HR_TRY(
        hr_arena_tensor(r->arena, HR_F32, HR_DIMS(1, r->t->config.freq_dim), &sinusoid));
    HR_TRY(hr_arena_tensor(r->arena, r->t->matrix, HR_DIMS(1, r->width), &activated));
    fill_sinusoid(r->forward->timestep, r->t->config.freq_dim, host);
    HR_TRY(hr_copy_to_device(r->stream, &sinusoid, host));
    HR_TRY(hr_stream_sync(r->stream)); /* `host` lives until here */
    HR_TRY(show(r, "time_sinusoid", &sinusoid));
    HR_TRY(embed_sinusoid(r, &sinusoid, &temb));
    HR_TRY(show(r, "temb", &temb));
    HR_TRY(hr_op_activate(
        r->stream,
        &(hr_activate_args){.x = temb, .out = activated, .activation = HR_ACT_SILU}));
    HR_TRY(hr_linear_run(&r->t->time_proj, r->stream, &activated, &time, HR_ACT_NONE));
    HR_TRY(show(r, "time_proj", &time));
    r->temb = hr_tensor_reshape(&temb, HR_DIMS(r->width));
    r->time = hr_tensor_reshape(&time, HR_DIMS(6, r->width));
    return HR_OK;
}

static hr_status embed_patches(forward_run *r)
{
    const hr_transformer_config *c = &r->t->config;
    const hr_tensor *rope = &r->forward->rope->cos;
    hr_arena_mark mark;
    hr_tensor patches;

    if (r->t->part.has_head)
        HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(rope->dim[0], r->width), &r->x));
    else
        r->x = r->forward->hidden_out;
    mark = hr_arena_get_mark(r->arena);
    HR_TRY(hr_arena_tensor(r->arena, r->t->matrix,
                           HR_DIMS(rope->dim[0], c->in_channels * hr_patch_volume(c)),
                           &patches));
    HR_TRY(hr_op_patchify(
        r->stream,
        &(hr_patchify_args){.x = r->forward->latents,
                            .out = patches,
                            .patch = {c->patch[0], c->patch[1], c->patch[2]}}));
    HR_TRY(
        hr_linear_run(&r->t->patch_embedding, r->stream, &patches, &r->x, HR_ACT_NONE));
    hr_arena_rewind(r->arena, mark);
    return show(r, "patch_embed", &r->x);
}

static hr_status run_blocks(const forward_run *r)
{
    const hr_text_context *text = r->forward->context;
    hr_block_input input = {.x = r->x,
                            .time = r->time,
                            .rope = r->forward->rope,
                            .key_bias = text->key_bias,
                            .trace = r->forward->trace};

    for (int64_t i = 0; i < r->t->part.n_layers; i++) {
        if (i > 0 && r->forward->tick != NULL)
            HR_TRY(r->forward->tick(r->forward->user));
        input.index = r->t->part.first_layer + i;
        input.text_k = text->k[i];
        input.text_v = text->v[i];
        HR_TRY(hr_block_run(&r->t->blocks[i], r->stream, r->arena, &input));
    }
    return HR_OK;
}

/* Shift and scale of the head: its table plus the time embedding in both rows. */
static hr_status make_head_modulation(const forward_run *r, hr_tensor *out)
{
    hr_tensor table = hr_tensor_reshape(&r->t->table, HR_DIMS(2, r->width));

    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(2, r->width), out));
    for (int64_t i = 0; i < 2; i++)
        HR_TRY(hr_op_lincomb(r->stream,
                             &(hr_lincomb_args){.x = {hr_tensor_at(&table, i), r->temb},
                                                .out = hr_tensor_at(out, i),
                                                .c = {1.0F, 1.0F},
                                                .n = 2}));
    return HR_OK;
}

/* Rows of `z` from the same rows of the residual stream. */
static hr_status project_out(const forward_run *r, const hr_tensor *modulation,
                             int64_t first, const hr_tensor *z)
{
    hr_arena_mark mark = hr_arena_get_mark(r->arena);
    hr_tensor u;

    HR_TRY(hr_arena_tensor(r->arena, r->t->matrix, HR_DIMS(z->dim[0], r->width), &u));
    HR_TRY(hr_op_norm(r->stream,
                      &(hr_norm_args){.x = hr_tensor_slice(&r->x, first, z->dim[0]),
                                      .weight = hr_tensor_at(modulation, 1),
                                      .bias = hr_tensor_at(modulation, 0),
                                      .out = u,
                                      .kind = HR_NORM_LAYER,
                                      .eps = r->t->config.eps,
                                      .weight_plus_one = true}));
    HR_TRY(show(r, "head_in", &u));
    HR_TRY(hr_linear_run(&r->t->proj_out, r->stream, &u, z, HR_ACT_NONE));
    hr_arena_rewind(r->arena, mark);
    return HR_OK;
}

static hr_status run_head(const forward_run *r)
{
    const hr_transformer_config *c = &r->t->config;
    int64_t n_rows = r->x.dim[0];
    hr_tensor modulation, z;

    HR_TRY(make_head_modulation(r, &modulation));
    HR_TRY(hr_arena_tensor(r->arena, HR_F32,
                           HR_DIMS(n_rows, hr_patch_volume(c) * c->out_channels), &z));
    for (int64_t first = 0; first < n_rows; first += HR_BLOCK_ROWS) {
        int64_t left = n_rows - first, n = left < HR_BLOCK_ROWS ? left : HR_BLOCK_ROWS;
        hr_tensor part = hr_tensor_slice(&z, first, n);

        HR_TRY(project_out(r, &modulation, first, &part));
    }
    HR_TRY(hr_op_unpatchify(
        r->stream,
        &(hr_unpatchify_args){.x = z,
                              .out = r->forward->out,
                              .patch = {c->patch[0], c->patch[1], c->patch[2]}}));
    return show(r, "model_out", &r->forward->out);
}

static hr_status run_all(forward_run *r)
{
    const hr_forward *f = r->forward;

    HR_TRY(embed_time(r));
    if (r->t->part.has_entry)
        HR_TRY(embed_patches(r));
    else
        r->x = f->hidden_in;
    HR_TRY(run_blocks(r));
    if (r->t->part.has_head)
        return run_head(r);
    return r->x.data == f->hidden_out.data ? HR_OK
                                           : hr_copy(r->stream, &f->hidden_out, &r->x);
}

/* The latents have the size that the rotation tables were made for. */
static bool latents_fit(const hr_transformer_config *c, const hr_forward *forward)
{
    const int64_t *grid = forward->rope->grid, *dim = forward->latents.dim;

    return forward->latents.n_dims == 4 && dim[0] == grid[0] * c->patch[0] &&
           dim[2] == grid[1] * c->patch[1] && dim[3] == grid[2] * c->patch[2] &&
           dim[1] == c->in_channels;
}

static bool hidden_fits(const forward_run *r, const hr_tensor *hidden)
{
    return hidden->dtype == HR_F32 && hidden->n_dims == 2 && hidden->dim[1] == r->width &&
           hidden->dim[0] == r->forward->rope->cos.dim[0];
}

/* What this part needs is there, in the size that the rotation tables were made for. */
static bool fits(const forward_run *r)
{
    const hr_transformer_part *part = &r->t->part;

    return (part->has_entry ? latents_fit(&r->t->config, r->forward)
                            : hidden_fits(r, &r->forward->hidden_in)) &&
           (part->has_head || hidden_fits(r, &r->forward->hidden_out));
}

hr_status hr_transformer_run(const hr_transformer *transformer, hr_stream *stream,
                             hr_arena *arena, const hr_forward *forward)
{
    hr_arena_mark mark = hr_arena_get_mark(arena);
    forward_run r = {.t = transformer,
                     .stream = stream,
                     .arena = arena,
                     .forward = forward,
                     .width = hr_transformer_width(&transformer->config)};
    hr_status status;

    if (!fits(&r))
        return hr_fail(HR_ERR_INTERNAL,
                       "transformer: latents or hidden states of another size than rope");
    status = run_all(&r);
    hr_arena_rewind(arena, mark);
    return status;
}
