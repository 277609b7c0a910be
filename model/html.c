#include "model/html.h"

#include "model/html_entities.h"

#include <string.h>

enum {
    NAME_MAX_CODES = 32,  /* of a name in html.unescape's pattern */
    CLOSED_MAX_BYTES = 24 /* between "&" or "&#" and ";" in ftfy's pattern */
};

uint32_t hr_html_windows_1252(uint32_t code)
{
    static const uint16_t table[32] = {
        0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
        0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
        0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
        0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

    return code >= 0x80 && code <= 0x9f ? table[code - 0x80] : code;
}

static int digit_value(char c, int base)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (base == 16 && c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (base == 16 && c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The length of "#65", "#x41" and the like at the start of s with the ";" that may
 * follow, and its value, where everything beyond Unicode is one; 0 when there is none. */
static size_t parse_number(const char *s, size_t n, uint32_t *value)
{
    int base = n > 1 && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;
    size_t first = base == 16 ? 2 : 1, i = first;

    if (n == 0 || s[0] != '#')
        return 0;
    *value = 0;
    for (; i < n && digit_value(s[i], base) >= 0; i++)
        if (*value <= 0x10ffff)
            *value = *value * (uint32_t)base + (uint32_t)digit_value(s[i], base);
    if (i == first)
        return 0;
    return i < n && s[i] == ';' ? i + 1 : i;
}

/* The code point that a numeric reference gives; false when it gives nothing. Source:
 * Python's html.unescape. */
static bool number_to_code(uint32_t value, uint32_t *code)
{
    *code = value;
    if (value == 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        *code = 0xfffd;
    else if (value >= 0x80 && value <= 0x9f)
        *code = hr_html_windows_1252(value);
    else
        return !((value < 0x20 && value != '\t' && value != '\n' && value != '\f' &&
                  value != '\r') ||
                 value == 0x7f || (value >= 0xfdd0 && value <= 0xfdef) ||
                 (value & 0xfffe) == 0xfffe);
    return true;
}

static hr_status add_entity(hr_text *out, const hr_html_entity *entity)
{
    for (size_t i = 0; i < sizeof entity->code / sizeof *entity->code; i++)
        if (entity->code[i] != 0)
            HR_TRY(hr_text_add_code(out, entity->code[i]));
    return HR_OK;
}

/* Bytes of the longest run that html.unescape takes for a name, its ";" not counted. */
static size_t name_length(const char *s, size_t n)
{
    size_t i = 0;
    uint32_t code;

    for (int codes = 0; codes < NAME_MAX_CODES && i < n; codes++) {
        if (strchr("\t\n\f <&#;", s[i]) != NULL)
            break;
        i += hr_utf8_decode(s + i, n - i, &code);
    }
    return i;
}

/* The reference at the start of s, which has a name of `length` bytes before a possible
 * ";": the name itself, else its longest beginning that needs no ";". *used: bytes of s
 * it takes. */
static const hr_html_entity *find_longest(const char *s, size_t length, bool closed,
                                          size_t *used)
{
    const hr_html_entity *entity = hr_html_entity_find(s, length);

    *used = length + closed;
    if (entity != NULL && (closed || entity->bare))
        return entity;
    for (*used = closed ? length : length - 1; *used > 1; --*used) {
        entity = hr_html_entity_find(s, *used);
        if (entity != NULL && entity->bare)
            return entity;
    }
    return NULL;
}

/* Appends the reference behind an "&" and returns how many bytes of s it took: 0 when
 * there is none. */
static hr_status add_reference(const char *s, size_t n, hr_text *out, size_t *used)
{
    const hr_html_entity *entity;
    uint32_t value, code;
    size_t length;

    *used = parse_number(s, n, &value);
    if (*used > 0)
        return number_to_code(value, &code) ? hr_text_add_code(out, code) : HR_OK;
    length = name_length(s, n);
    if (length == 0)
        return HR_OK;
    entity = find_longest(s, length, length < n && s[length] == ';', used);
    if (entity != NULL)
        return add_entity(out, entity);
    *used = 0;
    return HR_OK;
}

static hr_status add_closed_reference(const char *s, size_t n, hr_text *out, size_t *used)
{
    size_t hash = n > 0 && s[0] == '#', length = hash;
    const hr_html_entity *entity;
    uint32_t value, code;

    *used = 0;
    while (length < n && length - hash < CLOSED_MAX_BYTES &&
           (digit_value(s[length], 10) >= 0 ||
            ((s[length] | 0x20) >= 'a' && (s[length] | 0x20) <= 'z')))
        length++;
    if (length == hash || length == n || s[length] != ';')
        return HR_OK;
    if (hash) {
        bool gives_code;

        if (parse_number(s, n, &value) != length + 1 || value == ';')
            return HR_OK;
        *used = length + 1;
        gives_code = number_to_code(value, &code);
        return gives_code ? hr_text_add_code(out, code) : HR_OK;
    }
    entity = hr_html_entity_find(s, length);
    if (entity == NULL)
        entity = hr_html_capital_find(s, length);
    if (entity == NULL)
        return HR_OK;
    *used = length + 1;
    return add_entity(out, entity);
}

typedef hr_status (*add_reference_fn)(const char *s, size_t n, hr_text *out,
                                      size_t *used);

static hr_status unescape(const char *s, size_t n, add_reference_fn add, hr_text *out)
{
    const char *end = s + n, *ampersand;
    size_t used;

    while ((ampersand = memchr(s, '&', (size_t)(end - s))) != NULL) {
        HR_TRY(hr_text_append(out, s, (size_t)(ampersand - s)));
        s = ampersand + 1;
        HR_TRY(add(s, (size_t)(end - s), out, &used));
        if (used == 0)
            HR_TRY(hr_text_append(out, "&", 1));
        s += used;
    }
    return hr_text_append(out, s, (size_t)(end - s));
}

hr_status hr_html_unescape(const char *s, size_t n, hr_text *out)
{
    return unescape(s, n, add_reference, out);
}

hr_status hr_html_unescape_closed(const char *s, size_t n, hr_text *out)
{
    return unescape(s, n, add_closed_reference, out);
}
