#include "model/block.h"

#include "comm/tensor_sum.h"

#include <math.h>
#include <stdio.h>

/* The rows of the modulation. */
enum { SHIFT_1 = 0, SCALE_1, GATE_1, SHIFT_2, SCALE_2, GATE_2 };

/* One run of one block. */
typedef struct block_run {
    const hr_block *block;
    hr_stream *stream;
    hr_arena *arena;
    const hr_block_input *in;
    int64_t width, own_width; /* of all heads, and of this rank's */
    hr_tensor modulation;     /* F32 [6, width] */
    hr_tensor q, k, v; /* of self-attention: matrix type [L, own heads, head_dim] */
} block_run;

static hr_status show(const block_run *r, const char *what, const hr_tensor *t)
{
    char name[64];

    if (r->in->trace == NULL)
        return HR_OK;
    snprintf(name, sizeof name, "block%lld.%s", (long long)r->in->index, what);
    return hr_trace_tensor(r->in->trace, r->stream, name, t);
}

int64_t hr_block_n_heads(const hr_block *block)
{
    return block->config->n_heads / block->shards->total * block->shards->n;
}

/* [n, own width] seen as [n, own heads, head_dim]. */
static hr_tensor by_heads(const hr_block *block, const hr_tensor *t)
{
    return hr_tensor_reshape(
        t, HR_DIMS(t->dim[0], hr_block_n_heads(block), block->config->head_dim));
}

/* [n, own heads, head_dim] seen as [n, own width]. */
static hr_tensor by_rows(const hr_tensor *t)
{
    return hr_tensor_reshape(t, HR_DIMS(t->dim[0], t->dim[1] * t->dim[2]));
}

/* x: [n, own width]; the sums of squares of its rows over this rank's shards, F32 [n]. */
static hr_status own_squares(const block_run *r, const hr_tensor *x, const hr_tensor *out)
{
    return hr_op_row_squares(
        r->stream,
        &(hr_row_squares_args){.x = *x, .out = *out, .n_shards = r->block->shards->n});
}

/* The sum over all shards, from the sum over this rank's. */
static hr_status sum_over_ranks(const block_run *r, const hr_tensor *x)
{
    return hr_tensor_sum(r->block->shards->group, r->stream, r->arena, x);
}

/* RMS norm of rows whose sums of squares over all shards are known. */
static hr_status rms_norm(const block_run *r, const hr_tensor *x, const hr_tensor *weight,
                          const hr_tensor *squares, const hr_tensor *out)
{
    return hr_op_norm(r->stream, &(hr_norm_args){.x = *x,
                                                 .weight = *weight,
                                                 .squares = *squares,
                                                 .out = *out,
                                                 .kind = HR_NORM_RMS,
                                                 .eps = r->block->config->eps,
                                                 .squares_width = r->width});
}

/* LayerNorm(x) (1 + scale) + shift with the rows `scale` and `shift` of the modulation.
 */
static hr_status modulated_norm(const block_run *r, const hr_tensor *x, int scale,
                                int shift, const hr_tensor *out)
{
    return hr_op_norm(r->stream,
                      &(hr_norm_args){.x = *x,
                                      .weight = hr_tensor_at(&r->modulation, scale),
                                      .bias = hr_tensor_at(&r->modulation, shift),
                                      .out = *out,
                                      .kind = HR_NORM_LAYER,
                                      .eps = r->block->config->eps,
                                      .weight_plus_one = true});
}

/* LayerNorm before modulation exists in fused form only: made for the trace alone. */
static hr_status show_norm1(const block_run *r, const hr_tensor *x)
{
    hr_tensor t;

    if (r->in->trace == NULL)
        return HR_OK;
    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(x->dim[0], r->width), &t));
    HR_TRY(hr_op_norm(r->stream, &(hr_norm_args){.x = *x,
                                                 .out = t,
                                                 .kind = HR_NORM_LAYER,
                                                 .eps = r->block->config->eps}));
    return show(r, "norm1", &t);
}

