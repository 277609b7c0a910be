#include "model/text_encoder.h"

#include "base/memory.h"
#include "model/relative_position.h"

#include <stdio.h>
#include <string.h>

typedef struct encoder_layer {
    hr_packed *q, *k, *v, *o, *gate, *up, *down; /* gate is wi_0, the activated one */
    hr_tensor attention_norm, feed_norm;         /* F32 [d_model] */
    float *relative;                             /* host [n_buckets, n_heads] */
} encoder_layer;

struct hr_text_encoder {
    hr_text_config config;
    hr_dtype matrix;
    hr_tensor embeddings; /* [vocab_size, d_model] */
    hr_tensor final_norm; /* F32 [d_model] */
    encoder_layer *layers;
};

enum { NAME_BYTES = 128 };

/* The matrices of a layer: where they go, what they are called, and whether input and
 * output are the model's width, the attention's or the feed-forward's. */
typedef enum side { D_MODEL = 0, INNER, D_FF } side;
static const struct {
    size_t offset;
    const char *name;
    side out, in;
} matrices[] = {
    {offsetof(encoder_layer, q), "0.SelfAttention.q", INNER, D_MODEL},
    {offsetof(encoder_layer, k), "0.SelfAttention.k", INNER, D_MODEL},
    {offsetof(encoder_layer, v), "0.SelfAttention.v", INNER, D_MODEL},
    {offsetof(encoder_layer, o), "0.SelfAttention.o", D_MODEL, INNER},
    {offsetof(encoder_layer, gate), "1.DenseReluDense.wi_0", D_FF, D_MODEL},
    {offsetof(encoder_layer, up), "1.DenseReluDense.wi_1", D_FF, D_MODEL},
    {offsetof(encoder_layer, down), "1.DenseReluDense.wo", D_MODEL, D_FF},
};
enum { N_MATRICES = sizeof matrices / sizeof matrices[0] };

static int64_t size_of(const hr_text_config *c, side s)
{
    const int64_t sizes[] = {c->d_model, c->n_heads * c->d_kv, c->d_ff};

    return sizes[s];
}

static const char *layer_name(char out[NAME_BYTES], int64_t layer, const char *rest)
{
    snprintf(out, NAME_BYTES, "encoder.block.%lld.layer.%s.weight", (long long)layer,
             rest);
    return out;
}

static hr_status expect_layer(const hr_text_config *c, hr_weights *weights, int64_t layer)
{
    char name[NAME_BYTES];

    for (int i = 0; i < N_MATRICES; i++)
        HR_TRY(hr_weights_expect(
            weights, layer_name(name, layer, matrices[i].name),
            HR_DIMS(size_of(c, matrices[i].out), size_of(c, matrices[i].in))));
    HR_TRY(hr_weights_expect(
        weights, layer_name(name, layer, "0.SelfAttention.relative_attention_bias"),
        HR_DIMS(c->n_buckets, c->n_heads)));
    HR_TRY(hr_weights_expect(weights, layer_name(name, layer, "0.layer_norm"),
                             HR_DIMS(c->d_model)));
    return hr_weights_expect(weights, layer_name(name, layer, "1.layer_norm"),
                             HR_DIMS(c->d_model));
}

/* Some folders hold the embeddings under the encoder's own name for them. */
static const char *embeddings_name(const hr_weights *weights)
{
    const char *usual = "shared.weight", *alias = "encoder.embed_tokens.weight";

    return !hr_weights_has(weights, usual) && hr_weights_has(weights, alias) ? alias
                                                                             : usual;
}

hr_status hr_text_encoder_expect(const hr_text_config *config, hr_weights *weights)
{
    HR_TRY(hr_weights_expect(weights, embeddings_name(weights),
                             HR_DIMS(config->vocab_size, config->d_model)));
    for (int64_t i = 0; i < config->n_layers; i++)
        HR_TRY(expect_layer(config, weights, i));
    return hr_weights_expect(weights, "encoder.final_layer_norm.weight",
                             HR_DIMS(config->d_model));
}

static hr_packed **matrix_of(encoder_layer *layer, int i)
{
    return (hr_packed **)(void *)((char *)layer + matrices[i].offset);
}

static hr_status load_layer(hr_text_encoder *encoder, const hr_weights *weights,
                            hr_stream *stream, int64_t i)
{
    const hr_text_config *c = &encoder->config;
    encoder_layer *layer = &encoder->layers[i];
    char name[NAME_BYTES];
    void *table;
    size_t bytes;

    for (int m = 0; m < N_MATRICES; m++)
        HR_TRY(hr_weights_load_linear(weights, stream,
                                      layer_name(name, i, matrices[m].name),
                                      encoder->matrix, matrix_of(layer, m)));
    HR_TRY(hr_weights_load(weights, stream, layer_name(name, i, "0.layer_norm"), HR_F32,
                           &layer->attention_norm));
    HR_TRY(hr_weights_load(weights, stream, layer_name(name, i, "1.layer_norm"), HR_F32,
                           &layer->feed_norm));
    HR_TRY(hr_size_mul((size_t)(c->n_buckets * c->n_heads), sizeof(float), &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "a table of relative positions", &table));
    layer->relative = table;
    return hr_weights_read_f32(
        weights, layer_name(name, i, "0.SelfAttention.relative_attention_bias"),
        layer->relative);
}

