#include "model/transformer.h"

#include "base/log.h"
#include "base/memory.h"
#include "model/transformer_parts.h"

hr_status hr_transformer_expect(const hr_transformer_config *c, hr_weights *weights)
{
    int64_t width = hr_transformer_width(c);

    HR_TRY(hr_weights_expect(weights, "scale_shift_table", HR_DIMS(1, 2, width)));
    HR_TRY(hr_weights_expect(
        weights, "patch_embedding.weight",
        HR_DIMS(width, c->in_channels, c->patch[0], c->patch[1], c->patch[2])));
    HR_TRY(hr_weights_expect(weights, "patch_embedding.bias", HR_DIMS(width)));
    HR_TRY(hr_linear_expect(weights, "condition_embedder.time_embedder.linear_1", width,
                            c->freq_dim));
    HR_TRY(hr_linear_expect(weights, "condition_embedder.time_embedder.linear_2", width,
                            width));
    HR_TRY(hr_linear_expect(weights, "condition_embedder.time_proj", 6 * width, width));
    HR_TRY(hr_linear_expect(weights, "condition_embedder.text_embedder.linear_1", width,
                            c->text_dim));
    HR_TRY(hr_linear_expect(weights, "condition_embedder.text_embedder.linear_2", width,
                            width));
    HR_TRY(hr_linear_expect(weights, "proj_out", hr_patch_volume(c) * c->out_channels,
                            width));
    for (int64_t i = 0; i < c->n_layers; i++)
        HR_TRY(hr_block_expect(c, i, weights));
    return HR_OK;
}

int hr_transformer_n_shards(const hr_transformer_config *c)
{
    int n = HR_TRANSFORMER_MAX_SHARDS;

    while (c->n_heads % n != 0 || c->ffn_dim % n != 0)
        n /= 2;
    return n;
}

/* Everything but the blocks; what only one end of the model needs is loaded there. */
static hr_status load_outer(hr_transformer *t, const hr_loader *loader)
{
    const struct {
        hr_linear *linear;
        const char *prefix;
        hr_dtype dtype;
        bool needed;
    } all[] = {
        {&t->patch_embedding, "patch_embedding", t->matrix, t->part.has_entry},
        {&t->time_1, "condition_embedder.time_embedder.linear_1", HR_F32, true},
        {&t->time_2, "condition_embedder.time_embedder.linear_2", HR_F32, true},
        {&t->time_proj, "condition_embedder.time_proj", t->matrix, true},
        {&t->text_1, "condition_embedder.text_embedder.linear_1", t->matrix, true},
        {&t->text_2, "condition_embedder.text_embedder.linear_2", t->matrix, true},
        {&t->proj_out, "proj_out", t->matrix, t->part.has_head},
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i].needed)
            HR_TRY(hr_linear_load(all[i].linear, loader, all[i].prefix, all[i].dtype));
    return t->part.has_head ? hr_vector_load(&t->table, loader, "scale_shift_table", NULL)
                            : HR_OK;
}

static hr_status load_blocks(hr_transformer *t, const hr_loader *loader)
{
    void *memory;

    HR_TRY(hr_alloc_or_fail((size_t)t->part.n_layers * sizeof *t->blocks,
                            "the table of blocks", &memory));
    t->blocks = memory;
    for (int64_t i = 0; i < t->part.n_layers; i++) {
        t->blocks[i].config = &t->config;
        t->blocks[i].shards = &t->shards;
        t->blocks[i].matrix = t->matrix;
        HR_TRY(hr_block_load(&t->blocks[i], t->part.first_layer + i, loader));
    }
    return HR_OK;
}

static hr_status check_part(const hr_transformer_config *c, const hr_transformer_part *p)
{
    int n_shards = hr_transformer_n_shards(c);

    if (p->first_layer < 0 || p->n_layers < 1 ||
        p->first_layer > c->n_layers - p->n_layers)
        return hr_fail(HR_ERR_INTERNAL,
                       "transformer: %lld layers from %lld on are not in 0..%lld",
                       (long long)p->n_layers, (long long)p->first_layer,
                       (long long)c->n_layers - 1);
    if (p->tensor_size < 1 || n_shards % p->tensor_size != 0 || p->tensor_rank < 0 ||
        p->tensor_rank >= p->tensor_size)
        return hr_fail(HR_ERR_INTERNAL,
                       "transformer: rank %d of %d cannot share %d virtual shards",
                       p->tensor_rank, p->tensor_size, n_shards);
    if (p->tensor_size > 1 &&
        (p->tensor_group == NULL || hr_group_size(p->tensor_group) != p->tensor_size ||
         hr_group_rank(p->tensor_group) != p->tensor_rank))
        return hr_fail(HR_ERR_INTERNAL, "transformer: not the group of %d tensor ranks",
                       p->tensor_size);
    return HR_OK;
}

static hr_status load(const hr_transformer_config *config,
                      const hr_transformer_part *part, const hr_loader *loader,
                      hr_numerics numerics, hr_transformer **out)
{
    int n_shards = hr_transformer_n_shards(config);
    hr_transformer *t;
    void *memory;
    hr_status status;

    HR_TRY(check_part(config, part));
    HR_TRY(hr_alloc_or_fail(sizeof *t, "the transformer", &memory));
    t = memory;
    t->config = *config;
    t->part = *part;
    t->shards.total = n_shards;
    t->shards.n = n_shards / part->tensor_size;
    t->shards.first = part->tensor_rank * t->shards.n;
    t->shards.group = part->tensor_size > 1 ? part->tensor_group : NULL;
    t->matrix = hr_numerics_matrix_dtype(numerics);
    status = load_outer(t, loader);
    if (status == HR_OK)
        status = load_blocks(t, loader);
    if (status != HR_OK) {
        hr_transformer_close(t);
        return status;
    }
    *out = t;
    return HR_OK;
}

hr_status hr_transformer_open(const hr_transformer_config *config,
                              const hr_transformer_part *part, const hr_weights *weights,
                              hr_stream *stream, hr_numerics numerics,
                              hr_transformer **out)
{
    const hr_loader loader = {.weights = weights, .stream = stream};

    return load(config, part, &loader, numerics, out);
}

hr_status hr_transformer_check_values(const hr_transformer_config *config,
                                      const hr_transformer_part *part,
                                      const hr_weights *weights)
{
    const hr_loader loader = {.weights = weights};
    hr_transformer *empty;

    HR_TRY(load(config, part, &loader, HR_NUMERICS_F32, &empty));
    hr_transformer_close(empty);
    return HR_OK;
}

void hr_transformer_close(hr_transformer *t)
{
    if (t == NULL)
        return;
    for (int64_t i = 0; t->blocks != NULL && i < t->part.n_layers; i++)
        hr_block_free(&t->blocks[i]);
    hr_free(t->blocks);
    hr_linear_free(&t->patch_embedding);
    hr_linear_free(&t->time_1);
    hr_linear_free(&t->time_2);
    hr_linear_free(&t->time_proj);
    hr_linear_free(&t->text_1);
    hr_linear_free(&t->text_2);
    hr_linear_free(&t->proj_out);
    hr_tensor_free(&t->table);
    hr_free(t);
}
