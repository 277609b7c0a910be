#include "io/json.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_VALUES = 1 << 22, FEW_MEMBERS = 16 };

struct hr_json {
    char *name;
    cJSON *root;
};

static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;
static _Thread_local bool out_of_memory;

static void *counted_alloc(size_t bytes)
{
    void *memory = hr_alloc(bytes);

    if (memory == NULL)
        out_of_memory = true;
    return memory;
}

static void install_hooks(void)
{
    cJSON_Hooks hooks = {.malloc_fn = counted_alloc, .free_fn = hr_free};

    cJSON_InitHooks(&hooks);
}

static const cJSON *item_of(const hr_json_node *node)
{
    return (const cJSON *)node;
}

static const hr_json_node *node_of(const cJSON *item)
{
    return (const hr_json_node *)item;
}

static hr_status fail_at(const char *name, const char *text, size_t offset,
                         const char *what)
{
    size_t line = 1, column = 1;

    for (size_t i = 0; i < offset; i++) {
        column++;
        if (text[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return hr_fail(HR_ERR_FORMAT, "%s:%zu:%zu: %s", name, line, column, what);
}

static size_t skip_digits(const char *text, size_t i, size_t n)
{
    while (i < n && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

/* The offset after the number that starts at i, or i when it is not one by RFC 8259:
 * cJSON takes whatever strtod takes ("01", "1.", "-.5"). */
static size_t skip_number(const char *text, size_t i, size_t n)
{
    size_t start = i, digits;

    if (text[i] == '-')
        i++;
    digits = i;
    i = skip_digits(text, i, n);
    if (i == digits || (text[digits] == '0' && i > digits + 1))
        return start;
    if (i < n && text[i] == '.') {
        digits = ++i;
        i = skip_digits(text, i, n);
        if (i == digits)
            return start;
    }
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        if (i < n && (text[i] == '+' || text[i] == '-'))
            i++;
        digits = i;
        i = skip_digits(text, i, n);
        if (i == digits)
            return start;
    }
    return i;
}

/* Python's json, and so diffusers, writes infinities, which JSON does not have. Returns
 * the length of one that starts there, or 0. */
static size_t infinity_at(const char *text, size_t i, size_t n)
{
    size_t sign = text[i] == '-' ? 1 : 0;

    return n - i >= 8 + sign && memcmp(text + i + sign, "Infinity", 8) == 0 ? 8 + sign
                                                                            : 0;
}

/* What a text may hold is counted before any memory is taken for it: a value of two
 * characters, "1,", takes a hundred bytes. */
typedef struct scan_counts {
    int depth;
    size_t n_values; /* or one less */
} scan_counts;

/* Checks one character outside strings, and the whole number when one starts there; *i is
 * moved to the last character checked. */
static hr_status scan_outside(const char *name, const char *text, size_t n, size_t *i,
                              scan_counts *counts)
{
    char c = text[*i];

    counts->n_values += c == ',' || c == '{' || c == '[';
    if (counts->n_values > MAX_VALUES)
        return fail_at(name, text, *i, "more than 4194304 values");
    if (infinity_at(text, *i, n) > 0) {
        *i += infinity_at(text, *i, n) - 1;
    } else if (c == '{' || c == '[') {
        if (++counts->depth > MAX_DEPTH)
            return fail_at(name, text, *i, "nested deeper than 64");
    } else if (c == '}' || c == ']') {
        --counts->depth;
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        size_t end = skip_number(text, *i, n);
        if (end == *i)
            return fail_at(name, text, *i, "not a JSON number");
        *i = end - 1;
    } else if ((unsigned char)c < 0x20 && c != '\t' && c != '\r' && c != '\n') {
        return fail_at(name, text, *i, "control character");
    }
    return HR_OK;
}

/* What cJSON lets through and a C string or our stack cannot take: invalid UTF-8, an
 * escaped NUL, control characters, deep nesting; and its loose numbers. */
static hr_status scan_text(const char *name, const char *text, size_t n)
{
    size_t bad = hr_utf8_check(text, n);
    scan_counts counts = {0};
    bool in_string = false;

    if (bad < n)
        return fail_at(name, text, bad, "not valid UTF-8");
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (c == '"') {
            in_string = !in_string;
        } else if (!in_string) {
            HR_TRY(scan_outside(name, text, n, &i, &counts));
        } else if ((unsigned char)c < 0x20) {
            return fail_at(name, text, i, "control character in a string");
        } else if (c == '\\') {
            if (n - i > 5 && memcmp(text + i, "\\u0000", 6) == 0)
                return fail_at(name, text, i, "NUL in a string");
            i++;
        }
    }
    return HR_OK;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static hr_status check_many_keys(const char *name, const cJSON *object, size_t n)
{
    const char **keys, *twice = NULL;
    size_t bytes, i = 0;
    void *memory;

    HR_TRY(hr_size_mul(n, sizeof *keys, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, name, &memory));
    keys = memory;
    for (const cJSON *item = object->child; item != NULL; item = item->next)
        keys[i++] = item->string;
    qsort(keys, n, sizeof *keys, compare_keys);
    for (i = 1; i < n && twice == NULL; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            twice = keys[i];
    hr_free(memory);
    if (twice != NULL)
        return hr_fail(HR_ERR_FORMAT, "%s: key \"%s\" is there twice", name, twice);
    return HR_OK;
}

static hr_status check_keys(const char *name, const cJSON *object)
{
    size_t n = hr_json_size(node_of(object));

    if (n > FEW_MEMBERS)
        return check_many_keys(name, object, n);
    for (const cJSON *a = object->child; a != NULL; a = a->next)
        for (const cJSON *b = a->next; b != NULL; b = b->next)
            if (strcmp(a->string, b->string) == 0)
                return hr_fail(HR_ERR_FORMAT, "%s: key \"%s\" is there twice", name,
                               a->string);
    return HR_OK;
}

static hr_status check_tree(const char *name, const cJSON *item)
{
    if (cJSON_IsNumber(item) && !isfinite(item->valuedouble))
        return hr_fail(HR_ERR_FORMAT, "%s: a number is too large for a double%s%s", name,
                       item->string != NULL ? ": key " : "",
                       item->string != NULL ? item->string : "");
    if (cJSON_IsObject(item))
        HR_TRY(check_keys(name, item));
    for (const cJSON *child = item->child; child != NULL; child = child->next)
        HR_TRY(check_tree(name, child));
    return HR_OK;
}

/* A copy with infinities as the largest powers of ten, so that what needs a sensible
 * number still refuses them. NULL when there is no memory. */
static char *without_infinities(const char *text, size_t n)
{
    char *copy = hr_strndup(text, n);
    bool in_string = false;
    size_t length;

    for (size_t i = 0; copy != NULL && i < n; i++) {
        if (in_string && copy[i] == '\\')
            i++;
        else if (copy[i] == '"')
            in_string = !in_string;
        else if (!in_string && (length = infinity_at(copy, i, n)) > 0)
            memcpy(copy + i, copy[i] == '-' ? "-1e308   " : "1e308   ", length);
    }
    return copy;
}

static hr_status parse_text(hr_json *json, const char *text, size_t n)
{
    const char *end = NULL;

    pthread_once(&hooks_once, install_hooks);
    out_of_memory = false;
    json->root = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    if (out_of_memory)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %s of %zu bytes", json->name, n);
    if (json->root == NULL)
        return fail_at(json->name, text, end != NULL ? (size_t)(end - text) : 0,
                       "not valid JSON");
    for (const char *c = end; c < text + n; c++)
        if (strchr(" \t\r\n", *c) == NULL || *c == '\0')
            return fail_at(json->name, text, (size_t)(c - text),
                           "text after the end of the JSON value");
    if (!cJSON_IsObject(json->root))
        return hr_fail(HR_ERR_FORMAT, "%s: expected a JSON object", json->name);
    return check_tree(json->name, json->root);
}

static hr_status parse_copy(hr_json *json, const char *text, size_t n)
{
    char *copy = without_infinities(text, n);
    hr_status status;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %s of %zu bytes", json->name, n);
    status = parse_text(json, copy, n);
    hr_free(copy);
    return status;
}

hr_status hr_json_parse(const char *name, const char *text, size_t n_bytes, hr_json **out)
{
    hr_json *json;
    void *memory;
    hr_status status;

    HR_TRY(scan_text(name, text, n_bytes));
    HR_TRY(hr_alloc_or_fail(sizeof *json, name, &memory));
    json = memory;
    json->name = hr_strdup(name);
    if (json->name == NULL)
        status = hr_fail(HR_ERR_NOMEM, "out of memory: the name %s", name);
    else
        status = parse_copy(json, text, n_bytes);
    if (status != HR_OK) {
        hr_json_close(json);
        return status;
    }
    *out = json;
    return HR_OK;
}

hr_status hr_json_open(const char *path, size_t max_bytes, hr_json **out)
{
    char *text;
    size_t n_bytes;
    hr_status status;

    HR_TRY(hr_read_file(path, max_bytes, &text, &n_bytes));
    status = hr_json_parse(path, text, n_bytes, out);
    hr_free(text);
    return status;
}

void hr_json_close(hr_json *json)
{
    if (json == NULL)
        return;
    cJSON_Delete(json->root);
    hr_free(json->name);
    hr_free(json);
}

const char *hr_json_name(const hr_json *json)
{
    return json->name;
}

const hr_json_node *hr_json_root(const hr_json *json)
{
    return node_of(json->root);
}

const hr_json_node *hr_json_get(const hr_json_node *object, const char *key)
{
    const cJSON *item;

    if (!hr_json_is_object(object))
        return NULL;
    item = cJSON_GetObjectItemCaseSensitive(item_of(object), key);
    return cJSON_IsNull(item) ? NULL : node_of(item);
}

const hr_json_node *hr_json_first(const hr_json_node *parent)
{
    return parent == NULL ? NULL : node_of(item_of(parent)->child);
}

const hr_json_node *hr_json_next(const hr_json_node *node)
{
    return node_of(item_of(node)->next);
}

const char *hr_json_key(const hr_json_node *node)
{
    return item_of(node)->string;
}

size_t hr_json_size(const hr_json_node *parent)
{
    size_t n = 0;

    for (const hr_json_node *x = hr_json_first(parent); x != NULL; x = hr_json_next(x))
        n++;
    return n;
}

const char *hr_json_string(const hr_json_node *node)
{
    return cJSON_GetStringValue(item_of(node));
}

bool hr_json_number(const hr_json_node *node, double *out)
{
    if (!cJSON_IsNumber(item_of(node)))
        return false;
    *out = item_of(node)->valuedouble;
    return true;
}

bool hr_json_is_null(const hr_json_node *node)
{
    return cJSON_IsNull(item_of(node));
}

bool hr_json_is_object(const hr_json_node *node)
{
    return cJSON_IsObject(item_of(node));
}

bool hr_json_is_array(const hr_json_node *node)
{
    return cJSON_IsArray(item_of(node));
}

bool hr_json_boolean(const hr_json_node *node, bool *out)
{
    if (!cJSON_IsBool(item_of(node)))
        return false;
    *out = cJSON_IsTrue(item_of(node));
    return true;
}
