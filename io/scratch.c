#include "io/scratch.h"

#include "base/assert.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct hr_scratch {
    char *folder; /* for messages: the file has no name */
    size_t record_bytes;
    int64_t n_records;
    int fd;
};

/* Its name goes at once; the file goes with the descriptor. */
static hr_status open_unnamed(hr_scratch *scratch)
{
    hr_text path = {0};
    hr_status status = hr_text_printf(&path, "%s/.scratch-XXXXXX", scratch->folder);

    if (status == HR_OK) {
        scratch->fd =
            hr_fault_errno("file.open", EACCES) ? -1 : mkostemp(path.s, O_CLOEXEC);
        if (scratch->fd < 0 || hr_fault_errno("file.unlink", EIO) || unlink(path.s) != 0)
            status = hr_fail(HR_ERR_IO, "cannot create a scratch file in %s: %s",
                             scratch->folder, strerror(errno));
    }
    hr_text_free(&path);
    return status;
}

static hr_status reserve(const hr_scratch *scratch)
{
    int64_t bytes = (int64_t)scratch->record_bytes * scratch->n_records;
    char size[16];
    int error;

    if (bytes == 0)
        return HR_OK;
    do
        error =
            hr_fault("file.allocate") ? ENOSPC : posix_fallocate(scratch->fd, 0, bytes);
    while (error == EINTR);
    if (error == 0)
        return HR_OK;
    return hr_fail(error == ENOSPC || error == EDQUOT || error == EFBIG ? HR_ERR_NOMEM
                                                                        : HR_ERR_IO,
                   "%s: a scratch file needs %s of disk: %s", scratch->folder,
                   hr_format_bytes((uint64_t)bytes, size), strerror(error));
}

static hr_status open_file(const char *folder, hr_scratch *scratch)
{
    size_t bytes;

    HR_TRY(hr_size_mul(scratch->record_bytes, (size_t)scratch->n_records, &bytes));
    if (bytes > INT64_MAX)
        return hr_fail(HR_ERR_NOMEM, "%s: a scratch file of %zu bytes", folder, bytes);
    scratch->folder = hr_strdup(folder);
    if (scratch->folder == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the path %s", folder);
    HR_TRY(open_unnamed(scratch));
    return reserve(scratch);
}

hr_status hr_scratch_open(const char *folder, size_t record_bytes, int64_t n_records,
                          hr_scratch **out)
{
    hr_scratch *scratch;
    void *memory;
    hr_status status;

    HR_ASSERT(n_records >= 0);
    HR_TRY(hr_alloc_or_fail(sizeof *scratch, "a scratch file", &memory));
    scratch = memory;
    *scratch =
        (hr_scratch){.record_bytes = record_bytes, .n_records = n_records, .fd = -1};
    status = open_file(folder, scratch);
    if (status != HR_OK) {
        hr_scratch_close(scratch);
        return status;
    }
    *out = scratch;
    return HR_OK;
}

void hr_scratch_close(hr_scratch *scratch)
{
    if (scratch == NULL)
        return;
    if (scratch->fd >= 0)
        close(scratch->fd);
    hr_free(scratch->folder);
    hr_free(scratch);
}

static off_t offset_of(const hr_scratch *scratch, int64_t record)
{
    HR_ASSERT(record >= 0 && record < scratch->n_records);
    return (off_t)((int64_t)scratch->record_bytes * record);
}

static hr_status failed(const hr_scratch *scratch, const char *doing, const char *cause)
{
    return hr_fail(HR_ERR_IO, "cannot %s the scratch file in %s: %s", doing,
                   scratch->folder, cause);
}

hr_status hr_scratch_write(hr_scratch *scratch, int64_t record, const void *data)
{
    off_t at = offset_of(scratch, record);
    const char *bytes = data;
    size_t left = scratch->record_bytes;

    while (left > 0) {
        ssize_t n =
            hr_fault_errno("file.write", EIO) ? -1 : pwrite(scratch->fd, bytes, left, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(scratch, "write", strerror(errno));
        bytes += n;
        left -= (size_t)n;
        at += n;
    }
    return HR_OK;
}

hr_status hr_scratch_read(const hr_scratch *scratch, int64_t record, void *out)
{
    off_t at = offset_of(scratch, record);
    char *bytes = out;
    size_t left = scratch->record_bytes;

    while (left > 0) {
        ssize_t n =
            hr_fault_errno("file.read", EIO) ? -1 : pread(scratch->fd, bytes, left, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(scratch, "read", n < 0 ? strerror(errno) : "it is cut");
        bytes += n;
        left -= (size_t)n;
        at += n;
    }
    return HR_OK;
}
