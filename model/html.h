/* Character references of HTML in plain text. Local, pure; the input is valid UTF-8. */
#ifndef HR_MODEL_HTML_H
#define HR_MODEL_HTML_H

#include "base/text.h"

/* Appends the n bytes of s to *out with every reference decoded, as Python's
 * html.unescape: HTML5's rules, so the longest known name wins even without ";". */
hr_status hr_html_unescape(const char *s, size_t n, hr_text *out);

/* Only what is surely meant as a reference, as ftfy 6.3.1 fixes.unescape_html: closed by
 * ";", and also capital spellings like "&EACUTE;". */
hr_status hr_html_unescape_closed(const char *s, size_t n, hr_text *out);

/* What Windows-1252 has at 0x80..0x9f; its five gaps stand for themselves. */
uint32_t hr_html_windows_1252(uint32_t code);

#endif
