/* UTF-8 and a string that grows. Local. */
#ifndef HR_BASE_TEXT_H
#define HR_BASE_TEXT_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Decodes the code point that starts at s (at least 1 of `n` bytes) into *code and
 * returns its length; 0 when the bytes are not valid UTF-8 (overlong, surrogate, beyond
 * U+10FFFF, cut). */
size_t hr_utf8_decode(const char *s, size_t n, uint32_t *code);

/* Writes `code` as UTF-8 into out (room for 4 bytes); returns the length. `code` is
 * valid. */
size_t hr_utf8_encode(uint32_t code, char *out);

/* The offset of the first byte that is not valid UTF-8, or n when all are. */
size_t hr_utf8_check(const char *s, size_t n);

/* A growing, always NUL-terminated string. Zero-initialise; hr_text_free when done. */
typedef struct hr_text {
    char *s; /* NULL while empty and never appended to */
    size_t length;
    size_t capacity;
} hr_text;

/* HR_ERR_NOMEM (logged) when it cannot grow; the text is then as before. */
hr_status hr_text_append(hr_text *text, const char *s, size_t n);
hr_status hr_text_add(hr_text *text, const char *s);
hr_status hr_text_add_code(hr_text *text, uint32_t code);
hr_status hr_text_printf(hr_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Text from a stranger's file, for a terminal: '?' for control characters and for what is
 * not UTF-8, "..." for what comes after about `max_bytes`. */
hr_status hr_text_add_shown(hr_text *text, const char *s, size_t max_bytes);
/* A word of a command as a shell reads it: in quotes where it needs them. */
hr_status hr_text_add_word(hr_text *text, const char *word);
void hr_text_free(hr_text *text);

/* Reads a whole file; *out is NUL-terminated, caller hr_frees. Refuses more than
 * max_bytes (HR_ERR_FORMAT) and anything that is not a plain file. Errors are logged with
 * the path. */
hr_status hr_read_file(const char *path, size_t max_bytes, char **out, size_t *n_bytes);

/* Why a file could not be opened (errno `error`) by who follows no link. */
const char *hr_open_error(const char *path, int error);

/* "12.3 MB" with the powers of 1000, into out (room for 16 bytes). Returns out. */
char *hr_format_bytes(uint64_t bytes, char out[16]);

/* "0:07", "12:34", "3:05:00", "2 d 3:05:00"; a negative time as none. Returns out. */
char *hr_format_duration(double seconds, char out[24]);

#endif
