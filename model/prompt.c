#include "model/prompt.h"

#include "base/log.h"
#include "model/html.h"
#include "model/prompt_fixes.h"

#include <stdbool.h>
#include <string.h>

/* Unicode's White_Space: what \s of Python's regex module matches. */
static bool is_space(uint32_t code)
{
    return (code >= 0x9 && code <= 0xd) || code == ' ' || code == 0x85 || code == 0xa0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

/* str.strip also takes these four. */
static bool is_stripped(uint32_t code)
{
    return is_space(code) || (code >= 0x1c && code <= 0x1f);
}

/* Appends `in` with each run of white space as one blank and none at the ends. */
static hr_status add_words(const hr_text *in, hr_text *out)
{
    size_t first = in->length, end = 0, length;
    bool after_space = false;
    uint32_t code;

    for (size_t i = 0; i < in->length; i += length) {
        length = hr_utf8_decode(in->s + i, in->length - i, &code);
        if (is_stripped(code))
            continue;
        first = first < i ? first : i;
        end = i + length;
    }
    for (size_t i = first; i < end; i += length) {
        length = hr_utf8_decode(in->s + i, end - i, &code);
        if (!is_space(code))
            HR_TRY(hr_text_append(out, in->s + i, length));
        else if (!after_space)
            HR_TRY(hr_text_append(out, " ", 1));
        after_space = is_space(code);
    }
    return HR_OK;
}

/* What diffusers 0.40.0 pipelines/wan/pipeline_wan.py prompt_clean does after ftfy. */
static hr_status clean(const char *text, hr_text *out)
{
    hr_text once = {0}, twice = {0};
    hr_status status;

    HR_TRY_GOTO(hr_html_unescape(text, strlen(text), &once), end);
    HR_TRY_GOTO(hr_html_unescape(once.s, once.length, &twice), end);
    status = add_words(&twice, out);
end:
    hr_text_free(&once);
    hr_text_free(&twice);
    return status;
}

static hr_status check(const char *prompt)
{
    size_t n = strlen(prompt), valid = hr_utf8_check(prompt, n);

    if (valid < n)
        return hr_fail(HR_ERR_ARG, "prompt: byte %zu (0x%02x) is not valid UTF-8", valid,
                       (unsigned)(unsigned char)prompt[valid]);
    return HR_OK;
}

hr_status hr_prompt_clean_plain(const char *prompt, hr_text *out)
{
    HR_TRY(check(prompt));
    HR_TRY(hr_text_append(out, "", 0));
    return clean(prompt, out);
}

hr_status hr_prompt_clean(const char *prompt, hr_text *out)
{
    hr_text fixed = {0};
    hr_status status;

    HR_TRY(check(prompt));
    HR_TRY(hr_text_append(out, "", 0));
    HR_TRY_GOTO(hr_text_append(&fixed, "", 0), end);
    HR_TRY_GOTO(hr_prompt_fix(prompt, &fixed), end);
    status = clean(fixed.s, out);
end:
    hr_text_free(&fixed);
    return status;
}