/* One of queries and keys of some rows. */
typedef struct rotated {
    const hr_linear *linear;
    const hr_tensor *norm;
    hr_tensor out;     /* matrix type [n, own heads, head_dim] */
    hr_tensor t;       /* F32 [n, own width] */
    hr_tensor squares; /* F32 [n] */
} rotated;

static hr_status project(const block_run *r, const hr_tensor *u, rotated *p)
{
    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(u->dim[0], r->own_width), &p->t));
    HR_TRY(hr_linear_run(p->linear, r->stream, u, &p->t, HR_ACT_NONE));
    return own_squares(r, &p->t, &p->squares);
}

/* Norm over the whole width and rotation, then the type of matrices. */
static hr_status rotate(const block_run *r, const rotated *p, int64_t first)
{
    const hr_rope *rope = r->in->rope;
    int64_t n = p->t.dim[0];

    HR_TRY(rms_norm(r, &p->t, p->norm, &p->squares, &p->t));
    return hr_op_rope(r->stream,
                      &(hr_rope_args){.x = by_heads(r->block, &p->t),
                                      .cos = hr_tensor_slice(&rope->cos, first, n),
                                      .sin = hr_tensor_slice(&rope->sin, first, n),
                                      .out = p->out});
}

/* Queries and keys of rows [first, first + n); their sums of squares go to the other
 * ranks together. */
static hr_status project_rotated(const block_run *r, const hr_tensor *u, int64_t first)
{
    const hr_attention_weights *w = &r->block->self;
    int64_t n = u->dim[0];
    rotated both[2] = {{&w->q, &w->norm_q, .out = hr_tensor_slice(&r->q, first, n)},
                       {&w->k, &w->norm_k, .out = hr_tensor_slice(&r->k, first, n)}};
    hr_tensor squares;

    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(2, n), &squares));
    for (int i = 0; i < 2; i++) {
        both[i].squares = hr_tensor_at(&squares, i);
        HR_TRY(project(r, u, &both[i]));
    }
    HR_TRY(sum_over_ranks(r, &squares));
    for (int i = 0; i < 2; i++)
        HR_TRY(rotate(r, &both[i], first));
    return HR_OK;
}

/* Queries, keys and values of rows [first, first + n). */
static hr_status project_self(const block_run *r, int64_t first, int64_t n)
{
    hr_tensor x = hr_tensor_slice(&r->in->x, first, n), u, out;

    HR_TRY(hr_arena_tensor(r->arena, r->block->matrix, HR_DIMS(n, r->width), &u));
    HR_TRY(show_norm1(r, &x));
    HR_TRY(modulated_norm(r, &x, SCALE_1, SHIFT_1, &u));
    HR_TRY(show(r, "attn1_in", &u));
    HR_TRY(project_rotated(r, &u, first));
    out = hr_tensor_slice(&r->v, first, n);
    out = by_rows(&out);
    return hr_linear_run(&r->block->self.v, r->stream, &u, &out, HR_ACT_NONE);
}

static float attention_scale(const hr_transformer_config *config)
{
    return (float)(1.0 / sqrt((double)config->head_dim));
}

/* x += gate * (the sum over all shards of `own` times `linear`), for the rows of x. */
static hr_status add_product(const block_run *r, const hr_linear *linear,
                             const hr_tensor *own, const hr_tensor *gate,
                             const char *name, const hr_tensor *x)
{
    hr_tensor y;

    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(x->dim[0], r->width), &y));
    HR_TRY(hr_linear_run(linear, r->stream, own, &y, HR_ACT_NONE));
    HR_TRY(sum_over_ranks(r, &y));
    HR_TRY(show(r, name, &y));
    return hr_op_gated_add(r->stream,
                           &(hr_gated_add_args){.x = *x, .y = y, .gate = *gate});
}

