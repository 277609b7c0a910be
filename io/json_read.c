/* The typed members of io/json.h. */
#include "io/json.h"

#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FOUND_BYTES = 80, PATH_BYTES = 400 };

/* From 2^53 on a whole number may be the rounding of another: cJSON keeps a double of it.
 */
static const double first_inexact = 9007199254740992.0;

/* Where a value is, for messages: member `key` of `object`, or element `index` of it. */
typedef struct place {
    const hr_json *json;
    const hr_json_node *object;
    const char *key;
    size_t index; /* SIZE_MAX: the member itself */
} place;

/* Nodes do not know their parents, so the path is looked for from the top: only in a
 * failure. */
static bool find_path(const hr_json_node *from, const hr_json_node *wanted, char *path,
                      size_t used)
{
    size_t index = 0;

    if (from == wanted)
        return true;
    for (const hr_json_node *x = hr_json_first(from); x != NULL; x = hr_json_next(x)) {
        size_t room = PATH_BYTES - used;
        int n =
            hr_json_key(x) == NULL
                ? snprintf(path + used, room, "[%zu]", index)
                : snprintf(path + used, room, used > 0 ? ".%s" : "%s", hr_json_key(x));
        index++;
        if (n < 0)
            continue;
        if (find_path(x, wanted, path, (size_t)n < room ? used + (size_t)n : used))
            return true;
    }
    path[used] = '\0';
    return false;
}

static void describe(const hr_json_node *node, char found[FOUND_BYTES])
{
    const char *text = hr_json_string(node);
    double number;
    bool truth;

    if (text != NULL)
        snprintf(found, FOUND_BYTES, strlen(text) > 60 ? "\"%.60s...\"" : "\"%s\"", text);
    else if (hr_json_number(node, &number))
        snprintf(found, FOUND_BYTES, "%.17g", number);
    else if (hr_json_boolean(node, &truth))
        snprintf(found, FOUND_BYTES, "%s", truth ? "true" : "false");
    else if (hr_json_is_null(node))
        snprintf(found, FOUND_BYTES, "null");
    else
        snprintf(found, FOUND_BYTES, "%s of %zu",
                 hr_json_is_array(node) ? "a list" : "an object", hr_json_size(node));
}

static hr_status wrong(const place *at, const hr_json_node *value, const char *expected)
{
    char path[PATH_BYTES] = "", found[FOUND_BYTES], index[32] = "";

    find_path(hr_json_root(at->json), at->object, path, 0);
    describe(value, found);
    if (at->index != SIZE_MAX)
        snprintf(index, sizeof index, "[%zu]", at->index);
    return hr_fail(HR_ERR_FORMAT, "%s: %s%s%s%s: found %s, expected %s",
                   hr_json_name(at->json), path, path[0] != '\0' ? "." : "", at->key,
                   index, found, expected);
}

static hr_status read_whole(const place *at, const hr_json_node *value, int64_t min,
                            int64_t max, int64_t *out)
{
    char range[64];
    double number;
    int64_t whole;

    if (!hr_json_number(value, &number) || number != trunc(number))
        return wrong(at, value, "a whole number");
    if (fabs(number) >= first_inexact)
        return wrong(at, value, "a whole number below 2^53");
    whole = (int64_t)number;
    if (whole < min || whole > max) {
        snprintf(range, sizeof range, "%lld..%lld", (long long)min, (long long)max);
        return wrong(at, value, range);
    }
    *out = whole;
    return HR_OK;
}

hr_status hr_json_read_i64(const hr_json *json, const hr_json_node *object,
                           const char *key, int64_t min, int64_t max, int64_t *out)
{
    const hr_json_node *value = hr_json_get(object, key);
    place at = {json, object, key, SIZE_MAX};

    return value == NULL ? HR_OK : read_whole(&at, value, min, max, out);
}

hr_status hr_json_read_f64(const hr_json *json, const hr_json_node *object,
                           const char *key, double *out)
{
    const hr_json_node *value = hr_json_get(object, key);
    place at = {json, object, key, SIZE_MAX};

    if (value != NULL && !hr_json_number(value, out))
        return wrong(&at, value, "a number");
    return HR_OK;
}

hr_status hr_json_read_bool(const hr_json *json, const hr_json_node *object,
                            const char *key, bool *out)
{
    const hr_json_node *value = hr_json_get(object, key);
    place at = {json, object, key, SIZE_MAX};

    if (value != NULL && !hr_json_boolean(value, out))
        return wrong(&at, value, "true or false");
    return HR_OK;
}

hr_status hr_json_read_string(const hr_json *json, const hr_json_node *object,
                              const char *key, const char **out)
{
    const hr_json_node *value = hr_json_get(object, key);
    place at = {json, object, key, SIZE_MAX};

    if (value == NULL)
        return HR_OK;
    if (hr_json_string(value) == NULL)
        return wrong(&at, value, "a string");
    *out = hr_json_string(value);
    return HR_OK;
}

/* The list `key` (NULL when absent), after its length was checked. */
static hr_status read_list(const place *at, size_t max_n, const hr_json_node **out)
{
    const hr_json_node *value = hr_json_get(at->object, at->key);
    char expected[64];

    if (value != NULL && !hr_json_is_array(value))
        return wrong(at, value, "a list");
    if (value != NULL && hr_json_size(value) > max_n) {
        snprintf(expected, sizeof expected, "at most %zu", max_n);
        return wrong(at, value, expected);
    }
    *out = value;
    return HR_OK;
}

/* Reads element x into place i of `out`. */
typedef hr_status (*element_fn)(const place *at, const hr_json_node *x, void *out,
                                size_t i);

static hr_status read_elements(place *at, size_t max_n, element_fn read, void *out,
                               size_t *n)
{
    const hr_json_node *list = NULL;
    size_t i = 0;

    HR_TRY(read_list(at, max_n, &list));
    if (list == NULL)
        return HR_OK;
    for (const hr_json_node *x = hr_json_first(list); x != NULL; x = hr_json_next(x)) {
        at->index = i;
        HR_TRY(read(at, x, out, i++));
    }
    *n = i;
    return HR_OK;
}

static hr_status read_f64(const place *at, const hr_json_node *x, void *out, size_t i)
{
    return hr_json_number(x, (double *)out + i) ? HR_OK : wrong(at, x, "a number");
}

static hr_status read_i64(const place *at, const hr_json_node *x, void *out, size_t i)
{
    return read_whole(at, x, INT64_MIN, INT64_MAX, (int64_t *)out + i);
}

static hr_status read_bool(const place *at, const hr_json_node *x, void *out, size_t i)
{
    return hr_json_boolean(x, (bool *)out + i) ? HR_OK : wrong(at, x, "true or false");
}

hr_status hr_json_read_f64_list(const hr_json *json, const hr_json_node *object,
                                const char *key, size_t max_n, double *out, size_t *n)
{
    place at = {json, object, key, SIZE_MAX};

    return read_elements(&at, max_n, read_f64, out, n);
}

hr_status hr_json_read_i64_list(const hr_json *json, const hr_json_node *object,
                                const char *key, size_t max_n, int64_t *out, size_t *n)
{
    place at = {json, object, key, SIZE_MAX};

    return read_elements(&at, max_n, read_i64, out, n);
}

hr_status hr_json_read_bool_list(const hr_json *json, const hr_json_node *object,
                                 const char *key, size_t max_n, bool *out, size_t *n)
{
    place at = {json, object, key, SIZE_MAX};

    return read_elements(&at, max_n, read_bool, out, n);
}