static hr_status load_all(hr_text_encoder *encoder, const hr_weights *weights,
                          hr_stream *stream)
{
    size_t bytes;
    void *layers;

    HR_TRY(hr_size_mul((size_t)encoder->config.n_layers, sizeof(encoder_layer), &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "the layers of the text encoder", &layers));
    encoder->layers = layers;
    HR_TRY(hr_weights_load(weights, stream, embeddings_name(weights), encoder->matrix,
                           &encoder->embeddings));
    HR_TRY(hr_weights_load(weights, stream, "encoder.final_layer_norm.weight", HR_F32,
                           &encoder->final_norm));
    for (int64_t i = 0; i < encoder->config.n_layers; i++)
        HR_TRY(load_layer(encoder, weights, stream, i));
    return HR_OK;
}

hr_status hr_text_encoder_open(const hr_text_config *config, const hr_weights *weights,
                               hr_stream *stream, hr_numerics numerics,
                               hr_text_encoder **out)
{
    void *memory;
    hr_text_encoder *encoder;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *encoder, "the text encoder", &memory));
    encoder = memory;
    encoder->config = *config;
    encoder->matrix = hr_numerics_matrix_dtype(numerics);
    status = load_all(encoder, weights, stream);
    if (status != HR_OK) {
        hr_text_encoder_close(encoder);
        return status;
    }
    *out = encoder;
    return HR_OK;
}

void hr_text_encoder_close(hr_text_encoder *encoder)
{
    if (encoder == NULL)
        return;
    for (int64_t i = 0; encoder->layers != NULL && i < encoder->config.n_layers; i++) {
        encoder_layer *layer = &encoder->layers[i];

        for (int m = 0; m < N_MATRICES; m++)
            hr_packed_destroy(*matrix_of(layer, m));
        hr_tensor_free(&layer->attention_norm);
        hr_tensor_free(&layer->feed_norm);
        hr_free(layer->relative);
    }
    hr_free(encoder->layers);
    hr_tensor_free(&encoder->embeddings);
    hr_tensor_free(&encoder->final_norm);
    hr_free(encoder);
}

/* The biases of all layers for n tokens: host [layers, heads, 2n - 1]. */
static hr_status make_biases(const hr_text_encoder *encoder, int64_t n, float **out)
{
    const hr_text_config *c = &encoder->config;
    int64_t width = 2 * n - 1;
    size_t bytes;
    void *memory;
    float *bias;

    HR_TRY(hr_size_mul((size_t)(c->n_layers * c->n_heads), sizeof(float), &bytes));
    HR_TRY(hr_size_mul(bytes, (size_t)width, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "relative positions", &memory));
    bias = memory;
    for (int64_t r = 0; r < width; r++) {
        int64_t bucket = hr_relative_bucket(r - (n - 1), c->n_buckets, c->max_distance);

        for (int64_t l = 0; l < c->n_layers; l++)
            for (int64_t h = 0; h < c->n_heads; h++)
                bias[(l * c->n_heads + h) * width + r] =
                    encoder->layers[l].relative[bucket * c->n_heads + h];
    }
    *out = bias;
    return HR_OK;
}

/* One run over n tokens. */
typedef struct run {
    const hr_text_encoder *encoder;
    hr_stream *stream;
    hr_arena *arena;
    int64_t n;
    hr_tensor x;      /* F32 [n, d_model], the residual stream */
    hr_tensor normed; /* [n, d_model] in the matrix type */
} run;

static hr_status norm(const run *r, const hr_tensor *weight, const hr_tensor *out)
{
    return hr_op_norm(r->stream, &(hr_norm_args){.x = r->x,
                                                 .weight = *weight,
                                                 .out = *out,
                                                 .kind = HR_NORM_RMS,
                                                 .eps = r->encoder->config.eps});
}

static hr_status multiply(const run *r, const hr_packed *weight, const hr_tensor *x,
                          const hr_tensor *out)
{
    return hr_op_linear(r->stream,
                        &(hr_linear_args){.x = *x, .out = *out, .weight = weight});
}

