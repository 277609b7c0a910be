#include "model/block.h"

#include <stdio.h>

/* The matrices of an attention, each [width, width] with bias. */
static const struct {
    const char *name;
    size_t offset;
} attention_linears[] = {
    {"to_q", offsetof(hr_attention_weights, q)},
    {"to_k", offsetof(hr_attention_weights, k)},
    {"to_v", offsetof(hr_attention_weights, v)},
    {"to_out.0", offsetof(hr_attention_weights, out)},
};
enum { N_LINEARS = sizeof attention_linears / sizeof attention_linears[0] };

static hr_linear *linear_at(hr_attention_weights *a, size_t i)
{
    return (hr_linear *)(void *)((char *)a + attention_linears[i].offset);
}

/* "blocks.INDEX.PART" into out (HR_TENSOR_NAME_MAX bytes); returns out. */
static const char *block_name(int64_t index, const char *part, char *out)
{
    snprintf(out, HR_TENSOR_NAME_MAX, "blocks.%lld.%s", (long long)index, part);
    return out;
}

/* The same for "blocks.INDEX.ATTENTION.PART". */
static const char *attention_name(int64_t index, const char *attention, const char *part,
                                  char *out)
{
    snprintf(out, HR_TENSOR_NAME_MAX, "blocks.%lld.%s.%s", (long long)index, attention,
             part);
    return out;
}

static hr_status expect_attention(hr_weights *weights, int64_t index,
                                  const char *attention, int64_t width)
{
    char name[HR_TENSOR_NAME_MAX];

    for (size_t i = 0; i < N_LINEARS; i++) {
        attention_name(index, attention, attention_linears[i].name, name);
        HR_TRY(hr_linear_expect(weights, name, width, width));
    }
    attention_name(index, attention, "norm_q.weight", name);
    HR_TRY(hr_weights_expect(weights, name, HR_DIMS(width)));
    attention_name(index, attention, "norm_k.weight", name);
    return hr_weights_expect(weights, name, HR_DIMS(width));
}

hr_status hr_block_expect(const hr_transformer_config *config, int64_t index,
                          hr_weights *weights)
{
    int64_t width = hr_transformer_width(config);
    char name[HR_TENSOR_NAME_MAX];

    HR_TRY(hr_weights_expect(weights, block_name(index, "scale_shift_table", name),
                             HR_DIMS(1, 6, width)));
    HR_TRY(expect_attention(weights, index, "attn1", width));
    HR_TRY(expect_attention(weights, index, "attn2", width));
    if (config->cross_attn_norm) {
        HR_TRY(hr_weights_expect(weights, block_name(index, "norm2.weight", name),
                                 HR_DIMS(width)));
        HR_TRY(hr_weights_expect(weights, block_name(index, "norm2.bias", name),
                                 HR_DIMS(width)));
    }
    HR_TRY(hr_linear_expect(weights, block_name(index, "ffn.net.0.proj", name),
                            config->ffn_dim, width));
    return hr_linear_expect(weights, block_name(index, "ffn.net.2", name), width,
                            config->ffn_dim);
}

/* What loading one block needs everywhere. */
typedef struct block_loader {
    const hr_loader *loader;
    int64_t index;
    hr_dtype matrix;
    hr_weights_shards by_out, by_in; /* this rank's */
} block_loader;

/* The slice of a norm's weight belongs to the channels of `to_q`. */
static hr_status load_norm(const block_loader *l, const char *name, hr_tensor *out)
{
    hr_weights_slice slice;

    HR_TRY(hr_weights_slice_of(l->loader->weights, name, &l->by_out, &slice));
    return hr_vector_load(out, l->loader, name, &slice);
}

static hr_status load_attention(const block_loader *l, const char *attention,
                                hr_attention_weights *out)
{
    char name[HR_TENSOR_NAME_MAX];

    for (size_t i = 0; i < N_LINEARS; i++) {
        hr_linear *linear = linear_at(out, i);

        attention_name(l->index, attention, attention_linears[i].name, name);
        HR_TRY(hr_linear_load_shards(linear, l->loader, name, l->matrix,
                                     linear == &out->out ? &l->by_in : &l->by_out));
    }
    HR_TRY(load_norm(l, attention_name(l->index, attention, "norm_q.weight", name),
                     &out->norm_q));
    return load_norm(l, attention_name(l->index, attention, "norm_k.weight", name),
                     &out->norm_k);
}

static hr_status load_vector(const block_loader *l, const char *part, hr_tensor *out)
{
    char name[HR_TENSOR_NAME_MAX];

    return hr_vector_load(out, l->loader, block_name(l->index, part, name), NULL);
}

static hr_status load_linear(const block_loader *l, const char *part,
                             const hr_weights_shards *shards, hr_linear *out)
{
    char name[HR_TENSOR_NAME_MAX];

    return hr_linear_load_shards(out, l->loader, block_name(l->index, part, name),
                                 l->matrix, shards);
}

hr_status hr_block_load(hr_block *block, int64_t index, const hr_loader *loader)
{
    const hr_shard_range *own = block->shards;
    const block_loader l = {
        .loader = loader,
        .index = index,
        .matrix = block->matrix,
        .by_out = {HR_SHARDS_BY_OUT, own->first, own->n, own->total},
        .by_in = {HR_SHARDS_BY_IN, own->first, own->n, own->total},
    };

    HR_TRY(load_vector(&l, "scale_shift_table", &block->table));
    HR_TRY(load_attention(&l, "attn1", &block->self));
    HR_TRY(load_attention(&l, "attn2", &block->cross));
    if (block->config->cross_attn_norm) {
        HR_TRY(load_vector(&l, "norm2.weight", &block->norm2_weight));
        HR_TRY(load_vector(&l, "norm2.bias", &block->norm2_bias));
    }
    HR_TRY(load_linear(&l, "ffn.net.0.proj", &l.by_out, &block->ffn_up));
    return load_linear(&l, "ffn.net.2", &l.by_in, &block->ffn_down);
}

static void free_attention(hr_attention_weights *a)
{
    for (size_t i = 0; i < N_LINEARS; i++)
        hr_linear_free(linear_at(a, i));
    hr_tensor_free(&a->norm_q);
    hr_tensor_free(&a->norm_k);
}

void hr_block_free(hr_block *block)
{
    free_attention(&block->self);
    free_attention(&block->cross);
    hr_tensor_free(&block->norm2_weight);
    hr_tensor_free(&block->norm2_bias);
    hr_linear_free(&block->ffn_up);
    hr_linear_free(&block->ffn_down);
    hr_tensor_free(&block->table);
}
