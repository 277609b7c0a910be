#include "model/prompt_fixes.h"

#include "base/log.h"
#include "base/memory.h"
#include "model/html.h"

#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>

enum { ESCAPE = 0x1b, MAX_PARTS = 3 };

/* Latin letters that are drawn as one sign; ftfy's list. */
static const struct {
    uint16_t code, part[MAX_PARTS];
} ligatures[] = {
    {0x132, {'I', 'J'}},       {0x133, {'i', 'j'}},       {0x149, {0x2bc, 'n'}},
    {0x1f1, {'D', 'Z'}},       {0x1f2, {'D', 'z'}},       {0x1f3, {'d', 'z'}},
    {0x1c4, {'D', 0x17d}},     {0x1c5, {'D', 0x17e}},     {0x1c6, {'d', 0x17e}},
    {0x1c7, {'L', 'J'}},       {0x1c8, {'L', 'j'}},       {0x1c9, {'l', 'j'}},
    {0x1ca, {'N', 'J'}},       {0x1cb, {'N', 'j'}},       {0x1cc, {'n', 'j'}},
    {0xfb00, {'f', 'f'}},      {0xfb01, {'f', 'i'}},      {0xfb02, {'f', 'l'}},
    {0xfb03, {'f', 'f', 'i'}}, {0xfb04, {'f', 'f', 'l'}}, {0xfb05, {0x17f, 't'}},
    {0xfb06, {'s', 't'}},
};

/* The compatibility decomposition of one half- or full-width character. */
static int narrow(uint32_t code, uint32_t part[MAX_PARTS])
{
    utf8proc_int32_t codes[MAX_PARTS];
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)code, codes, MAX_PARTS,
                                UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);

    if (n < 1 || n > MAX_PARTS)
        return 0;
    for (int i = 0; i < n; i++)
        part[i] = (uint32_t)codes[i];
    return (int)n;
}

/* fix_c1_controls, fix_latin_ligatures and fix_character_width on one character. */
static int expand(uint32_t code, uint32_t part[MAX_PARTS])
{
    int n = 0;

    code = hr_html_windows_1252(code);
    part[0] = code;
    for (size_t i = 0; i < sizeof ligatures / sizeof *ligatures; i++) {
        if (ligatures[i].code != code)
            continue;
        while (n < MAX_PARTS && ligatures[i].part[n] != 0) {
            part[n] = ligatures[i].part[n];
            n++;
        }
        return n;
    }
    if (code == 0x3000)
        part[0] = ' ';
    else if (code >= 0xff01 && code < 0xfff0)
        n = narrow(code, part);
    return n > 0 ? n : 1;
}

/* uncurl_quotes and the single characters of fix_line_breaks. */
static uint32_t straighten(uint32_t code)
{
    if (code == 0x2bc || (code >= 0x2018 && code <= 0x201b))
        return '\'';
    if (code >= 0x201c && code <= 0x201f)
        return '"';
    if (code == '\r' || code == 0x2028 || code == 0x2029)
        return '\n';
    return code;
}

static hr_status fix_characters(const hr_text *in, hr_text *out)
{
    uint32_t code, part[MAX_PARTS];
    bool after_cr = false;
    size_t length;

    for (size_t i = 0; i < in->length; i += length) {
        length = hr_utf8_decode(in->s + i, in->length - i, &code);
        for (int k = 0, n = expand(code, part); k < n; k++)
            if (!(after_cr && part[k] == '\n'))
                HR_TRY(hr_text_add_code(out, straighten(part[k])));
        after_cr = code == '\r';
    }
    return HR_OK;
}

static bool is_decimal_digit(uint32_t code)
{
    return utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_ND;
}

