#include "model/config_parts.h"

#include "base/log.h"

#include <string.h>

/* What a scheduler class calls its shift, and what else it must say. */
typedef struct scheduler_class {
    const char *name, *shift_key;
    hr_sampler_kind kind;
    hr_config_word words[4];
    size_t n_words;
} scheduler_class;

static const scheduler_class scheduler_classes[] = {
    {"UniPCMultistepScheduler",
     "flow_shift",
     HR_SAMPLER_UNIPC,
     {{"prediction_type", "flow_prediction"},
      {"final_sigmas_type", "zero"},
      {"solver_type", "bh2"}},
     3},
    {"FlowMatchEulerDiscreteScheduler",
     "shift",
     HR_SAMPLER_EULER,
     {{"prediction_type", "flow_prediction"}},
     1},
    {"DPMSolverMultistepScheduler",
     "flow_shift",
     HR_SAMPLER_DPMPP,
     {{"prediction_type", "flow_prediction"},
      {"final_sigmas_type", "zero"},
      {"solver_type", "midpoint"},
      {"algorithm_type", "dpmsolver++"}},
     4},
};

static const hr_config_bool scheduler_bools[] = {
    {"predict_x0", true},
    {"use_flow_sigmas", true},
    {"thresholding", false},
    {"use_karras_sigmas", false},
    {"use_exponential_sigmas", false},
    {"use_beta_sigmas", false},
    {"use_lu_lambdas", false},
    {"use_dynamic_shifting", false},
    {"invert_sigmas", false},
    {"stochastic_sampling", false},
};

#define SCHEDULER_KEY(name, field, min, max, fallback)                                   \
    {                                                                                    \
        name, offsetof(hr_scheduler_config, field), min, max, fallback                   \
    }
static const hr_config_int scheduler_keys[] = {
    SCHEDULER_KEY("num_train_timesteps", n_train_timesteps, 1, 1 << 20, 1000),
    SCHEDULER_KEY("solver_order", solver_order, 2, 2, 2),
};

static const scheduler_class *find_scheduler(const char *name)
{
    for (size_t i = 0; i < sizeof scheduler_classes / sizeof scheduler_classes[0]; i++)
        if (strcmp(name, scheduler_classes[i].name) == 0)
            return &scheduler_classes[i];
    return NULL;
}

hr_status hr_scheduler_class_check(const char *path, const char *class_name)
{
    if (find_scheduler(class_name) != NULL)
        return HR_OK;
    return hr_fail(HR_ERR_MODEL,
                   "%s: scheduler class: found %s, expected UniPCMultistepScheduler, "
                   "FlowMatchEulerDiscreteScheduler or DPMSolverMultistepScheduler",
                   path, class_name);
}

static hr_status read_scheduler(const hr_config_file *f, const char *class_name,
                                hr_scheduler_config *c)
{
    const scheduler_class *kind = find_scheduler(class_name);
    const char *own_name = class_name;

    HR_TRY(hr_config_status(
        hr_json_read_string(f->json, f->root, "_class_name", &own_name)));
    /* The reference builds the class of the index from any scheduler's file. */
    HR_TRY(hr_scheduler_class_check(f->path, own_name));
    c->kind = kind->kind;
    HR_TRY(hr_config_check_words(f, kind->words, kind->n_words));
    HR_TRY(hr_config_check_bools(f, scheduler_bools,
                                 sizeof scheduler_bools / sizeof scheduler_bools[0]));
    HR_TRY(hr_config_read_ints(f, scheduler_keys,
                               sizeof scheduler_keys / sizeof scheduler_keys[0], c));
    c->lower_order_final = true;
    HR_TRY(hr_config_status(
        hr_json_read_bool(f->json, f->root, "lower_order_final", &c->lower_order_final)));
    if (c->kind == HR_SAMPLER_UNIPC && !c->lower_order_final)
        return hr_fail(
            HR_ERR_MODEL,
            "%s: lower_order_final: found false, expected true (not supported)", f->path);
    if (hr_json_first(hr_json_get(f->root, "disable_corrector")) != NULL)
        return hr_fail(HR_ERR_MODEL,
                       "%s: disable_corrector: found steps, expected an empty list "
                       "(not supported)",
                       f->path);
    if (hr_json_get(f->root, "shift_terminal") != NULL)
        return hr_fail(HR_ERR_MODEL,
                       "%s: shift_terminal: found a value, expected null (not supported)",
                       f->path);
    c->shift = 1.0;
    HR_TRY(
        hr_config_status(hr_json_read_f64(f->json, f->root, kind->shift_key, &c->shift)));
    if (!(c->shift > 0.0 && c->shift <= 1000.0))
        return hr_fail(HR_ERR_MODEL, "%s: %s: found %g, expected a number in (0, 1000]",
                       f->path, kind->shift_key, c->shift);
    return HR_OK;
}

hr_status hr_scheduler_config_load(const char *path, const char *class_name,
                                   hr_scheduler_config *out)
{
    hr_scheduler_config c = {0};
    hr_config_file f;
    hr_status status;

    HR_TRY(hr_config_file_open(path, &f));
    status = read_scheduler(&f, class_name, &c);
    hr_config_file_close(&f);
    if (status == HR_OK)
        *out = c;
    return status;
}
