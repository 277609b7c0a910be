/* Inside model/config only: the config file of one component each. Local.
 *
 * Each takes the path of the JSON file, applies the defaults for keys that are not there
 * and refuses what cannot be. */
#ifndef HR_MODEL_CONFIG_PARTS_H
#define HR_MODEL_CONFIG_PARTS_H

#include "io/json.h"
#include "model/config.h"

#include <stddef.h>

/* An open JSON file with its path for messages. */
typedef struct hr_config_file {
    const char *path;
    hr_json *json;
    const hr_json_node *root;
} hr_config_file;

/* Caller closes. Failures of the JSON layer are failures of the model folder:
 * HR_ERR_MODEL. */
hr_status hr_config_file_open(const char *path, hr_config_file *out);
void hr_config_file_close(hr_config_file *file);
/* For what hr_json_read_* returns. */
hr_status hr_config_status(hr_status status);

/* A whole number of a component: its key, where it goes, its range, and its value when
 * the key is not there (the reference's constructor default). */
typedef struct hr_config_int {
    const char *name;
    size_t offset;
    int64_t min, max, fallback;
} hr_config_int;

/* A switch that only has one value here; an absent key is fine. */
typedef struct hr_config_bool {
    const char *name;
    bool value;
} hr_config_bool;

/* A word that only has one value here; an absent key is fine. */
typedef struct hr_config_word {
    const char *name, *value;
} hr_config_word;

enum { HR_CONFIG_MAX_WIDTH = 1 << 20 };

/* The field of `base` that `key` is for. */
int64_t *hr_config_int_at(void *base, const hr_config_int *key);
hr_status hr_config_read_ints(const hr_config_file *f, const hr_config_int *keys,
                              size_t n, void *out);
hr_status hr_config_check_bools(const hr_config_file *f, const hr_config_bool *keys,
                                size_t n);
hr_status hr_config_check_words(const hr_config_file *f, const hr_config_word *keys,
                                size_t n);
/* The epsilon of a norm, 1e-6 where the file has none. */
hr_status hr_config_read_eps(const hr_config_file *f, const char *key, float *out);
/* Logs "FILE: KEY: found N, expected ..." and returns HR_ERR_MODEL. */
hr_status hr_config_refuse(const hr_config_file *f, const char *key, int64_t found,
                           const char *expected);

hr_status hr_transformer_config_load(const char *path, hr_transformer_config *out);
hr_status hr_text_config_load(const char *path, hr_text_config *out);
hr_status hr_vae_config_load(const char *path, hr_vae_config *out);
/* Refuses a class that is not here. */
hr_status hr_scheduler_class_check(const char *path, const char *class_name);
/* `class_name` is what model_index.json calls the scheduler, checked. */
hr_status hr_scheduler_config_load(const char *path, const char *class_name,
                                   hr_scheduler_config *out);

/* Refuses the first key in which two transformers differ. */
hr_status hr_transformer_config_compare(const char *path, const hr_transformer_config *a,
                                        const hr_transformer_config *b);

#endif
