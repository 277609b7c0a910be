#include "io/fingerprint.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 20, SKIP = 16, MAX_HEADER = 100000000 /* of the format */ };

static const int64_t whole_up_to = (int64_t)1 << 30;

typedef struct open_file {
    const char *path;
    int fd;
    int64_t size;
    char *block; /* BLOCK bytes */
} open_file;

static hr_status read_at(const open_file *file, int64_t at, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got =
            hr_fault_errno("file.read", EIO)
                ? -1
                : pread(file->fd, file->block + done, n - done, at + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return hr_fail(HR_ERR_IO, "cannot read %s: %s", file->path,
                           got < 0 ? strerror(errno) : "it has become shorter");
        done += (size_t)got;
    }
    return HR_OK;
}

/* Where the safetensors header ends; another file has none. */
static hr_status header_end(const open_file *file, int64_t *out)
{
    int64_t length = 0;

    *out = 0;
    if (file->size < 8)
        return HR_OK;
    HR_TRY(read_at(file, 0, 8));
    if (file->block[7] != 0 || file->block[6] != 0 || file->block[5] != 0)
        return HR_OK;
    for (int i = 4; i >= 0; i--)
        length = length << 8 | (unsigned char)file->block[i];
    if (length <= MAX_HEADER)
        *out = 8 + length;
    return HR_OK;
}

static hr_status hash_blocks(const open_file *file, hr_text *text)
{
    char digits[HR_HASH_TEXT_BYTES];
    int64_t header;

    HR_TRY(header_end(file, &header));
    HR_TRY(hr_text_printf(text, "%" PRId64, file->size));
    for (int64_t at = 0, i = 0; at < file->size; at += BLOCK, i++) {
        int64_t left = file->size - at;
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        if (file->size > whole_up_to && i % SKIP != 0 && at >= header && left > BLOCK)
            continue;
        HR_TRY(read_at(file, at, n));
        HR_TRY(hr_text_printf(text, " %s",
                              hr_hash_text(hr_hash_bytes(file->block, n), digits)));
    }
    return HR_OK;
}

static hr_status check(open_file *file)
{
    struct stat info;

    if (file->fd < 0 || hr_fault_errno("file.stat", EIO) || fstat(file->fd, &info) != 0)
        return hr_fail(HR_ERR_IO, "cannot read %s: %s", file->path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return hr_fail(HR_ERR_IO, "cannot read %s: not a plain file", file->path);
    file->size = (int64_t)info.st_size;
    return HR_OK;
}

hr_status hr_fingerprint_file(const char *path, hr_hash *out)
{
    open_file file = {.path = path};
    hr_text text = {0};
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(BLOCK, "a fingerprint", &memory));
    file.block = memory;
    file.fd = hr_fault_errno("file.open", EMFILE)
                  ? -1
                  : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    status = check(&file);
    if (status == HR_OK)
        status = hash_blocks(&file, &text);
    if (status == HR_OK)
        *out = hr_hash_bytes(text.s, text.length);
    if (file.fd >= 0)
        close(file.fd);
    hr_text_free(&text);
    hr_free(memory);
    return status;
}
