#include "model/toy_transformer.h"

#include "base/memory.h"
#include "io/safetensors.h"
#include "support/device.h"
#include "support/test_util.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STEM "diffusion_pytorch_model"

enum { MAX_TENSORS = 256, NAME_BYTES = 128 };

typedef struct writer {
    hr_stored_tensor tensor[MAX_TENSORS];
    char name[MAX_TENSORS][NAME_BYTES];
    size_t n;
    const char *broken;
} writer;

hr_transformer_config hr_toy_config(const hr_toy_size *size)
{
    return (hr_transformer_config){.n_heads = size->n_heads,
                                   .head_dim = size->head_dim,
                                   .n_layers = size->n_layers,
                                   .ffn_dim = size->ffn_dim,
                                   .in_channels = 4,
                                   .out_channels = 4,
                                   .text_dim = 24,
                                   .freq_dim = 16,
                                   .patch = {1, 2, 2},
                                   .rope_max = 1024,
                                   .cross_attn_norm = true,
                                   .eps = 1e-6F};
}

/* Values of about `middle` +- `spread`. */
static void add(writer *w, const char *name, const int64_t dim[2], float middle,
                float spread)
{
    hr_stored_tensor *t = &w->tensor[w->n];
    float *values;

    assert_true(w->n < MAX_TENSORS);
    snprintf(w->name[w->n], NAME_BYTES, "%s", name);
    *t = (hr_stored_tensor){
        .name = w->name[w->n], .dtype = HR_F32, .n_dims = dim[1] == 0 ? 1 : 2};
    t->dtype_name = hr_dtype_name(HR_F32);
    memcpy(t->dim, dim, 2 * sizeof dim[0]);
    t->n_elements = (size_t)(dim[0] * (dim[1] == 0 ? 1 : dim[1]));
    t->n_bytes = t->n_elements * sizeof(float);
    values = hr_alloc(t->n_bytes);
    assert_non_null(values);
    hr_test_random((uint32_t)w->n + 1, values, t->n_elements);
    for (size_t i = 0; i < t->n_elements; i++)
        values[i] = middle + spread * values[i];
    if (w->broken != NULL && strcmp(name, w->broken) == 0)
        values[t->n_elements - 1] = NAN;
    t->data = values;
    w->n++;
}

static void add_linear(writer *w, const char *prefix, int64_t out, int64_t in)
{
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "%s.weight", prefix);
    add(w, name, (const int64_t[]){out, in}, 0, (float)(1 / sqrt((double)in)));
    snprintf(name, sizeof name, "%s.bias", prefix);
    add(w, name, (const int64_t[]){out, 0}, 0, 0.1F);
}

static void add_attention(writer *w, int64_t layer, const char *which, int64_t width)
{
    static const char *const linears[] = {"to_q", "to_k", "to_v", "to_out.0"};
    char name[NAME_BYTES];

    for (size_t i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "blocks.%d.%s.%s", (int)layer, which, linears[i]);
        add_linear(w, name, width, width);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "blocks.%d.%s.norm_%c.weight", (int)layer, which,
                 "qk"[i]);
        add(w, name, (const int64_t[]){width, 0}, 1, 0.2F);
    }
}

/* The table of `rows` rows under a leading 1, which tensors of two dimensions lack. */
static void add_table(writer *w, const char *name, int64_t rows, int64_t width)
{
    hr_stored_tensor *t = &w->tensor[w->n];

    add(w, name, (const int64_t[]){rows, width}, 0, 0.2F);
    t->n_dims = 3;
    t->dim[0] = 1;
    t->dim[1] = rows;
    t->dim[2] = width;
}

static void add_layer(writer *w, const hr_transformer_config *c, int64_t layer)
{
    int64_t width = hr_transformer_width(c);
    char name[NAME_BYTES];

    snprintf(name, sizeof name, "blocks.%d.scale_shift_table", (int)layer);
    add_table(w, name, 6, width);
    add_attention(w, layer, "attn1", width);
    add_attention(w, layer, "attn2", width);
    snprintf(name, sizeof name, "blocks.%d.norm2.weight", (int)layer);
    add(w, name, (const int64_t[]){width, 0}, 1, 0.2F);
    snprintf(name, sizeof name, "blocks.%d.norm2.bias", (int)layer);
    add(w, name, (const int64_t[]){width, 0}, 0, 0.2F);
    snprintf(name, sizeof name, "blocks.%d.ffn.net.0.proj", (int)layer);
    add_linear(w, name, c->ffn_dim, width);
    snprintf(name, sizeof name, "blocks.%d.ffn.net.2", (int)layer);
    add_linear(w, name, width, c->ffn_dim);
}

static void add_all(writer *w, const hr_transformer_config *c)
{
    static const char *const embedder = "condition_embedder.";
    int64_t width = hr_transformer_width(c), volume = 4 * c->in_channels;
    const struct {
        const char *name;
        int64_t out, in;
    } linears[] = {
        {"time_embedder.linear_1", width, c->freq_dim},
        {"time_embedder.linear_2", width, width},
        {"time_proj", 6 * width, width},
        {"text_embedder.linear_1", width, c->text_dim},
        {"text_embedder.linear_2", width, width},
    };
    char name[NAME_BYTES];
    hr_stored_tensor *patch = &w->tensor[w->n];

    add_linear(w, "patch_embedding", width, volume);
    patch->n_dims = 5;
    memcpy(patch->dim, (const int64_t[]){width, c->in_channels, 1, 2, 2},
           5 * sizeof patch->dim[0]);
    for (size_t i = 0; i < sizeof linears / sizeof linears[0]; i++) {
        snprintf(name, sizeof name, "%s%s", embedder, linears[i].name);
        add_linear(w, name, linears[i].out, linears[i].in);
    }
    add_linear(w, "proj_out", volume, width);
    add_table(w, "scale_shift_table", 2, width);
    for (int64_t i = 0; i < c->n_layers; i++)
        add_layer(w, c, i);
}

hr_weights *hr_toy_weights(const hr_transformer_config *config, const char *broken)
{
    const char *folder = hr_test_folder();
    writer *w = hr_alloc(sizeof *w);
    hr_weights *weights;

    assert_non_null(w);
    w->n = 0;
    w->broken = broken;
    add_all(w, config);
    hr_test_ok(
        hr_safetensors_write(hr_test_path(folder, STEM ".safetensors"), w->tensor, w->n));
    for (size_t i = 0; i < w->n; i++)
        hr_free((void *)(uintptr_t)w->tensor[i].data);
    hr_free(w);
    hr_test_ok(hr_weights_open(folder, STEM, &weights));
    hr_test_ok(hr_transformer_expect(config, weights));
    hr_test_ok(hr_weights_check(weights));
    return weights;
}

hr_transformer_part hr_toy_whole(const hr_transformer_config *c)
{
    return (hr_transformer_part){
        .n_layers = c->n_layers, .has_entry = true, .has_head = true, .tensor_size = 1};
}

int64_t hr_toy_sharded(const hr_transformer_config *config)
{
    int64_t d = hr_transformer_width(config), f = config->ffn_dim;

    /* q, k, v and the output of two attentions, their norms, the feed-forward */
    return 2 * (3 * (d * d + d) + d * d + 2 * d) + f * d + f + d * f;
}

int64_t hr_toy_unsharded(const hr_transformer_config *config)
{
    return 8 * hr_transformer_width(config); /* table, norm2 */
}
