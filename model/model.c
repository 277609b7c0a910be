#include "model/model.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/text_encoder.h"
#include "model/transformer.h"
#include "model/vae.h"

#include <inttypes.h>

struct hr_model {
    char *folder;
    hr_model_config config;
    hr_tokenizer *tokenizer;
    hr_weights *weights[HR_COMPONENT_COUNT];
};

static const struct {
    const char *name, *stem;
} components[HR_COMPONENT_COUNT] = {
    [HR_COMPONENT_TEXT_ENCODER] = {"text_encoder", "model"},
    [HR_COMPONENT_TRANSFORMER] = {"transformer", "diffusion_pytorch_model"},
    [HR_COMPONENT_TRANSFORMER_2] = {"transformer_2", "diffusion_pytorch_model"},
    [HR_COMPONENT_VAE] = {"vae", "diffusion_pytorch_model"},
};

const char *hr_component_name(hr_component component)
{
    return components[component].name;
}

static hr_status expect_all(const hr_model_config *config, hr_component component,
                            hr_weights *weights)
{
    if (component == HR_COMPONENT_TEXT_ENCODER)
        return hr_text_encoder_expect(&config->text, weights);
    if (component == HR_COMPONENT_VAE)
        return hr_vae_expect(&config->vae, weights);
    return hr_transformer_expect(&config->transformer, weights);
}

static hr_status open_component(hr_model *model, hr_component component)
{
    hr_text path = {0};
    hr_status status;

    HR_TRY(hr_text_printf(&path, "%s/%s", model->folder, components[component].name));
    status =
        hr_weights_open(path.s, components[component].stem, &model->weights[component]);
    hr_text_free(&path);
    HR_TRY(status);
    HR_TRY(expect_all(&model->config, component, model->weights[component]));
    return hr_weights_check(model->weights[component]);
}

static hr_status open_tokenizer(hr_model *model)
{
    hr_text path = {0};
    hr_status status;
    int64_t vocab_size;

    HR_TRY(hr_text_printf(&path, "%s/tokenizer", model->folder));
    status = hr_tokenizer_open(path.s, &model->tokenizer);
    if (status == HR_OK) {
        vocab_size = hr_tokenizer_vocab_size(model->tokenizer);
        if (vocab_size > model->config.text.vocab_size)
            status = hr_fail(HR_ERR_MODEL,
                             "%s: gives ids up to %" PRId64
                             ", but the text encoder has %" PRId64 " embeddings",
                             path.s, vocab_size - 1, model->config.text.vocab_size);
    }
    hr_text_free(&path);
    return status;
}

hr_status hr_model_open(const char *folder, hr_model **out)
{
    hr_status status;
    void *memory;
    hr_model *model;

    HR_TRY(hr_alloc_or_fail(sizeof *model, "the model", &memory));
    model = memory;
    model->folder = hr_strdup(folder);
    if (model->folder == NULL) {
        status = hr_fail(HR_ERR_NOMEM, "out of memory: a path");
        goto fail;
    }
    HR_TRY_GOTO(hr_model_config_load(folder, &model->config), fail);
    HR_TRY_GOTO(open_tokenizer(model), fail);
    for (int i = 0; i < HR_COMPONENT_COUNT; i++)
        if (i != HR_COMPONENT_TRANSFORMER_2 || model->config.has_second_expert)
            HR_TRY_GOTO(open_component(model, (hr_component)i), fail);
    *out = model;
    return HR_OK;
fail:
    hr_model_close(model);
    return status;
}

void hr_model_close(hr_model *model)
{
    if (model == NULL)
        return;
    for (int i = HR_COMPONENT_COUNT; i-- > 0;)
        hr_weights_close(model->weights[i]);
    hr_tokenizer_close(model->tokenizer);
    hr_free(model->folder);
    hr_free(model);
}

const char *hr_model_folder(const hr_model *model)
{
    return model->folder;
}

const hr_model_config *hr_model_get_config(const hr_model *model)
{
    return &model->config;
}

const hr_tokenizer *hr_model_get_tokenizer(const hr_model *model)
{
    return model->tokenizer;
}

const hr_weights *hr_model_get_weights(const hr_model *model, hr_component component)
{
    return model->weights[component];
}
