/* A receipt (io/receipt.h) as JSON: the head, then a line of hashes for each step and one
 * for each frame. */
#include "base/log.h"
#include "base/memory.h"
#include "io/json.h"
#include "io/out_file.h"
#include "io/receipt_parts.h"

#include <inttypes.h>
#include <string.h>

enum {
    DIGITS = HR_HASH_TEXT_BYTES - 1,
    MAX_FILE_BYTES = 256 << 20,
    MAX_COUNT = 10 << 20, /* of steps and of frames */
    MAX_LINES = 20000     /* of a group of the head: finding one is a walk over them */
};

static const char format_name[] = "haloreel receipt 1";

static hr_status add_group(const hr_receipt *receipt, hr_receipt_group group,
                           hr_text *text)
{
    const char *before = "";

    HR_TRY(hr_text_printf(text, "  \"%s\": {", hr_receipt_group_names[group]));
    for (size_t i = 0; i < receipt->n_lines; i++) {
        const hr_receipt_line *line = &receipt->line[i];
        if (line->group != group)
            continue;
        HR_TRY(hr_text_printf(text, "%s\n    ", before));
        HR_TRY(hr_json_add_string(text, line->key));
        HR_TRY(hr_text_add(text, ": "));
        HR_TRY(hr_json_add_string(text, line->value));
        before = ",";
    }
    return hr_text_add(text, "\n  },\n");
}

static hr_status add_table(const hr_hash_table *table, const char *name, hr_text *text)
{
    char digits[HR_HASH_TEXT_BYTES];

    HR_TRY(hr_text_printf(text, "  \"%s\": [", name));
    for (int64_t row = 0; row < table->n_rows; row++) {
        const hr_hash *hash = table->hash + row * table->n_columns;
        HR_TRY(hr_text_add(text, row > 0 ? ",\n    \"" : "\n    \""));
        for (int64_t i = 0; i < table->n_columns; i++)
            HR_TRY(hr_text_printf(text, i > 0 ? " %s" : "%s",
                                  hr_hash_text(hash[i], digits)));
        HR_TRY(hr_text_add(text, "\""));
    }
    return hr_text_add(text, "\n  ]");
}

static hr_status format(const hr_receipt *receipt, hr_text *text)
{
    HR_TRY(hr_text_printf(text, "{\n  \"format\": \"%s\",\n", format_name));
    for (int i = 0; i < HR_RECEIPT_GROUP_COUNT; i++)
        HR_TRY(add_group(receipt, (hr_receipt_group)i, text));
    HR_TRY(hr_text_printf(text,
                          "  \"steps\": %" PRId64 ",\n  \"latent_frames\": %" PRId64
                          ",\n  \"frames\": %" PRId64 ",\n",
                          receipt->latents.n_rows, receipt->latents.n_columns,
                          receipt->frames.n_rows));
    HR_TRY(add_table(&receipt->latents, "latent_hashes", text));
    HR_TRY(hr_text_add(text, ",\n"));
    HR_TRY(add_table(&receipt->frames, "frame_hashes", text));
    return hr_text_add(text, "\n}\n");
}

hr_status hr_receipt_write(const hr_receipt *receipt, const char *path)
{
    hr_text text = {0};
    hr_status status = format(receipt, &text);

    if (status == HR_OK)
        status = hr_out_file_save(path, text.s, text.length);
    hr_text_free(&text);
    return status;
}

static hr_status check_format(const hr_json *json)
{
    const char *found = hr_json_string(hr_json_get(hr_json_root(json), "format"));

    if (found == NULL)
        return hr_fail(HR_ERR_FORMAT, "%s: no format, expected \"%s\"",
                       hr_json_name(json), format_name);
    if (strcmp(found, format_name) != 0)
        return hr_fail(HR_ERR_FORMAT, "%s: format: found \"%.60s\", expected \"%s\"",
                       hr_json_name(json), found, format_name);
    return HR_OK;
}

static hr_status read_count(const hr_json *json, const char *name, int64_t *out)
{
    *out = -1;
    HR_TRY(hr_json_read_i64(json, hr_json_root(json), name, 0, MAX_COUNT, out));
    if (*out < 0)
        return hr_fail(HR_ERR_FORMAT, "%s: no %s", hr_json_name(json), name);
    return HR_OK;
}

/* Whether there are as many lines and digits as the counts promise: before anything is
 * allocated by them. */
