#include "io/job_yaml.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { MAX_KEYS = 64 };

typedef struct yaml_reader {
    yaml_parser_t parser;
    const char *path;
    const hr_yaml_visitor *visitor;
    struct {
        char name[HR_JOB_NAME_BYTES];
        size_t line;
    } seen[MAX_KEYS];
    size_t n_seen;
} yaml_reader;

static hr_job_place place_at(const yaml_reader *reader, yaml_mark_t mark)
{
    return (hr_job_place){reader->path, mark.line + 1, mark.column + 1};
}

/* What libyaml's reader takes, less the tab and a byte order mark in the middle. */
static bool is_allowed(uint32_t code)
{
    return code == '\n' || code == '\r' || code == 0x85 ||
           (code >= 0x20 && code < 0x7f) ||
           (code >= 0xa0 && code != 0xfeff && code != 0xfffe && code != 0xffff);
}

/* libyaml gives such characters no line and column. */
static hr_status check_characters(const char *path, const char *text, size_t n_bytes)
{
    hr_job_place place = {path, 1, 1};
    size_t length;
    uint32_t code;

    for (size_t i = 0; i < n_bytes; i += length) {
        length = hr_utf8_decode(text + i, n_bytes - i, &code);
        if (length == 0)
            return hr_job_refuse(&place, "byte 0x%02x is not UTF-8",
                                 (unsigned)(unsigned char)text[i]);
        if (code == '\t')
            return hr_job_refuse(&place, "a tab, expected blanks (in text: \"\\t\")");
        if (!is_allowed(code))
            return hr_job_refuse(&place, "character U+%04X is not allowed",
                                 (unsigned)code);
        place.column++;
        if (code == '\n' || (code == '\r' && i + 1 < n_bytes && text[i + 1] != '\n')) {
            place.line++;
            place.column = 1;
        }
    }
    return HR_OK;
}

static hr_status refuse_property(const yaml_reader *reader, yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    hr_job_place place = place_at(reader, event->start_mark);

    if (event->type == YAML_ALIAS_EVENT)
        return hr_job_refuse(&place, "an alias (*), which job files do not have");
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    if (anchor != NULL)
        return hr_job_refuse(&place, "an anchor (&), which job files do not have");
    if (tag != NULL)
        return hr_job_refuse(&place, "a tag (!), which job files do not have");
    return HR_OK;
}

/* The next event, which the caller deletes; without anchor, alias and tag. */
static hr_status next_event(yaml_reader *reader, yaml_event_t *event)
{
    const yaml_parser_t *parser = &reader->parser;
    hr_job_place place;
    hr_status status;
    bool no_memory = hr_fault("yaml.parse");

    if (no_memory || !yaml_parser_parse(&reader->parser, event)) {
        if (no_memory || parser->error == YAML_MEMORY_ERROR)
            return hr_fail(HR_ERR_NOMEM, "%s: out of memory while reading", reader->path);
        place = place_at(reader, parser->problem_mark);
        return hr_job_refuse(&place, "not YAML: %s",
                             parser->problem != NULL ? parser->problem
                                                     : "unknown reason");
    }
    status = refuse_property(reader, event);
    if (status != HR_OK)
        yaml_event_delete(event);
    return status;
}

static hr_status remember_key(yaml_reader *reader, const char *name,
                              const hr_job_place *place)
{
    for (size_t i = 0; i < reader->n_seen; i++)
        if (strcmp(reader->seen[i].name, name) == 0)
            return hr_job_refuse(place, "%s: a second time, first in line %zu", name,
                                 reader->seen[i].line);
    if (reader->n_seen == MAX_KEYS)
        return hr_job_refuse(place, "%s: more than %d keys", name, MAX_KEYS);
    snprintf(reader->seen[reader->n_seen].name, HR_JOB_NAME_BYTES, "%s", name);
    reader->seen[reader->n_seen++].line = place->line;
    return HR_OK;
}

static hr_status read_mapping(yaml_reader *reader, const char *prefix);

static hr_status read_value(yaml_reader *reader, const char *name,
                            const hr_job_place *key_place)
{
    const hr_yaml_visitor *visitor = reader->visitor;
    hr_job_value value = {0};
    yaml_event_t event;
    hr_status status;

    HR_TRY(next_event(reader, &event));
    value.place = place_at(reader, event.start_mark);
    if (event.type == YAML_MAPPING_START_EVENT &&
        visitor->is_section(visitor->user, name)) {
        yaml_event_delete(&event);
        return read_mapping(reader, name);
    }
    if (event.type == YAML_SCALAR_EVENT) {
        value.kind = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? HR_JOB_PLAIN
                                                                        : HR_JOB_QUOTED;
        value.text = (const char *)event.data.scalar.value;
        value.length = event.data.scalar.length;
    } else {
        value.kind =
            event.type == YAML_SEQUENCE_START_EVENT ? HR_JOB_LIST : HR_JOB_MAPPING;
    }
    status = visitor->value(visitor->user, name, &value, key_place);
    yaml_event_delete(&event);
    if (status == HR_OK && value.text == NULL)
        status = hr_fail(HR_ERR_INTERNAL, "%s: %s: taken without being read",
                         reader->path, name);
    return status;
}

