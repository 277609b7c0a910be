/* The few things of a tokenizer.json that spiece.model does not say. Local. */
#ifndef HR_MODEL_TOKENIZER_JSON_H
#define HR_MODEL_TOKENIZER_JSON_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* A text that becomes this id wherever it is written in a prompt. */
typedef struct hr_added_token {
    char *text;
    size_t length; /* at least 1 */
    int32_t id;
} hr_added_token;

typedef struct hr_tokenizer_json {
    hr_added_token *added;
    size_t n_added;
    int32_t unknown_id; /* -1 where the file has none */
    int64_t n_vocab;    /* entries of its vocabulary; -1 where it has none */
} hr_tokenizer_json;

/* Reads the file. The vocabulary, nearly all of a real one's 17 MB, is counted and not
 * parsed. HR_ERR_MODEL, logged, for a damaged file or one of another kind of tokenizer.
 * Caller frees. */
hr_status hr_tokenizer_json_read(const char *path, hr_tokenizer_json *out);
void hr_tokenizer_json_free(hr_tokenizer_json *json);

#endif