/* Bytes of the terminal escape at the start of s ("\033[31;1m"): 0 when there is none. */
static size_t escape_length(const char *s, size_t n)
{
    size_t i = 2, length;
    uint32_t code;

    if (n < 3 || s[0] != ESCAPE || s[1] != '[')
        return 0;
    while (i < n) {
        length = hr_utf8_decode(s + i, n - i, &code);
        i += length;
        if ((code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z'))
            return i;
        if (code != ';' && !is_decimal_digit(code))
            return 0;
    }
    return 0;
}

/* Control characters that ftfy drops: without those that make white space. */
static bool is_dropped(uint32_t code)
{
    return (code < 0x20 && code != '\t' && code != '\n' && code != '\f' &&
            code != '\r') ||
           code == 0x7f || (code >= 0x206a && code <= 0x206f) || code == 0xfeff ||
           (code >= 0xfff9 && code <= 0xfffc);
}

/* remove_terminal_escapes and remove_control_chars. */
static hr_status drop_controls(const hr_text *in, hr_text *out)
{
    size_t length;
    uint32_t code;

    for (size_t i = 0; i < in->length; i += length) {
        length = escape_length(in->s + i, in->length - i);
        if (length > 0)
            continue;
        length = hr_utf8_decode(in->s + i, in->length - i, &code);
        if (!is_dropped(code))
            HR_TRY(hr_text_append(out, in->s + i, length));
    }
    return HR_OK;
}

static hr_status compose(const hr_text *in, hr_text *out)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)in->s;
    utf8proc_ssize_t room, n = -1;
    hr_status status = HR_OK;
    size_t size;
    void *codes;

    if (in->length == 0)
        return HR_OK;
    room = utf8proc_decompose(bytes, (utf8proc_ssize_t)in->length, NULL, 0, options);
    if (room < 0)
        return hr_fail(HR_ERR_INTERNAL, "cannot normalize the prompt: %s",
                       utf8proc_errmsg(room));
    HR_TRY(hr_size_mul((size_t)room, sizeof(utf8proc_int32_t), &size));
    HR_TRY(hr_alloc_or_fail(size, "the prompt", &codes));
    n = utf8proc_decompose(bytes, (utf8proc_ssize_t)in->length, codes, room, options);
    if (n >= 0)
        n = utf8proc_normalize_utf32(codes, n, options);
    if (n < 0)
        status = hr_fail(HR_ERR_INTERNAL, "cannot normalize the prompt: %s",
                         utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; i < n && status == HR_OK; i++)
        status = hr_text_add_code(out, (uint32_t)((utf8proc_int32_t *)codes)[i]);
    hr_free(codes);
    return status;
}

static void swap_and_clear(hr_text *a, hr_text *b)
{
    hr_text old = *a;

    *a = *b;
    *b = old;
    b->length = 0;
}

/* Replaces *text by its fixed form; `spare` is scratch. */
static hr_status fix_once(hr_text *text, bool with_html, hr_text *spare)
{
    spare->length = 0;
    if (with_html) {
        HR_TRY(hr_html_unescape_closed(text->s, text->length, spare));
        swap_and_clear(text, spare);
    }
    HR_TRY(fix_characters(text, spare));
    swap_and_clear(text, spare);
    HR_TRY(drop_controls(text, spare));
    swap_and_clear(text, spare);
    HR_TRY(compose(text, spare));
    swap_and_clear(text, spare);
    return HR_OK;
}

static bool is_plain(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] >= 0x7f || s[i] == '&' || s[i] == '\r' ||
            is_dropped((unsigned char)s[i]))
            return false;
    return true;
}

/* Fixes one line until nothing changes any more. */
static hr_status fix_line(const char *s, size_t n, bool with_html, hr_text *out)
{
    hr_text text = {0}, before = {0}, spare = {0};
    hr_status status = HR_OK;
    bool changed = true;

    if (is_plain(s, n))
        return hr_text_append(out, s, n);
    HR_TRY_GOTO(hr_text_append(&text, s, n), end);
    while (changed && text.length > 0) {
        before.length = 0;
        HR_TRY_GOTO(hr_text_append(&before, text.s, text.length), end);
        HR_TRY_GOTO(fix_once(&text, with_html, &spare), end);
        changed =
            text.length != before.length || memcmp(text.s, before.s, before.length) != 0;
    }
    if (text.length > 0)
        status = hr_text_append(out, text.s, text.length);
end:
    hr_text_free(&text);
    hr_text_free(&before);
    hr_text_free(&spare);
    return status;
}

hr_status hr_prompt_fix(const char *text, hr_text *out)
{
    /* ftfy decodes references up to the first line with a "<": from there on it is HTML.
     */
    bool with_html = true;
    const char *newline;
    size_t n;

    for (; *text != '\0'; text += n) {
        newline = strchr(text, '\n');
        n = newline != NULL ? (size_t)(newline - text) + 1 : strlen(text);
        with_html = with_html && memchr(text, '<', n) == NULL;
        HR_TRY(fix_line(text, n, with_html, out));
    }
    return HR_OK;
}
