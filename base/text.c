#include "base/text.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

size_t hr_utf8_decode(const char *s, size_t n, uint32_t *code)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *u = (const unsigned char *)s;
    size_t length;
    uint32_t value;

    if (u[0] < 0x80) {
        *code = u[0];
        return 1;
    }
    if (u[0] >= 0xf0 && u[0] < 0xf5)
        length = 4;
    else if (u[0] >= 0xe0 && u[0] < 0xf0)
        length = 3;
    else if (u[0] >= 0xc2 && u[0] < 0xe0)
        length = 2;
    else
        return 0;
    if (length > n)
        return 0;
    value = u[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((u[i] & 0xc0U) != 0x80U)
            return 0;
        value = value << 6 | (u[i] & 0x3fU);
    }
    if (value < smallest[length] || value > 0x10ffff ||
        (value >= 0xd800 && value < 0xe000))
        return 0;
    *code = value;
    return length;
}

size_t hr_utf8_encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0U | code >> 6);
        out[1] = (char)(0x80U | (code & 0x3fU));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0U | code >> 12);
        out[1] = (char)(0x80U | (code >> 6 & 0x3fU));
        out[2] = (char)(0x80U | (code & 0x3fU));
        return 3;
    }
    out[0] = (char)(0xf0U | code >> 18);
    out[1] = (char)(0x80U | (code >> 12 & 0x3fU));
    out[2] = (char)(0x80U | (code >> 6 & 0x3fU));
    out[3] = (char)(0x80U | (code & 0x3fU));
    return 4;
}

size_t hr_utf8_check(const char *s, size_t n)
{
    size_t i = 0, length;
    uint32_t code;

    while (i < n) {
        length = hr_utf8_decode(s + i, n - i, &code);
        if (length == 0)
            return i;
        i += length;
    }
    return n;
}

static hr_status text_reserve(hr_text *text, size_t more)
{
    size_t need, capacity = text->capacity > 0 ? text->capacity : 64;
    char *s;

    HR_TRY(hr_size_add(text->length + 1, more, &need));
    if (need <= text->capacity)
        return HR_OK;
    while (capacity < need)
        HR_TRY(hr_size_mul(capacity, 2, &capacity));
    s = hr_realloc(text->s, capacity);
    if (s == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for a string", capacity);
    text->s = s;
    text->capacity = capacity;
    return HR_OK;
}

hr_status hr_text_append(hr_text *text, const char *s, size_t n)
{
    HR_TRY(text_reserve(text, n));
    memcpy(text->s + text->length, s, n);
    text->length += n;
    text->s[text->length] = '\0';
    return HR_OK;
}

hr_status hr_text_add(hr_text *text, const char *s)
{
    return hr_text_append(text, s, strlen(s));
}

hr_status hr_text_add_code(hr_text *text, uint32_t code)
{
    char bytes[4];
    size_t n = hr_utf8_encode(code, bytes);

    return hr_text_append(text, bytes, n);
}

hr_status hr_text_printf(hr_text *text, const char *format, ...)
{
    va_list args, again;
    int n;
    hr_status status;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    status = n < 0 ? hr_fail(HR_ERR_INTERNAL, "cannot format a string")
                   : text_reserve(text, (size_t)n);
    if (status == HR_OK) {
        vsnprintf(text->s + text->length, (size_t)n + 1, format, again);
        text->length += (size_t)n;
    }
    va_end(again);
    return status;
}

hr_status hr_text_add_shown(hr_text *text, const char *s, size_t max_bytes)
{
    size_t n = strlen(s), length;
    uint32_t code;

    for (size_t i = 0; i < n; i += length) {
        if (i >= max_bytes)
            return hr_text_add(text, "...");
        length = hr_utf8_decode(s + i, n - i, &code);
        if (length > 0 && code >= 0x20 && (code < 0x7f || code >= 0xa0)) {
            HR_TRY(hr_text_append(text, s + i, length));
        } else {
            HR_TRY(hr_text_add(text, "?"));
            length = length > 0 ? length : 1;
        }
    }
    return HR_OK;
}

/* 'it'\''s' */
hr_status hr_text_add_word(hr_text *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-_./:=,+@%";

    if (*word != '\0' && word[strspn(word, plain)] == '\0')
        return hr_text_add(text, word);
    HR_TRY(hr_text_add(text, "'"));
    for (const char *c = word; *c != '\0'; c++)
        HR_TRY(*c == '\'' ? hr_text_add(text, "'\\''") : hr_text_append(text, c, 1));
    return hr_text_add(text, "'");
}

void hr_text_free(hr_text *text)
{
    hr_free(text->s);
    *text = (hr_text){0};
}

static hr_status read_open_file(int fd, const char *path, size_t max_bytes, char **out,
                                size_t *n_bytes)
{
    struct stat info;
    size_t size, done = 0;
    ssize_t n;
    void *data;

    if (hr_fault_errno("file.stat", EIO) || fstat(fd, &info) != 0)
        return hr_fail(HR_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return hr_fail(HR_ERR_IO, "%s: not a plain file", path);
    size = (size_t)info.st_size;
    if (size > max_bytes)
        return hr_fail(HR_ERR_FORMAT, "%s: %zu bytes, at most %zu are allowed", path,
                       size, max_bytes);
    HR_TRY(hr_alloc_or_fail(size + 1, path, &data));
    while (done < size) {
        n = hr_fault_errno("file.read", EIO) ? -1
                                             : read(fd, (char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            hr_free(data);
            return hr_fail(HR_ERR_IO, "%s: %s", path,
                           n < 0 ? strerror(errno) : "the file shrank while it was read");
        }
        done += (size_t)n;
    }
    *out = data;
    *n_bytes = size;
    return HR_OK;
}

hr_status hr_read_file(const char *path, size_t max_bytes, char **out, size_t *n_bytes)
{
    int fd = hr_fault_errno("file.open", EMFILE)
                 ? -1
                 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    hr_status status;

    if (fd < 0)
        return hr_fail(HR_ERR_IO, "%s: %s", path, strerror(errno));
    status = read_open_file(fd, path, max_bytes, out, n_bytes);
    close(fd);
    return status;
}

const char *hr_open_error(const char *path, int error)
{
    struct stat info;

    if (error == ELOOP && lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        return "it is a symbolic link";
    return strerror(error);
}

char *hr_format_bytes(uint64_t bytes, char out[16])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    int unit = 0;

    while (value >= 999.5 && unit < 6) {
        value /= 1000;
        unit++;
    }
    snprintf(out, 16, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value,
             units[unit]);
    return out;
}

char *hr_format_duration(double seconds, char out[24])
{
    double whole = seconds > 0 ? floor(seconds + 0.5) : 0;
    int s = whole < 1e9 ? (int)whole : 1000000000;

    if (s >= 86400)
        snprintf(out, 24, "%d d %d:%02d:%02d", s / 86400, s / 3600 % 24, s / 60 % 60,
                 s % 60);
    else if (s >= 3600)
        snprintf(out, 24, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%d:%02d", s / 60, s % 60);
    return out;
}
