/* The writing half of io/json.h. */
#include "io/json.h"

#include <string.h>

hr_status hr_json_add_string(hr_text *out, const char *value)
{
    size_t n = value != NULL ? strlen(value) : 0, length;
    uint32_t code;

    if (value == NULL)
        return hr_text_add(out, "null");
    HR_TRY(hr_text_add(out, "\""));
    for (size_t i = 0; i < n; i += length) {
        length = hr_utf8_decode(value + i, n - i, &code);
        if (length == 0) { /* a path need not be UTF-8, JSON has to */
            length = 1;
            HR_TRY(hr_text_add_code(out, 0xfffd));
        } else if (code == '"' || code == '\\') {
            HR_TRY(hr_text_printf(out, "\\%c", (int)code));
        } else if (code < 0x20) {
            HR_TRY(hr_text_printf(out, "\\u%04x", (unsigned)code));
        } else {
            HR_TRY(hr_text_append(out, value + i, length));
        }
    }
    return hr_text_add(out, "\"");
}