static hr_status attend_self(const block_run *r, int64_t first, int64_t n)
{
    const hr_transformer_config *config = r->block->config;
    hr_tensor x = hr_tensor_slice(&r->in->x, first, n);
    hr_tensor gate = hr_tensor_at(&r->modulation, GATE_1), attended, rows;

    HR_TRY(hr_arena_tensor(r->arena, r->block->matrix,
                           HR_DIMS(n, hr_block_n_heads(r->block), config->head_dim),
                           &attended));
    HR_TRY(hr_op_attention(r->stream,
                           &(hr_attention_args){.q = hr_tensor_slice(&r->q, first, n),
                                                .k = r->k,
                                                .v = r->v,
                                                .out = attended,
                                                .scale = attention_scale(config)}));
    rows = by_rows(&attended);
    return add_product(r, &r->block->self.out, &rows, &gate, "attn1", &x);
}

/* The input of cross-attention: normalised where the model has that norm. */
static hr_status norm2(const block_run *r, const hr_tensor *x, const hr_tensor *out)
{
    if (!r->block->config->cross_attn_norm)
        return hr_op_activate(r->stream, &(hr_activate_args){.x = *x, .out = *out});
    return hr_op_norm(r->stream, &(hr_norm_args){.x = *x,
                                                 .weight = r->block->norm2_weight,
                                                 .bias = r->block->norm2_bias,
                                                 .out = *out,
                                                 .kind = HR_NORM_LAYER,
                                                 .eps = r->block->config->eps});
}

/* Normalised queries of rows x for the text into q, matrix type [n, own width]. */
static hr_status project_cross(const block_run *r, const hr_tensor *x, const hr_tensor *q)
{
    const hr_attention_weights *w = &r->block->cross;
    hr_arena_mark mark = hr_arena_get_mark(r->arena);
    int64_t n = x->dim[0];
    hr_tensor u, t, squares;

    HR_TRY(hr_arena_tensor(r->arena, r->block->matrix, HR_DIMS(n, r->width), &u));
    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(n, r->own_width), &t));
    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(n), &squares));
    HR_TRY(norm2(r, x, &u));
    HR_TRY(hr_linear_run(&w->q, r->stream, &u, &t, HR_ACT_NONE));
    HR_TRY(own_squares(r, &t, &squares));
    HR_TRY(sum_over_ranks(r, &squares));
    HR_TRY(rms_norm(r, &t, &w->norm_q, &squares, q));
    hr_arena_rewind(r->arena, mark);
    return HR_OK;
}

static hr_status attend_text(const block_run *r, int64_t first, int64_t n)
{
    const hr_attention_weights *w = &r->block->cross;
    hr_tensor x = hr_tensor_slice(&r->in->x, first, n), no_gate = {0}, q, attended;

    HR_TRY(hr_arena_tensor(r->arena, r->block->matrix, HR_DIMS(n, r->own_width), &q));
    HR_TRY(
        hr_arena_tensor(r->arena, r->block->matrix, HR_DIMS(n, r->own_width), &attended));
    HR_TRY(project_cross(r, &x, &q));
    HR_TRY(hr_op_attention(
        r->stream, &(hr_attention_args){.q = by_heads(r->block, &q),
                                        .k = r->in->text_k,
                                        .v = r->in->text_v,
                                        .key_bias = r->in->key_bias,
                                        .out = by_heads(r->block, &attended),
                                        .scale = attention_scale(r->block->config)}));
    return add_product(r, &w->out, &attended, &no_gate, "attn2", &x);
}

static hr_status feed_forward(const block_run *r, int64_t first, int64_t n)
{
    const hr_shard_range *shards = r->block->shards;
    int64_t own_ffn = r->block->config->ffn_dim / shards->total * shards->n;
    hr_tensor x = hr_tensor_slice(&r->in->x, first, n), u, hidden;
    hr_tensor gate = hr_tensor_at(&r->modulation, GATE_2);

    HR_TRY(hr_arena_tensor(r->arena, r->block->matrix, HR_DIMS(n, r->width), &u));
    HR_TRY(hr_arena_tensor(r->arena, r->block->matrix, HR_DIMS(n, own_ffn), &hidden));
    HR_TRY(modulated_norm(r, &x, SCALE_2, SHIFT_2, &u));
    HR_TRY(hr_linear_run(&r->block->ffn_up, r->stream, &u, &hidden, HR_ACT_GELU_TANH));
    return add_product(r, &r->block->ffn_down, &hidden, &gate, "ffn", &x);
}

