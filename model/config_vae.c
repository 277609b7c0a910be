#include "model/config_parts.h"

#include "base/log.h"

#include <string.h>

#define VAE_KEY(name, field, min, max, fallback)                                         \
    {                                                                                    \
        name, offsetof(hr_vae_config, field), min, max, fallback                         \
    }
static const hr_config_int vae_keys[] = {
    VAE_KEY("base_dim", base_dim, 1, 8192, 96),
    VAE_KEY("z_dim", z_dim, 1, HR_VAE_MAX_Z, 16),
    VAE_KEY("num_res_blocks", n_res_blocks, 1, 64, 2),
    VAE_KEY("out_channels", out_channels, 3, 3 * 64 * 64, 3),
    VAE_KEY("patch_size", patch, 1, 64, 1),
};

/* Mean and deviation of each latent channel, and what they are for the Wan 2.1 VAE: the
 * values of folders that do not say (wan-spec 4.2). */
enum { WAN21_Z = 16 };
static const double wan21_mean[WAN21_Z] = {
    -0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,  -0.1517, 1.5508,
    0.4134,  -0.0715, 0.5517,  -0.3632, -0.1922, -0.9497, 0.2503,  -0.2921};
static const double wan21_std[WAN21_Z] = {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708,
                                          2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579,
                                          1.6382, 1.1253, 2.8251, 1.9160};

static hr_status read_stages(const hr_config_file *f, hr_vae_config *c)
{
    static const int64_t mult[] = {1, 2, 4, 4};
    bool down[HR_VAE_MAX_STAGES] = {false, true, true};
    size_t n = 4, n_down = 3;

    memcpy(c->dim_mult, mult, sizeof mult);
    HR_TRY(hr_config_status(hr_json_read_i64_list(f->json, f->root, "dim_mult",
                                                  HR_VAE_MAX_STAGES, c->dim_mult, &n)));
    HR_TRY(hr_config_status(hr_json_read_bool_list(
        f->json, f->root, "temperal_downsample", HR_VAE_MAX_STAGES, down, &n_down)));
    if (n < 1)
        return hr_config_refuse(f, "dim_mult", 0, "at least one number");
    for (size_t i = 0; i < n; i++)
        if (c->dim_mult[i] < 1 || c->dim_mult[i] > 64)
            return hr_config_refuse(f, "dim_mult", c->dim_mult[i], "numbers in 1..64");
    if (n_down + 1 != n)
        return hr_config_refuse(f, "temperal_downsample", (int64_t)n_down,
                                "one value less than dim_mult has");
    c->n_stages = (int64_t)n;
    /* The decoder runs through the stages backwards. */
    for (size_t i = 0; i < n_down; i++)
        c->temporal_up[i] = down[n_down - 1 - i];
    return HR_OK;
}

static hr_status read_latent_list(const hr_config_file *f, const char *key,
                                  const double *wan21, int64_t z_dim, float *out)
{
    double values[HR_VAE_MAX_Z];
    size_t n = WAN21_Z;

    memcpy(values, wan21, WAN21_Z * sizeof values[0]);
    HR_TRY(hr_config_status(
        hr_json_read_f64_list(f->json, f->root, key, HR_VAE_MAX_Z, values, &n)));
    if ((int64_t)n != z_dim)
        return hr_fail(HR_ERR_MODEL, "%s: %s: found %zu numbers, expected z_dim, %lld",
                       f->path, key, n, (long long)z_dim);
    for (size_t i = 0; i < n; i++) {
        out[i] = (float)values[i];
        if (!(out[i] > -1e30F && out[i] < 1e30F))
            return hr_fail(HR_ERR_MODEL, "%s: %s: found %g, expected finite numbers",
                           f->path, key, values[i]);
    }
    return HR_OK;
}