static hr_status read_pair(yaml_reader *reader, const char *prefix, yaml_event_t *key)
{
    hr_job_place place = place_at(reader, key->start_mark);
    const char *text;
    char name[HR_JOB_NAME_BYTES];
    int length;

    if (key->type != YAML_SCALAR_EVENT)
        return hr_job_refuse(&place, "a key that is a list or a mapping");
    text = (const char *)key->data.scalar.value;
    length =
        snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] != '\0' ? "." : "", text);
    if (length < 0 || (size_t)length >= sizeof name ||
        strlen(text) != key->data.scalar.length)
        return hr_job_refuse(&place, "%.60s: unknown key", text);
    HR_TRY(remember_key(reader, name, &place));
    return read_value(reader, name, &place);
}

/* The pairs up to the end of a mapping that has begun. */
static hr_status read_mapping(yaml_reader *reader, const char *prefix)
{
    yaml_event_t event;
    hr_status status;

    for (;;) {
        HR_TRY(next_event(reader, &event));
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return HR_OK;
        }
        status = read_pair(reader, prefix, &event);
        yaml_event_delete(&event);
        HR_TRY(status);
    }
}

static hr_status refuse_root(const yaml_reader *reader, const yaml_event_t *event)
{
    hr_job_place place = place_at(reader, event->start_mark);

    if (event->type == YAML_STREAM_END_EVENT ||
        (event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0))
        return hr_job_refuse(&place,
                             "the file is empty, expected lines like \"key: value\"");
    return hr_job_refuse(&place, "%s, expected lines like \"key: value\"",
                         event->type == YAML_SEQUENCE_START_EVENT ? "a list" : "text");
}

static hr_status skip_event(yaml_reader *reader)
{
    yaml_event_t event;

    HR_TRY(next_event(reader, &event));
    yaml_event_delete(&event);
    return HR_OK;
}

static hr_status read_stream(yaml_reader *reader)
{
    yaml_event_t event;
    hr_job_place place;
    hr_status status = HR_OK;

    HR_TRY(skip_event(reader)); /* start of the stream */
    HR_TRY(next_event(reader, &event));
    if (event.type == YAML_DOCUMENT_START_EVENT) {
        yaml_event_delete(&event);
        HR_TRY(next_event(reader, &event));
    }
    if (event.type != YAML_MAPPING_START_EVENT)
        status = refuse_root(reader, &event);
    yaml_event_delete(&event);
    HR_TRY(status);
    HR_TRY(read_mapping(reader, ""));
    HR_TRY(skip_event(reader)); /* end of the document */
    HR_TRY(next_event(reader, &event));
    place = place_at(reader, event.start_mark);
    if (event.type != YAML_STREAM_END_EVENT)
        status = hr_job_refuse(&place, "a second document, expected one");
    yaml_event_delete(&event);
    return status;
}

hr_status hr_yaml_parse(const char *path, const char *text, size_t n_bytes,
                        const hr_yaml_visitor *visitor)
{
    static const char mark[] = "\xef\xbb\xbf";
    yaml_reader reader = {.path = path, .visitor = visitor};
    hr_status status;

    if (n_bytes >= 3 && memcmp(text, mark, 3) == 0) {
        text += 3;
        n_bytes -= 3;
    }
    HR_TRY(check_characters(path, text, n_bytes));
    if (hr_fault("yaml.open") || !yaml_parser_initialize(&reader.parser))
        return hr_fail(HR_ERR_NOMEM, "%s: out of memory while reading", path);
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, n_bytes);
    status = read_stream(&reader);
    yaml_parser_delete(&reader.parser);
    return status;
}

hr_status hr_yaml_read(const char *path, size_t max_bytes, const hr_yaml_visitor *visitor)
{
    char *text;
    size_t n_bytes;
    hr_status status = hr_read_file(path, max_bytes, &text, &n_bytes);

    if (status != HR_OK)
        return status == HR_ERR_NOMEM ? status : HR_ERR_ARG;
    status = hr_yaml_parse(path, text, n_bytes, visitor);
    hr_free(text);
    return status;
}
