#include "io/job_keys.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_BYTES = 60 }; /* of a value in a message */

static void *field_of(hr_job *job, const hr_job_key_info *info)
{
    return (char *)job + info->offset;
}

static const void *const_field_of(const hr_job *job, const hr_job_key_info *info)
{
    return (const char *)job + info->offset;
}

static bool is_nothing(const hr_job_value *value)
{
    return value->kind == HR_JOB_PLAIN &&
           (value->length == 0 || strcmp(value->text, "~") == 0 ||
            strcmp(value->text, "null") == 0);
}

static void show_value(const hr_job_value *value, char out[SHOWN_BYTES + 8])
{
    size_t n = 0;
    uint32_t code;
    const char *quote = value->kind == HR_JOB_QUOTED || value->length == 0 ? "\"" : "";

    if (value->kind == HR_JOB_LIST || value->kind == HR_JOB_MAPPING) {
        snprintf(out, SHOWN_BYTES + 8, "%s",
                 value->kind == HR_JOB_LIST ? "a list" : "a mapping");
    } else if (is_nothing(value)) {
        snprintf(out, SHOWN_BYTES + 8, "nothing");
    } else {
        while (n < value->length && n + 4 <= SHOWN_BYTES)
            n += hr_utf8_decode(value->text + n, value->length - n, &code);
        snprintf(out, SHOWN_BYTES + 8, "%s%.*s%s%s", quote, (int)n, value->text, quote,
                 n < value->length ? "..." : "");
    }
}

hr_status hr_job_refuse_value(const char *name, const hr_job_value *value,
                              const char *expected)
{
    char shown[SHOWN_BYTES + 8];

    show_value(value, shown);
    return hr_job_refuse(&value->place, "%.200s: %s is %s", name, shown, expected);
}

/* "... is not in 1..1000"; `what` names the type where the text is none of it. */
static hr_status refuse_range(hr_job_key key, const char *name, const hr_job_value *value,
                              const char *what)
{
    hr_text expected = {0};
    hr_status status = hr_text_printf(&expected, "not %s", what);

    if (status == HR_OK)
        status = hr_job_key_range(key, &expected);
    if (status == HR_OK)
        status = hr_job_refuse_value(name, value, expected.s);
    hr_text_free(&expected);
    return status;
}

/* Digits only, no leading zero: YAML 1.1 and 1.2 disagree about 010. */
static bool is_whole(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text) &&
           (text[0] != '0' || text[1] == '\0');
}

static bool is_number(const char *text)
{
    static const char digits[] = "0123456789";
    const char *s = text + (text[0] == '-');
    size_t before = strspn(s, digits), after = 0;

    s += before;
    if (*s == '.') {
        after = strspn(s + 1, digits);
        s += 1 + after;
    }
    if (before + after == 0)
        return false;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        if (strspn(s, digits) == 0)
            return false;
        s += strspn(s, digits);
    }
    return *s == '\0';
}

bool hr_job_scan_whole(const char *text, uint64_t max, uint64_t *out)
{
    unsigned long long value;

    if (!is_whole(text))
        return false;
    errno = 0;
    value = strtoull(text, NULL, 10);
    if (errno != 0 || value > max)
        return false;
    *out = value;
    return true;
}

static bool is_scalar(const hr_job_value *value)
{
    return (value->kind == HR_JOB_PLAIN || value->kind == HR_JOB_LITERAL) &&
           strlen(value->text) == value->length;
}

static hr_status assign_text(hr_job *job, hr_job_key key, const char *name,
                             const hr_job_value *value)
{
    const hr_job_key_info *info = hr_job_key_at(key);
    char **field = field_of(job, info), *copy;

    if (value->text == NULL || is_nothing(value) ||
        (info->type == HR_JOB_PATH && value->length == 0))
        return refuse_range(key, name, value, "");
    if (strlen(value->text) != value->length)
        return hr_job_refuse(&value->place, "%s: text with a NUL character", name);
    copy = hr_strndup(value->text, value->length);
    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for %s", value->length,
                       name);
    hr_free(*field);
    *field = copy;
    return HR_OK;
}

static hr_status assign_choice(hr_job *job, hr_job_key key, const char *name,
                               const hr_job_value *value)
{
    const hr_job_key_info *info = hr_job_key_at(key);

    if (value->text != NULL && strlen(value->text) == value->length)
        for (unsigned i = 0; info->choices[i] != NULL; i++)
            if (strcmp(info->choices[i], value->text) == 0) {
                memcpy(field_of(job, info), &i, sizeof i);
                return HR_OK;
            }
    return refuse_range(key, name, value, "in ");
}

static hr_status assign_whole(hr_job *job, hr_job_key key, const char *name,
                              const hr_job_value *value)
{
    const hr_job_key_info *info = hr_job_key_at(key);
    uint64_t number, max = info->type == HR_JOB_SEED ? UINT64_MAX : (uint64_t)info->max;
    bool scalar = is_scalar(value), seed = info->type == HR_JOB_SEED;
    const char *text = scalar ? value->text : "";

    if (info->type == HR_JOB_AUTO_WHOLE && strcmp(text, "auto") == 0) {
        number = 0;
    } else if (!hr_job_scan_whole(text, max, &number) ||
               (!seed && number < (uint64_t)info->min)) {
        text += text[0] == '-';
        if (is_whole(text) || info->type == HR_JOB_AUTO_WHOLE || !scalar)
            return refuse_range(key, name, value, "in ");
        return refuse_range(key, name, value, "a whole number in ");
    }
    memcpy(field_of(job, info), &number,
           sizeof number); /* int64_t: max is far below 2^63 */
    return HR_OK;
}

