#include "model/config_parts.h"

#include "base/log.h"

#include <string.h>

#define TRANSFORMER_KEY(name, field, min, max, fallback)                                 \
    {                                                                                    \
        name, offsetof(hr_transformer_config, field), min, max, fallback                 \
    }
/* RoPE splits a head into three axes of at least two channels: 6 is the least. */
static const hr_config_int transformer_keys[] = {
    TRANSFORMER_KEY("num_attention_heads", n_heads, 1, 1024, 40),
    TRANSFORMER_KEY("attention_head_dim", head_dim, 6, 1024, 128),
    TRANSFORMER_KEY("num_layers", n_layers, 1, 1024, 40),
    TRANSFORMER_KEY("ffn_dim", ffn_dim, 1, HR_CONFIG_MAX_WIDTH, 13824),
    TRANSFORMER_KEY("in_channels", in_channels, 1, HR_VAE_MAX_Z, 16),
    TRANSFORMER_KEY("out_channels", out_channels, 1, HR_VAE_MAX_Z, 16),
    TRANSFORMER_KEY("text_dim", text_dim, 1, HR_CONFIG_MAX_WIDTH, 4096),
    TRANSFORMER_KEY("freq_dim", freq_dim, 2, HR_FREQ_DIM_MAX, 256),
    TRANSFORMER_KEY("rope_max_seq_len", rope_max, 1, HR_CONFIG_MAX_WIDTH, 1024),
};
enum { N_TRANSFORMER_KEYS = sizeof transformer_keys / sizeof transformer_keys[0] };

static hr_status read_patch(const hr_config_file *f, int64_t patch[3])
{
    size_t n = 3;

    patch[0] = 1;
    patch[1] = patch[2] = 2;
    HR_TRY(hr_config_status(
        hr_json_read_i64_list(f->json, f->root, "patch_size", 3, patch, &n)));
    if (n != 3)
        return hr_config_refuse(f, "patch_size", (int64_t)n,
                                "3 numbers (time, height, width)");
    for (size_t i = 0; i < 3; i++)
        if (patch[i] < 1 || patch[i] > 64)
            return hr_config_refuse(f, "patch_size", patch[i], "numbers in 1..64");
    return HR_OK;
}