/* Calls `part` for all rows, HR_BLOCK_ROWS at a time. */
static hr_status for_rows(const block_run *r,
                          hr_status (*part)(const block_run *, int64_t, int64_t))
{
    hr_arena_mark mark = hr_arena_get_mark(r->arena);
    int64_t n_rows = r->in->x.dim[0];

    for (int64_t first = 0; first < n_rows; first += HR_BLOCK_ROWS) {
        int64_t left = n_rows - first;

        HR_TRY(part(r, first, left < HR_BLOCK_ROWS ? left : HR_BLOCK_ROWS));
        hr_arena_rewind(r->arena, mark);
    }
    return HR_OK;
}

static hr_status make_modulation(block_run *r)
{
    hr_tensor table = hr_tensor_reshape(&r->block->table, HR_DIMS(6, r->width));

    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(6, r->width), &r->modulation));
    return hr_op_lincomb(r->stream, &(hr_lincomb_args){.x = {table, r->in->time},
                                                       .out = r->modulation,
                                                       .c = {1.0F, 1.0F},
                                                       .n = 2});
}

static hr_status make_qkv(block_run *r)
{
    const hr_transformer_config *c = r->block->config;
    int64_t n_rows = r->in->x.dim[0];
    hr_tensor *const all[] = {&r->q, &r->k, &r->v};

    for (size_t i = 0; i < 3; i++)
        HR_TRY(hr_arena_tensor(r->arena, r->block->matrix,
                               HR_DIMS(n_rows, hr_block_n_heads(r->block), c->head_dim),
                               all[i]));
    return HR_OK;
}

hr_status hr_block_run(const hr_block *block, hr_stream *stream, hr_arena *arena,
                       const hr_block_input *input)
{
    block_run r = {.block = block,
                   .stream = stream,
                   .arena = arena,
                   .in = input,
                   .width = hr_transformer_width(block->config),
                   .own_width = hr_block_n_heads(block) * block->config->head_dim};
    hr_arena_mark start = hr_arena_get_mark(arena), before_qkv;

    HR_TRY(make_modulation(&r));
    before_qkv = hr_arena_get_mark(arena);
    HR_TRY(make_qkv(&r));
    HR_TRY(for_rows(&r, project_self));
    HR_TRY(for_rows(&r, attend_self));
    HR_TRY(show(&r, "after_attn1", &input->x));
    hr_arena_rewind(arena, before_qkv);
    HR_TRY(for_rows(&r, attend_text));
    HR_TRY(show(&r, "after_attn2", &input->x));
    HR_TRY(for_rows(&r, feed_forward));
    HR_TRY(show(&r, "out", &input->x));
    hr_arena_rewind(arena, start);
    return HR_OK;
}

hr_status hr_block_text_keys(const hr_block *block, hr_stream *stream, hr_arena *arena,
                             const hr_tensor *text, const hr_tensor *k,
                             const hr_tensor *v)
{
    const hr_attention_weights *w = &block->cross;
    const block_run r = {.block = block,
                         .stream = stream,
                         .arena = arena,
                         .width = hr_transformer_width(block->config)};
    hr_arena_mark mark = hr_arena_get_mark(arena);
    hr_tensor k_rows = by_rows(k), v_rows = by_rows(v), t, squares;

    HR_TRY(hr_arena_tensor(arena, HR_F32, 2, k_rows.dim, &t));
    HR_TRY(hr_arena_tensor(arena, HR_F32, HR_DIMS(k_rows.dim[0]), &squares));
    HR_TRY(hr_linear_run(&w->k, stream, text, &t, HR_ACT_NONE));
    HR_TRY(own_squares(&r, &t, &squares));
    HR_TRY(sum_over_ranks(&r, &squares));
    HR_TRY(rms_norm(&r, &t, &w->norm_k, &squares, &k_rows));
    HR_TRY(hr_linear_run(&w->v, stream, text, &v_rows, HR_ACT_NONE));
    hr_arena_rewind(arena, mark);
    return HR_OK;
}
