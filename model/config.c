#include "model/config.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/config_parts.h"

#include <string.h>

static hr_status make_path(const char *folder, const char *below, hr_text *out)
{
    out->length = 0;
    return hr_text_printf(out, "%s/%s", folder, below);
}

/* The class of a component, ["library", "Class"]; NULL where there is no entry or [null,
 * null]. */
static hr_status read_class(const hr_config_file *f, const char *component,
                            const char **out)
{
    const hr_json_node *pair = hr_json_get(f->root, component);
    const hr_json_node *name;

    *out = NULL;
    if (pair == NULL)
        return HR_OK;
    name = hr_json_is_array(pair) ? hr_json_next(hr_json_first(pair)) : NULL;
    if (name == NULL || hr_json_size(pair) != 2 ||
        (hr_json_string(name) == NULL && !hr_json_is_null(name)))
        return hr_fail(HR_ERR_MODEL,
                       "%s: %s: found something else, expected [library, class]", f->path,
                       component);
    *out = hr_json_string(name);
    return HR_OK;
}

static hr_status require_class(const hr_config_file *f, const char *component,
                               const char *expected)
{
    const char *name;

    HR_TRY(read_class(f, component, &name));
    if (name == NULL || strcmp(name, expected) != 0)
        return hr_fail(HR_ERR_MODEL, "%s: %s: found %s, expected %s", f->path, component,
                       name == NULL ? "no class" : name, expected);
    return HR_OK;
}

static hr_status read_pipeline_class(const hr_config_file *f)
{
    const char *name = "no class";

    HR_TRY(hr_config_status(hr_json_read_string(f->json, f->root, "_class_name", &name)));
    if (strcmp(name, "WanPipeline") != 0)
        return hr_fail(HR_ERR_MODEL,
                       "%s: _class_name: found %s, expected WanPipeline (text to video)",
                       f->path, name);
    return HR_OK;
}

static hr_status read_experts(const hr_config_file *f, hr_model_config *config)
{
    const hr_json_node *ratio = hr_json_get(f->root, "boundary_ratio");
    const char *second;

    HR_TRY(require_class(f, "transformer", "WanTransformer3DModel"));
    HR_TRY(read_class(f, "transformer_2", &second));
    if (second != NULL)
        HR_TRY(require_class(f, "transformer_2", "WanTransformer3DModel"));
    HR_TRY(hr_config_status(
        hr_json_read_f64(f->json, f->root, "boundary_ratio", &config->boundary_ratio)));
    if (ratio != NULL && second == NULL)
        return hr_fail(
            HR_ERR_MODEL,
            "%s: boundary_ratio: found %g without a transformer_2, expected null",
            f->path, config->boundary_ratio);
    if (ratio != NULL && !(config->boundary_ratio > 0.0 && config->boundary_ratio <= 1.0))
        return hr_fail(HR_ERR_MODEL,
                       "%s: boundary_ratio: found %g, expected a number in (0, 1]",
                       f->path, config->boundary_ratio);
    if (ratio == NULL && second != NULL)
        hr_warn("%s: transformer_2 is there without a boundary_ratio: it is not used",
                f->path);
    config->has_second_expert = ratio != NULL && second != NULL;
    return HR_OK;
}

static hr_status read_index(const hr_config_file *f, hr_model_config *config,
                            hr_text *scheduler_class)
{
    const char *scheduler;

    HR_TRY(read_pipeline_class(f));
    HR_TRY(require_class(f, "text_encoder", "UMT5EncoderModel"));
    HR_TRY(require_class(f, "vae", "AutoencoderKLWan"));
    HR_TRY(read_experts(f, config));
    HR_TRY(hr_config_status(hr_json_read_bool(f->json, f->root, "expand_timesteps",
                                              &config->expand_timesteps)));
    HR_TRY(read_class(f, "scheduler", &scheduler));
    if (scheduler == NULL)
        return hr_fail(HR_ERR_MODEL, "%s: scheduler: found no class, expected one",
                       f->path);
    HR_TRY(hr_scheduler_class_check(f->path, scheduler));
    return hr_text_add(scheduler_class, scheduler);
}

static hr_status load_index(const char *path, hr_model_config *config,
                            hr_text *scheduler_class)
{
    hr_config_file f;
    hr_status status;

    HR_TRY(hr_config_file_open(path, &f));
    status = read_index(&f, config, scheduler_class);
    hr_config_file_close(&f);
    return status;
}

/* What the components say about each other. */
static hr_status check_components(const char *folder, const hr_model_config *c)
{
    if (c->transformer.text_dim != c->text.d_model)
        return hr_fail(
            HR_ERR_MODEL,
            "%s/transformer/config.json: text_dim: found %lld, expected d_model "
            "of the text encoder, %lld",
            folder, (long long)c->transformer.text_dim, (long long)c->text.d_model);
    if (c->transformer.in_channels != c->vae.z_dim)
        return hr_fail(
            HR_ERR_MODEL,
            "%s/transformer/config.json: in_channels: found %lld, expected z_dim "
            "of the vae, %lld",
            folder, (long long)c->transformer.in_channels, (long long)c->vae.z_dim);
    return HR_OK;
}

static hr_status load_second_expert(const char *folder, hr_text *path,
                                    const hr_transformer_config *first)
{
    hr_transformer_config second;

    HR_TRY(make_path(folder, "transformer_2/config.json", path));
    HR_TRY(hr_transformer_config_load(path->s, &second));
    return hr_transformer_config_compare(path->s, first, &second);
}

static hr_status load_scheduler(const char *folder, hr_text *path,
                                const hr_text *class_name, hr_scheduler_config *out)
{
    HR_TRY(make_path(folder, "scheduler/scheduler_config.json", path));
    return hr_scheduler_config_load(path->s, class_name->s, out);
}

static hr_status load_components(const char *folder, hr_text *path,
                                 hr_model_config *config)
{
    HR_TRY(make_path(folder, "transformer/config.json", path));
    HR_TRY(hr_transformer_config_load(path->s, &config->transformer));
    if (config->has_second_expert)
        HR_TRY(load_second_expert(folder, path, &config->transformer));
    HR_TRY(make_path(folder, "text_encoder/config.json", path));
    HR_TRY(hr_text_config_load(path->s, &config->text));
    HR_TRY(make_path(folder, "vae/config.json", path));
    HR_TRY(hr_vae_config_load(path->s, &config->vae));
    return check_components(folder, config);
}

hr_status hr_model_config_load(const char *folder, hr_model_config *out)
{
    hr_model_config config = {0};
    hr_text path = {0}, scheduler_class = {0};
    hr_status status;

    HR_TRY_GOTO(make_path(folder, "model_index.json", &path), cleanup);
    HR_TRY_GOTO(load_index(path.s, &config, &scheduler_class), cleanup);
    HR_TRY_GOTO(load_components(folder, &path, &config), cleanup);
    HR_TRY_GOTO(load_scheduler(folder, &path, &scheduler_class, &config.scheduler),
                cleanup);
    *out = config;
cleanup:
    hr_text_free(&path);
    hr_text_free(&scheduler_class);
    return status;
}
