/* Any JSON file: io/json.h. */
#include "fuzz.h"

#include "io/json.h"

static hr_status visit(const hr_json *json, const hr_json_node *node, hr_text *out);

/* Asks for `key` as every type; a failure is the same for all of them. */
static hr_status read_as_all(const hr_json *json, const hr_json_node *object,
                             const char *key)
{
    int64_t whole[4];
    double number[4];
    bool truth[4];
    const char *string;
    const hr_json_node *value = hr_json_get(object, key);
    const hr_json_node *first = hr_json_is_array(value) ? hr_json_first(value) : NULL;
    size_t n;

    if (hr_json_string(value) != NULL)
        return hr_json_read_string(json, object, key, &string);
    if (hr_json_boolean(value, truth))
        return hr_json_read_bool(json, object, key, truth);
    if (first != NULL && hr_json_boolean(first, truth))
        return hr_json_read_bool_list(json, object, key, 4, truth, &n);
    if (first != NULL && hr_json_number(first, number) && number[0] == 0.5)
        return hr_json_read_f64_list(json, object, key, 4, number, &n);
    if (hr_json_is_array(value))
        return hr_json_read_i64_list(json, object, key, 4, whole, &n);
    if (hr_json_number(value, number) && number[0] < 0)
        return hr_json_read_f64(json, object, key, number);
    return hr_json_read_i64(json, object, key, 0, 1000, whole);
}

static hr_status visit_all(const hr_json *json, const hr_json_node *parent, hr_text *out)
{
    for (const hr_json_node *x = hr_json_first(parent); x != NULL; x = hr_json_next(x)) {
        if (hr_json_is_object(parent)) {
            HR_TRY(hr_json_add_string(out, hr_json_key(x)));
            HR_TRY(read_as_all(json, parent, hr_json_key(x)));
        }
        HR_TRY(visit(json, x, out));
    }
    return HR_OK;
}

static hr_status visit(const hr_json *json, const hr_json_node *node, hr_text *out)
{
    if (hr_json_string(node) != NULL)
        return hr_json_add_string(out, hr_json_string(node));
    return visit_all(json, node, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_json *json = NULL;
    hr_text text = {0};
    hr_status status;

    hr_fuzz_begin();
    status = hr_json_parse("input", (const char *)data, n, &json);
    if (status == HR_OK)
        status = visit(json, hr_json_root(json), &text);
    hr_text_free(&text);
    hr_json_close(json);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
