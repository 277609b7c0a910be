#include "model/tokenizer_json.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/json.h"

#include <stdbool.h>
#include <string.h>

enum { FILE_MAX_BYTES = 1 << 28 };

/* A place in the text of the file. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static bool skip_space(cursor *c)
{
    while (c->at < c->end &&
           (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
    return c->at < c->end;
}

static bool skip_char(cursor *c, char wanted)
{
    if (!skip_space(c) || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

/* `at` is behind the opening quote. */
static bool skip_string_rest(cursor *c)
{
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            c->at++;
            return true;
        }
        c->at += *c->at == '\\' && c->at + 1 < c->end;
    }
    return false;
}

/* Passes over an array or object and counts what is in it. */
static bool skip_container(cursor *c, int64_t *n_elements)
{
    int64_t commas = 0;
    int depth = 0;
    bool is_empty = true;

    while (c->at < c->end) {
        char ch = *c->at++;

        is_empty = is_empty && (depth == 0 || strchr(" \n\t\r]}", ch) != NULL);
        if (ch == '"' && !skip_string_rest(c))
            return false;
        depth += ch == '[' || ch == '{';
        depth -= ch == ']' || ch == '}';
        commas += ch == ',' && depth == 1;
        if (depth == 0) {
            *n_elements = is_empty ? 0 : commas + 1;
            return true;
        }
    }
    return false;
}

static bool skip_value(cursor *c, int64_t *n_elements)
{
    *n_elements = 0;
    if (!skip_space(c))
        return false;
    if (*c->at == '[' || *c->at == '{')
        return skip_container(c, n_elements);
    if (*c->at == '"') {
        c->at++;
        return skip_string_rest(c);
    }
    while (c->at < c->end && strchr(",]} \n\t\r", *c->at) == NULL)
        c->at++;
    return true;
}

/* One member of an object; key and value as written. */
typedef struct member {
    const char *key, *value;
    size_t key_length, value_length;
    int64_t n_elements;
} member;

static bool key_is(const member *m, const char *key)
{
    return m->key_length == strlen(key) && memcmp(m->key, key, m->key_length) == 0;
}

/* The next member of an object whose "{" was skipped; false at its end and where the text
 * is no JSON: *is_bad tells them apart. */
static bool next_member(cursor *c, bool is_first, member *m, bool *is_bad)
{
    *is_bad = false;
    if (skip_char(c, '}'))
        return false;
    *is_bad = true;
    if (!is_first && !skip_char(c, ','))
        return false;
    if (!skip_char(c, '"'))
        return false;
    m->key = c->at;
    if (!skip_string_rest(c))
        return false;
    m->key_length = (size_t)(c->at - m->key) - 1;
    if (!skip_char(c, ':') || !skip_space(c))
        return false;
    m->value = c->at;
    if (!skip_value(c, &m->n_elements))
        return false;
    m->value_length = (size_t)(c->at - m->value);
    *is_bad = false;
    return true;
}

/* Adds the member to a JSON object that is being written. */
static hr_status keep(hr_text *small, const member *m)
{
    HR_TRY(hr_text_add(small, small->length > 1 ? ",\"" : "\""));
    HR_TRY(hr_text_append(small, m->key, m->key_length));
    HR_TRY(hr_text_add(small, "\":"));
    return hr_text_append(small, m->value, m->value_length);
}

/* "model": all members but the vocabulary are kept. */
static hr_status keep_model(hr_text *small, const member *model, int64_t *n_vocab,
                            bool *is_bad)
{
    cursor c = {model->value, model->value + model->value_length};
    member m;

    *is_bad = !skip_char(&c, '{');
    for (bool is_first = true; !*is_bad && next_member(&c, is_first, &m, is_bad);
         is_first = false) {
        if (key_is(&m, "vocab"))
            *n_vocab = m.n_elements;
        else
            HR_TRY(keep(small, &m));
    }
    return HR_OK;
}