static hr_status attend(const run *r, const encoder_layer *layer, const float *bias,
                        const hr_tensor *out)
{
    const hr_text_config *c = &r->encoder->config;
    int64_t inner = c->n_heads * c->d_kv;
    const int64_t by_head[3] = {r->n, c->n_heads, c->d_kv};
    const hr_packed *weights[3] = {layer->q, layer->k, layer->v};
    hr_tensor qkv[3], relative, heads;

    for (int i = 0; i < 3; i++) {
        HR_TRY(
            hr_arena_tensor(r->arena, r->encoder->matrix, HR_DIMS(r->n, inner), &qkv[i]));
        HR_TRY(multiply(r, weights[i], &r->normed, &qkv[i]));
        qkv[i] = hr_tensor_reshape(&qkv[i], 3, by_head);
    }
    HR_TRY(
        hr_arena_tensor(r->arena, HR_F32, HR_DIMS(c->n_heads, 2 * r->n - 1), &relative));
    HR_TRY(hr_copy_to_device(r->stream, &relative, bias));
    HR_TRY(hr_arena_tensor(r->arena, r->encoder->matrix, 3, by_head, &heads));
    HR_TRY(hr_op_attention(r->stream, &(hr_attention_args){.q = qkv[0],
                                                           .k = qkv[1],
                                                           .v = qkv[2],
                                                           .relative_bias = relative,
                                                           .out = heads,
                                                           .scale = 1}));
    heads = hr_tensor_reshape(&heads, HR_DIMS(r->n, inner));
    return multiply(r, layer->o, &heads, out);
}

static hr_status feed_forward(const run *r, const encoder_layer *layer,
                              const hr_tensor *out)
{
    int64_t width = r->encoder->config.d_ff;
    hr_tensor gate, up;

    HR_TRY(hr_arena_tensor(r->arena, r->encoder->matrix, HR_DIMS(r->n, width), &gate));
    HR_TRY(hr_arena_tensor(r->arena, r->encoder->matrix, HR_DIMS(r->n, width), &up));
    HR_TRY(multiply(r, layer->gate, &r->normed, &gate));
    HR_TRY(multiply(r, layer->up, &r->normed, &up));
    HR_TRY(hr_op_geglu(r->stream, &(hr_geglu_args){.a = gate, .b = up, .out = gate}));
    return multiply(r, layer->down, &gate, out);
}

static hr_status run_layer(const run *r, const encoder_layer *layer, const float *bias,
                           const hr_trace *trace)
{
    bool first = layer == r->encoder->layers;
    hr_tensor y;

    HR_TRY(
        hr_arena_tensor(r->arena, HR_F32, HR_DIMS(r->n, r->encoder->config.d_model), &y));
    HR_TRY(norm(r, &layer->attention_norm, &r->normed));
    HR_TRY(attend(r, layer, bias, &y));
    HR_TRY(hr_op_gated_add(r->stream, &(hr_gated_add_args){.x = r->x, .y = y}));
    if (first)
        HR_TRY(hr_trace_tensor(trace, r->stream, "block0_attn", &r->x));
    HR_TRY(norm(r, &layer->feed_norm, &r->normed));
    HR_TRY(feed_forward(r, layer, &y));
    HR_TRY(hr_op_gated_add(r->stream, &(hr_gated_add_args){.x = r->x, .y = y}));
    return first ? hr_trace_tensor(trace, r->stream, "block0", &r->x) : HR_OK;
}

static hr_status embed(run *r, const int32_t *ids)
{
    int64_t width = r->encoder->config.d_model;
    hr_tensor on_device;

    HR_TRY(hr_arena_tensor(r->arena, HR_I32, HR_DIMS(r->n), &on_device));
    HR_TRY(hr_copy_to_device(r->stream, &on_device, ids));
    HR_TRY(hr_arena_tensor(r->arena, HR_F32, HR_DIMS(r->n, width), &r->x));
    HR_TRY(
        hr_arena_tensor(r->arena, r->encoder->matrix, HR_DIMS(r->n, width), &r->normed));
    return hr_op_gather_rows(
        r->stream, &(hr_gather_rows_args){
                       .table = r->encoder->embeddings, .ids = on_device, .out = r->x});
}

static hr_status run_layers(const run *r, const float *biases, const hr_tensor *out,
                            const hr_trace *trace)
{
    const hr_text_config *c = &r->encoder->config;

    for (int64_t i = 0; i < c->n_layers; i++) {
        hr_arena_mark mark = hr_arena_get_mark(r->arena);
        const float *bias = biases + i * c->n_heads * (2 * r->n - 1);
        hr_status status = run_layer(r, &r->encoder->layers[i], bias, trace);

        hr_arena_rewind(r->arena, mark);
        HR_TRY(status);
    }
    return norm(r, &r->encoder->final_norm, out);
}

hr_status hr_text_encoder_run(const hr_text_encoder *encoder, hr_stream *stream,
                              hr_arena *arena, const int32_t *ids, const hr_tensor *out,
                              const hr_trace *trace)
{
    run r = {.encoder = encoder, .stream = stream, .arena = arena, .n = out->dim[0]};
    hr_arena_mark mark = hr_arena_get_mark(arena);
    float *biases = NULL;
    hr_status status, after;

    HR_TRY_GOTO(make_biases(encoder, r.n, &biases), done);
    HR_TRY_GOTO(embed(&r, ids), done);
    status = run_layers(&r, biases, out, trace);
done:
    after = hr_stream_sync(stream); /* the biases are read until then */
    hr_arena_rewind(arena, mark);
    hr_free(biases);
    return status != HR_OK ? status : after;
}