static hr_status read_latent_statistics(const hr_config_file *f, hr_vae_config *c)
{
    HR_TRY(read_latent_list(f, "latents_mean", wan21_mean, c->z_dim, c->mean));
    HR_TRY(read_latent_list(f, "latents_std", wan21_std, c->z_dim, c->std));
    for (int64_t i = 0; i < c->z_dim; i++)
        if (!(c->std[i] > 0.0F))
            return hr_fail(HR_ERR_MODEL,
                           "%s: latents_std: found %g, expected numbers > 0", f->path,
                           (double)c->std[i]);
    return HR_OK;
}

/* The scales follow from the stages; a file that says otherwise is refused. */
static hr_status read_scales(const hr_config_file *f, hr_vae_config *c)
{
    int64_t temporal = 1, spatial = c->patch << (c->n_stages - 1);

    for (int64_t i = 0; i + 1 < c->n_stages; i++)
        temporal *= c->temporal_up[i] ? 2 : 1;
    c->scale_temporal = temporal;
    c->scale_spatial = spatial;
    HR_TRY(hr_config_status(hr_json_read_i64(f->json, f->root, "scale_factor_temporal", 1,
                                             1 << 16, &c->scale_temporal)));
    HR_TRY(hr_config_status(hr_json_read_i64(f->json, f->root, "scale_factor_spatial", 1,
                                             1 << 16, &c->scale_spatial)));
    if (c->scale_temporal != temporal)
        return hr_fail(HR_ERR_MODEL,
                       "%s: scale_factor_temporal: found %lld, expected %lld from "
                       "temperal_downsample",
                       f->path, (long long)c->scale_temporal, (long long)temporal);
    if (c->scale_spatial != spatial)
        return hr_fail(
            HR_ERR_MODEL,
            "%s: scale_factor_spatial: found %lld, expected %lld from dim_mult "
            "and patch_size",
            f->path, (long long)c->scale_spatial, (long long)spatial);
    return HR_OK;
}

/* The shortcut of an up-sampling stage repeats channels a whole number of times. */
static hr_status check_shortcuts(const hr_config_file *f, const hr_vae_config *c)
{
    int64_t n = c->n_stages;

    for (int64_t i = 0; i + 1 < n; i++) {
        int64_t in = c->base_dim * c->dim_mult[i == 0 ? n - 1 : n - i];
        int64_t out = c->base_dim * c->dim_mult[n - 1 - i];

        if (out * (c->temporal_up[i] ? 8 : 4) % in != 0)
            return hr_config_refuse(f, "dim_mult", c->dim_mult[n - 1 - i],
                                    "a number that its neighbour's width divides");
    }
    return HR_OK;
}

static hr_status read_vae(const hr_config_file *f, hr_vae_config *c)
{
    static const hr_config_word words[] = {{"_class_name", "AutoencoderKLWan"}};

    HR_TRY(hr_config_check_words(f, words, 1));
    HR_TRY(hr_config_read_ints(f, vae_keys, sizeof vae_keys / sizeof vae_keys[0], c));
    HR_TRY(hr_config_status(
        hr_json_read_i64(f->json, f->root, "decoder_base_dim", 1, 8192, &c->base_dim)));
    HR_TRY(hr_config_status(
        hr_json_read_bool(f->json, f->root, "is_residual", &c->is_residual)));
    HR_TRY(read_stages(f, c));
    HR_TRY(read_latent_statistics(f, c));
    HR_TRY(read_scales(f, c));
    if (c->out_channels != 3 * c->patch * c->patch)
        return hr_config_refuse(f, "out_channels", c->out_channels,
                                "3 x patch_size x patch_size");
    return c->is_residual ? check_shortcuts(f, c) : HR_OK;
}

hr_status hr_vae_config_load(const char *path, hr_vae_config *out)
{
    hr_vae_config c = {0};
    hr_config_file f;
    hr_status status;

    HR_TRY(hr_config_file_open(path, &f));
    status = read_vae(&f, &c);
    hr_config_file_close(&f);
    if (status == HR_OK)
        *out = c;
    return status;
}