/* Makes of the file's text the object {"added_tokens": ..., members of "model"}. */
static hr_status condense(const char *path, cursor c, hr_text *small, int64_t *n_vocab)
{
    const char *start = c.at;
    bool is_bad = !skip_char(&c, '{');
    member m;

    HR_TRY(hr_text_add(small, "{"));
    for (bool is_first = true; !is_bad && next_member(&c, is_first, &m, &is_bad);
         is_first = false) {
        if (key_is(&m, "added_tokens"))
            HR_TRY(keep(small, &m));
        else if (key_is(&m, "model"))
            HR_TRY(keep_model(small, &m, n_vocab, &is_bad));
    }
    if (is_bad || skip_space(&c))
        return hr_fail(HR_ERR_MODEL, "%s: no JSON, or damaged, at byte %zu", path,
                       (size_t)(c.at - start));
    return hr_text_add(small, "}");
}

static hr_status read_token(const char *path, const hr_json *json,
                            const hr_json_node *node, hr_added_token *token)
{
    const char *text = NULL;
    int64_t id = -1;

    if (!hr_json_is_object(node))
        return hr_fail(HR_ERR_MODEL,
                       "%s: added_tokens: found something else than objects", path);
    HR_TRY(hr_json_read_i64(json, node, "id", 0, INT32_MAX - 1, &id));
    HR_TRY(hr_json_read_string(json, node, "content", &text));
    if (id < 0 || text == NULL || *text == '\0')
        return hr_fail(HR_ERR_MODEL,
                       "%s: added_tokens: found an entry without id or content", path);
    token->id = (int32_t)id;
    token->length = strlen(text);
    token->text = hr_strdup(text);
    if (token->text == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory for the tokens of %s", path);
    return HR_OK;
}

static hr_status read_small(const char *path, const hr_json *json, hr_tokenizer_json *out)
{
    const hr_json_node *root = hr_json_root(json);
    const hr_json_node *list = hr_json_get(root, "added_tokens");
    const char *type = "Unigram";
    int64_t unknown_id = -1;
    size_t bytes;
    void *added;

    HR_TRY(hr_json_read_string(json, root, "type", &type));
    if (strcmp(type, "Unigram") != 0)
        return hr_fail(HR_ERR_MODEL, "%s: model.type: found %s, expected Unigram", path,
                       type);
    HR_TRY(hr_json_read_i64(json, root, "unk_id", 0, INT32_MAX - 1, &unknown_id));
    out->unknown_id = (int32_t)unknown_id;
    if (list == NULL)
        return HR_OK;
    if (!hr_json_is_array(list))
        return hr_fail(HR_ERR_MODEL, "%s: added_tokens: found no list, expected one",
                       path);
    HR_TRY(hr_size_mul(hr_json_size(list), sizeof *out->added, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, path, &added));
    out->added = added;
    for (const hr_json_node *n = hr_json_first(list); n != NULL; n = hr_json_next(n)) {
        HR_TRY(read_token(path, json, n, &out->added[out->n_added]));
        out->n_added++;
    }
    return HR_OK;
}

hr_status hr_tokenizer_json_read(const char *path, hr_tokenizer_json *out)
{
    hr_tokenizer_json read = {.unknown_id = -1, .n_vocab = -1};
    hr_json *json = NULL;
    hr_text small = {0};
    char *data = NULL;
    hr_status status;
    size_t n;

    HR_TRY_GOTO(hr_read_file(path, FILE_MAX_BYTES, &data, &n), end);
    HR_TRY_GOTO(condense(path, (cursor){data, data + n}, &small, &read.n_vocab), end);
    HR_TRY_GOTO(hr_json_parse(path, small.s, small.length, &json), end);
    HR_TRY_GOTO(read_small(path, json, &read), end);
    *out = read;
    read = (hr_tokenizer_json){0};
end:
    hr_tokenizer_json_free(&read);
    hr_json_close(json);
    hr_text_free(&small);
    hr_free(data);
    return status == HR_ERR_FORMAT || status == HR_ERR_IO ? HR_ERR_MODEL : status;
}

void hr_tokenizer_json_free(hr_tokenizer_json *json)
{
    for (size_t i = 0; i < json->n_added; i++)
        hr_free(json->added[i].text);
    hr_free(json->added);
    *json = (hr_tokenizer_json){0};
}
