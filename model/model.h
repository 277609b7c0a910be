/* A model folder as a whole: configs, tokenizer and the weight files of every component,
 * mapped and checked against each other before any data is read. Local. */
#ifndef HR_MODEL_MODEL_H
#define HR_MODEL_MODEL_H

#include "model/config.h"
#include "model/tokenizer.h"
#include "model/weights.h"

typedef enum hr_component {
    HR_COMPONENT_TEXT_ENCODER = 0,
    HR_COMPONENT_TRANSFORMER,   /* of two experts the one for high noise */
    HR_COMPONENT_TRANSFORMER_2, /* the one for low noise */
    HR_COMPONENT_VAE,
    HR_COMPONENT_COUNT
} hr_component;

/* The component's folder: "text_encoder", "transformer", ... */
const char *hr_component_name(hr_component component);

typedef struct hr_model hr_model;

/* Opens `folder`: everything that can be refused without reading weights is refused here,
 * with HR_ERR_MODEL and one logged line. Caller closes (NULL is fine) after everything
 * made from it. */
hr_status hr_model_open(const char *folder, hr_model **out);
void hr_model_close(hr_model *model);

const char *hr_model_folder(const hr_model *model);
const hr_model_config *hr_model_get_config(const hr_model *model);
const hr_tokenizer *hr_model_get_tokenizer(const hr_model *model);
/* NULL for the second transformer of a model with one. */
const hr_weights *hr_model_get_weights(const hr_model *model, hr_component component);

#endif