static hr_status check_table(const hr_json *json, const char *name, int64_t n_rows,
                             int64_t n_columns)
{
    const hr_json_node *table = hr_json_get(hr_json_root(json), name);
    size_t row = 0;

    if (!hr_json_is_array(table))
        return hr_fail(HR_ERR_FORMAT, "%s: no list %s", hr_json_name(json), name);
    if (hr_json_size(table) != (size_t)n_rows)
        return hr_fail(HR_ERR_FORMAT, "%s: %s: found %zu lines, expected %" PRId64,
                       hr_json_name(json), name, hr_json_size(table), n_rows);
    for (const hr_json_node *x = hr_json_first(table); x != NULL; x = hr_json_next(x)) {
        const char *line = hr_json_string(x);
        int64_t wanted = n_columns > 0 ? n_columns * (DIGITS + 1) - 1 : 0;
        if (line == NULL || strlen(line) != (size_t)wanted)
            return hr_fail(HR_ERR_FORMAT, "%s: %s[%zu]: not a line of %" PRId64 " hashes",
                           hr_json_name(json), name, row, n_columns);
        row++;
    }
    return HR_OK;
}

static bool parse_cell(const char *at, bool is_last, hr_hash *out)
{
    char digits[HR_HASH_TEXT_BYTES] = "";

    memcpy(digits, at, DIGITS);
    return hr_hash_parse(digits, out) && at[DIGITS] == (is_last ? '\0' : ' ');
}

/* Of a table that check_table has passed. */
static hr_status parse_table(const hr_json *json, const char *name, hr_hash_table *table)
{
    const hr_json_node *x = hr_json_first(hr_json_get(hr_json_root(json), name));
    hr_hash *hash = table->hash;

    for (int64_t row = 0; row < table->n_rows; row++, x = hr_json_next(x))
        for (int64_t i = 0; i < table->n_columns; i++) {
            const char *at = hr_json_string(x) + i * (DIGITS + 1);
            if (!parse_cell(at, i == table->n_columns - 1, hash++))
                return hr_fail(HR_ERR_FORMAT,
                               "%s: %s[%" PRId64 "]: number %" PRId64
                               " is not a hash of %d hexadecimal digits",
                               hr_json_name(json), name, row, i, DIGITS);
        }
    return HR_OK;
}

static hr_status parse_group(const hr_json *json, const char *name, hr_receipt *receipt)
{
    const hr_json_node *group = hr_json_get(hr_json_root(json), name);

    if (!hr_json_is_object(group))
        return hr_fail(HR_ERR_FORMAT, "%s: no group %s", hr_json_name(json), name);
    if (hr_json_size(group) > MAX_LINES)
        return hr_fail(HR_ERR_FORMAT, "%s: %s: found %zu lines, at most %d are read",
                       hr_json_name(json), name, hr_json_size(group), MAX_LINES);
    for (const hr_json_node *x = hr_json_first(group); x != NULL; x = hr_json_next(x)) {
        if (hr_json_string(x) == NULL)
            return hr_fail(HR_ERR_FORMAT, "%s: %s.%.60s: not a string",
                           hr_json_name(json), name, hr_json_key(x));
        HR_TRY(hr_receipt_set(receipt, name, hr_json_key(x), hr_json_string(x)));
    }
    return HR_OK;
}

static hr_status parse_rest(const hr_json *json, hr_receipt *receipt)
{
    for (int i = 0; i < HR_RECEIPT_GROUP_COUNT; i++)
        HR_TRY(parse_group(json, hr_receipt_group_names[i], receipt));
    HR_TRY(parse_table(json, "latent_hashes", &receipt->latents));
    return parse_table(json, "frame_hashes", &receipt->frames);
}

static hr_status parse(const hr_json *json, hr_receipt **out)
{
    int64_t n_steps, n_latent_frames, n_frames;
    hr_receipt *receipt;
    hr_status status;

    HR_TRY(check_format(json));
    HR_TRY(read_count(json, "steps", &n_steps));
    HR_TRY(read_count(json, "latent_frames", &n_latent_frames));
    HR_TRY(read_count(json, "frames", &n_frames));
    HR_TRY(check_table(json, "latent_hashes", n_steps, n_latent_frames));
    HR_TRY(check_table(json, "frame_hashes", n_frames, 1));
    HR_TRY(hr_receipt_create(n_steps, n_latent_frames, n_frames, &receipt));
    status = parse_rest(json, receipt);
    if (status != HR_OK) {
        hr_receipt_free(receipt);
        return status;
    }
    *out = receipt;
    return HR_OK;
}

hr_status hr_receipt_read(const char *path, hr_receipt **out)
{
    hr_json *json;
    hr_status status;

    HR_TRY(hr_json_open(path, MAX_FILE_BYTES, &json));
    status = parse(json, out);
    hr_json_close(json);
    return status;
}