/* The branches of image-to-video models, which are not here. */
static hr_status refuse_image_branch(const hr_config_file *f,
                                     const hr_transformer_config *c)
{
    static const char *const keys[] = {"image_dim", "added_kv_proj_dim",
                                       "pos_embed_seq_len"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (hr_json_get(f->root, keys[i]) != NULL)
            return hr_fail(HR_ERR_MODEL,
                           "%s: %s: found a value, expected null (image-to-video models "
                           "are not supported)",
                           f->path, keys[i]);
    if (c->in_channels != c->out_channels)
        return hr_fail(HR_ERR_MODEL,
                       "%s: in_channels: found %lld, expected out_channels, %lld "
                       "(image-to-video models are not supported)",
                       f->path, (long long)c->in_channels, (long long)c->out_channels);
    return HR_OK;
}

static hr_status read_transformer(const hr_config_file *f, hr_transformer_config *c)
{
    static const hr_config_word words[] = {
        {"_class_name", "WanTransformer3DModel"},
        {"qk_norm", "rms_norm_across_heads"},
    };

    HR_TRY(hr_config_check_words(f, words, sizeof words / sizeof words[0]));
    HR_TRY(hr_config_read_ints(f, transformer_keys, N_TRANSFORMER_KEYS, c));
    HR_TRY(read_patch(f, c->patch));
    HR_TRY(hr_config_read_eps(f, "eps", &c->eps));
    c->cross_attn_norm = true;
    HR_TRY(hr_config_status(
        hr_json_read_bool(f->json, f->root, "cross_attn_norm", &c->cross_attn_norm)));
    if (c->head_dim % 2 != 0)
        return hr_config_refuse(f, "attention_head_dim", c->head_dim, "an even number");
    if (c->freq_dim % 2 != 0)
        return hr_config_refuse(f, "freq_dim", c->freq_dim, "an even number");
    return refuse_image_branch(f, c);
}

hr_status hr_transformer_config_load(const char *path, hr_transformer_config *out)
{
    hr_transformer_config c = {0};
    hr_config_file f;
    hr_status status;

    HR_TRY(hr_config_file_open(path, &f));
    status = read_transformer(&f, &c);
    hr_config_file_close(&f);
    if (status == HR_OK)
        *out = c;
    return status;
}

hr_status hr_transformer_config_compare(const char *path, const hr_transformer_config *a,
                                        const hr_transformer_config *b)
{
    const char *different = NULL;

    for (size_t i = 0; i < N_TRANSFORMER_KEYS; i++) {
        int64_t found = *hr_config_int_at((void *)b, &transformer_keys[i]);
        int64_t expected = *hr_config_int_at((void *)a, &transformer_keys[i]);

        if (found != expected)
            return hr_fail(
                HR_ERR_MODEL, "%s: %s: found %lld, expected %lld as in transformer/",
                path, transformer_keys[i].name, (long long)found, (long long)expected);
    }
    if (memcmp(a->patch, b->patch, sizeof a->patch) != 0)
        different = "patch_size";
    else if (a->cross_attn_norm != b->cross_attn_norm)
        different = "cross_attn_norm";
    else if (a->eps != b->eps)
        different = "eps";
    if (different != NULL)
        return hr_fail(
            HR_ERR_MODEL,
            "%s: %s: found another value than in transformer/, expected the same", path,
            different);
    return HR_OK;
}

#define TEXT_KEY(name, field, min, max, fallback)                                        \
    {                                                                                    \
        name, offsetof(hr_text_config, field), min, max, fallback                        \
    }
static const hr_config_int text_keys[] = {
    TEXT_KEY("d_model", d_model, 1, HR_CONFIG_MAX_WIDTH, 512),
    TEXT_KEY("d_kv", d_kv, 1, 1024, 64),
    TEXT_KEY("num_heads", n_heads, 1, 1024, 6),
    TEXT_KEY("d_ff", d_ff, 1, HR_CONFIG_MAX_WIDTH, 1024),
    TEXT_KEY("num_layers", n_layers, 1, 1024, 8),
    TEXT_KEY("vocab_size", vocab_size, 1, INT32_MAX, 250112),
    TEXT_KEY("relative_attention_num_buckets", n_buckets, 4, 65536, 32),
    TEXT_KEY("relative_attention_max_distance", max_distance, 2, 1 << 20, 128),
    TEXT_KEY("pad_token_id", pad_id, 0, INT32_MAX, 0),
    TEXT_KEY("eos_token_id", eos_id, 0, INT32_MAX, 1),
};

static hr_status read_text(const hr_config_file *f, hr_text_config *c)
{
    static const hr_config_word words[] = {
        {"model_type", "umt5"},
        {"feed_forward_proj", "gated-gelu"},
        {"dense_act_fn", "gelu_new"},
    };
    static const hr_config_bool bools[] = {{"is_gated_act", true}};

    HR_TRY(hr_config_check_words(f, words, sizeof words / sizeof words[0]));
    HR_TRY(hr_config_check_bools(f, bools, 1));
    HR_TRY(hr_config_read_ints(f, text_keys, sizeof text_keys / sizeof text_keys[0], c));
    HR_TRY(hr_config_read_eps(f, "layer_norm_epsilon", &c->eps));
    /* Half of the buckets are for each side, half of those for single distances. */
    if (c->n_buckets % 4 != 0)
        return hr_config_refuse(f, "relative_attention_num_buckets", c->n_buckets,
                                "a multiple of 4");
    if (c->max_distance <= c->n_buckets / 4)
        return hr_config_refuse(f, "relative_attention_max_distance", c->max_distance,
                                "more than a quarter of relative_attention_num_buckets");
    if (c->eos_id >= c->vocab_size)
        return hr_config_refuse(f, "eos_token_id", c->eos_id, "less than vocab_size");
    if (c->pad_id >= c->vocab_size)
        return hr_config_refuse(f, "pad_token_id", c->pad_id, "less than vocab_size");
    return HR_OK;
}

hr_status hr_text_config_load(const char *path, hr_text_config *out)
{
    hr_text_config c = {0};
    hr_config_file f;
    hr_status status;

    HR_TRY(hr_config_file_open(path, &f));
    status = read_text(&f, &c);
    hr_config_file_close(&f);
    if (status == HR_OK)
        *out = c;
    return status;
}
