/* JSON files, read into memory and looked up by key (cJSON behind); and strings as JSON
 * has them, for those that write. All functions are local.
 *
 * Every failure is one logged line "FILE: KEY.PATH: found X, expected Y" and
 * HR_ERR_FORMAT (a missing file: HR_ERR_IO); text that is not JSON at all is
 * "FILE:LINE:COLUMN: cause". A number that must be whole and is not, or does not fit, is
 * a failure; so is one from 2^53 on, which a double need not hold exactly. */
#ifndef HR_IO_JSON_H
#define HR_IO_JSON_H

#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A whole document, owner of all its nodes. */
typedef struct hr_json hr_json;
/* Borrowed from its document; NULL is "absent". */
typedef struct hr_json_node hr_json_node;

/* Reads a file of at most max_bytes; the top must be an object. Refuses invalid UTF-8,
 * duplicate keys, nesting deeper than 64 and more than 4,194,304 values (which take less
 * than 1 GB). Caller closes (NULL is fine). */
hr_status hr_json_open(const char *path, size_t max_bytes, hr_json **out);
/* The same from memory; `name` is used in messages. The text is not kept. */
hr_status hr_json_parse(const char *name, const char *text, size_t n_bytes,
                        hr_json **out);
void hr_json_close(hr_json *json);
/* The path or name that it was read from. */
const char *hr_json_name(const hr_json *json);
const hr_json_node *hr_json_root(const hr_json *json);

/* The member `key` of an object, or NULL (also for a NULL or null-valued member). */
const hr_json_node *hr_json_get(const hr_json_node *object, const char *key);

/* Iteration in file order over the members of an object or the elements of an array:
 * for (n = hr_json_first(x); n != NULL; n = hr_json_next(n)). Null values are not
 * skipped. */
const hr_json_node *hr_json_first(const hr_json_node *parent);
const hr_json_node *hr_json_next(const hr_json_node *node);
const char *hr_json_key(const hr_json_node *node);
size_t hr_json_size(const hr_json_node *parent);

/* The value of a node, NULL or false when it is of another type. Not logged. */
const char *hr_json_string(const hr_json_node *node);
bool hr_json_number(const hr_json_node *node, double *out);
bool hr_json_is_null(const hr_json_node *node);
bool hr_json_is_object(const hr_json_node *node);
bool hr_json_is_array(const hr_json_node *node);
bool hr_json_boolean(const hr_json_node *node, bool *out);

/* Typed members. When the key is absent or null: *out keeps its value and the call
 * succeeds. */
hr_status hr_json_read_i64(const hr_json *json, const hr_json_node *object,
                           const char *key, int64_t min, int64_t max, int64_t *out);
hr_status hr_json_read_f64(const hr_json *json, const hr_json_node *object,
                           const char *key, double *out);
hr_status hr_json_read_bool(const hr_json *json, const hr_json_node *object,
                            const char *key, bool *out);
/* *out is borrowed from the document. */
hr_status hr_json_read_string(const hr_json *json, const hr_json_node *object,
                              const char *key, const char **out);
/* At most max_n numbers; *n is set to how many. Absent: *n keeps its value. */
hr_status hr_json_read_f64_list(const hr_json *json, const hr_json_node *object,
                                const char *key, size_t max_n, double *out, size_t *n);
hr_status hr_json_read_i64_list(const hr_json *json, const hr_json_node *object,
                                const char *key, size_t max_n, int64_t *out, size_t *n);
hr_status hr_json_read_bool_list(const hr_json *json, const hr_json_node *object,
                                 const char *key, size_t max_n, bool *out, size_t *n);

/* Appends `value` in quotes, escaped; NULL as null. What is not UTF-8 becomes U+FFFD. */
hr_status hr_json_add_string(hr_text *out, const char *value);

#endif