static hr_status assign_number(hr_job *job, hr_job_key key, const char *name,
                               const hr_job_value *value)
{
    const hr_job_key_info *info = hr_job_key_at(key);
    double number;

    if (!is_scalar(value))
        return refuse_range(key, name, value, "in ");
    if (!is_number(value->text))
        return refuse_range(key, name, value, "a number in ");
    number = strtod(value->text, NULL);
    if (!(number >= info->min && number <= info->max))
        return refuse_range(key, name, value, "in ");
    memcpy(field_of(job, info), &number, sizeof number);
    return HR_OK;
}

static hr_status assign_interval(hr_job *job, hr_job_key key, const char *name,
                                 const hr_job_value *value)
{
    hr_interval interval;

    if (!is_scalar(value) || !hr_interval_scan(value->text, &interval))
        return refuse_range(key, name, value, "");
    memcpy(field_of(job, hr_job_key_at(key)), &interval, sizeof interval);
    return HR_OK;
}

/* A length is given in frames or in seconds: the later one replaces the other. */
static void unset_other_length(hr_job *job, hr_job_key key)
{
    if (key == HR_KEY_FRAMES)
        job->is_set[HR_KEY_SECONDS] = false;
    else if (key == HR_KEY_SECONDS)
        job->is_set[HR_KEY_FRAMES] = false;
}

hr_status hr_job_key_assign(hr_job *job, hr_job_key key, const char *name,
                            const hr_job_value *value)
{
    hr_status status;

    switch (hr_job_key_at(key)->type) {
    case HR_JOB_TEXT:
    case HR_JOB_PATH:
        status = assign_text(job, key, name, value);
        break;
    case HR_JOB_CHOICE:
        status = assign_choice(job, key, name, value);
        break;
    case HR_JOB_NUMBER:
        status = assign_number(job, key, name, value);
        break;
    case HR_JOB_INTERVAL:
        status = assign_interval(job, key, name, value);
        break;
    default:
        status = assign_whole(job, key, name, value);
        break;
    }
    HR_TRY(status);
    job->is_set[key] = true;
    unset_other_length(job, key);
    return HR_OK;
}

static size_t field_bytes(hr_job_type type)
{
    if (type == HR_JOB_INTERVAL)
        return sizeof(hr_interval);
    return type == HR_JOB_CHOICE ? sizeof(unsigned) : sizeof(uint64_t);
}

hr_status hr_job_key_copy(hr_job *job, const hr_job *from, hr_job_key key)
{
    const hr_job_key_info *info = hr_job_key_at(key);
    hr_job_value value = {.kind = HR_JOB_LITERAL, .place = {.origin = "job"}};

    if (info->type == HR_JOB_TEXT || info->type == HR_JOB_PATH) {
        value.text = *(char *const *)const_field_of(from, info);
        value.length = strlen(value.text);
        return hr_job_key_assign(job, key, info->name, &value);
    }
    memcpy(field_of(job, info), const_field_of(from, info), field_bytes(info->type));
    job->is_set[key] = true;
    unset_other_length(job, key);
    return HR_OK;
}

/* Whether a character has to be escaped in double quotes: controls, other line breaks,
 * marks. */
static bool is_escaped(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 ||
           code == 0x2029 || code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static hr_status write_quoted(const char *s, hr_text *out)
{
    size_t n = strlen(s), length;
    uint32_t code;

    HR_TRY(hr_text_add(out, "\""));
    for (size_t i = 0; i < n; i += length) {
        length = hr_utf8_decode(s + i, n - i, &code);
        if (length == 0)
            return hr_fail(HR_ERR_ARG, "job: text that is not UTF-8");
        if (code == '\n')
            HR_TRY(hr_text_add(out, "\\n"));
        else if (code == '"' || code == '\\')
            HR_TRY(hr_text_printf(out, "\\%c", (int)code));
        else if (is_escaped(code))
            HR_TRY(hr_text_printf(out, "\\u%04x", (unsigned)code));
        else
            HR_TRY(hr_text_append(out, s + i, length));
    }
    return hr_text_add(out, "\"");
}

/* The fewest digits that read back to the same number; 600, not 6e+02. */
static hr_status write_number(double number, hr_text *out)
{
    char digits[40];
    int precision = 1;

    do
        snprintf(digits, sizeof digits, "%.*g", precision, number);
    while ((strtod(digits, NULL) != number ||
            (number >= 1 && strchr(digits, 'e') != NULL)) &&
           ++precision <= 17);
    return hr_text_add(out, digits);
}

hr_status hr_job_write_value(const hr_job *job, hr_job_key key, hr_text *out)
{
    const hr_job_key_info *info = hr_job_key_at(key);
    const void *field = const_field_of(job, info);
    hr_interval interval;
    uint64_t whole;
    unsigned choice;
    double number;

    switch (info->type) {
    case HR_JOB_TEXT:
    case HR_JOB_PATH:
        return write_quoted(*(char *const *)field, out);
    case HR_JOB_CHOICE:
        memcpy(&choice, field, sizeof choice);
        return hr_text_add(out, info->choices[choice]);
    case HR_JOB_NUMBER:
        memcpy(&number, field, sizeof number);
        return write_number(number, out);
    case HR_JOB_INTERVAL:
        memcpy(&interval, field, sizeof interval);
        return hr_interval_write(&interval, out);
    default:
        memcpy(&whole, field, sizeof whole);
        if (whole == 0 && info->type == HR_JOB_AUTO_WHOLE)
            return hr_text_add(out, "auto");
        return hr_text_printf(out, "%llu", (unsigned long long)whole);
    }
}
