#include "io/out_file.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct hr_out_file {
    char *path;
    char *folder; /* of path, "." when it names none */
    char *part;
    int fd;
    int64_t position, size;
    hr_status status;
};

static hr_status failed(hr_out_file *file, const char *doing)
{
    if (file->status == HR_OK)
        file->status =
            hr_fail(HR_ERR_IO, "cannot %s %s: %s", doing, file->path, strerror(errno));
    return file->status;
}

hr_status hr_out_file_part_of(const char *path, char **out)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    hr_text part = {0};

    if (*name == '\0')
        return hr_fail(HR_ERR_IO, "cannot write \"%s\": it names no file", path);
    HR_TRY(hr_text_printf(&part, "%.*s.%s.part", (int)(name - path), path, name));
    *out = part.s;
    return HR_OK;
}

static hr_status set_names(hr_out_file *file, const char *path)
{
    const char *slash = strrchr(path, '/');

    HR_TRY(hr_out_file_part_of(path, &file->part));
    file->path = hr_strdup(path);
    if (slash == NULL)
        file->folder = hr_strdup(".");
    else
        file->folder = hr_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (file->path == NULL || file->folder == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the name %s", path);
    return HR_OK;
}

static hr_status open_part(hr_out_file *file)
{
    struct stat info;

    if (stat(file->path, &info) == 0 && !S_ISREG(info.st_mode))
        return hr_fail(HR_ERR_IO, "cannot write %s: it is there and not a plain file",
                       file->path);
    file->fd = hr_fault_errno("file.open", EACCES)
                   ? -1
                   : open(file->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file->fd < 0 && errno == ELOOP)
        return hr_fail(HR_ERR_IO, "cannot create %s: %s", file->part,
                       hr_open_error(file->part, ELOOP));
    if (file->fd < 0)
        return failed(file, "create");
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(file->fd);
        return hr_fail(HR_ERR_ARG, "%s: another process is writing it", file->path);
    }
    if (!hr_fault_errno("file.truncate", EIO) && ftruncate(file->fd, 0) == 0)
        return HR_OK;
    failed(file, "empty");
    close(file->fd);
    unlink(file->part);
    return file->status;
}

static void destroy(hr_out_file *file)
{
    hr_free(file->path);
    hr_free(file->folder);
    hr_free(file->part);
    hr_free(file);
}

hr_status hr_out_file_create(const char *path, hr_out_file **out)
{
    hr_out_file *file;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *file, path, &memory));
    file = memory;
    file->fd = -1;
    status = set_names(file, path);
    if (status == HR_OK)
        status = open_part(file);
    if (status != HR_OK) {
        destroy(file);
        return status;
    }
    *out = file;
    return HR_OK;
}

/* A full disk: how much was still to be written, and how much is free. */
static hr_status cannot_write(hr_out_file *file, size_t n_bytes)
{
    struct statvfs disk;
    int cause = errno;

    if (cause == ENOSPC && fstatvfs(file->fd, &disk) == 0)
        return file->status = hr_fail(
                   HR_ERR_IO, "cannot write %s: %s (%zu bytes more needed, %llu free)",
                   file->path, strerror(cause), n_bytes,
                   (unsigned long long)disk.f_bavail * disk.f_frsize);
    errno = cause;
    return failed(file, "write");
}

hr_status hr_out_file_write(hr_out_file *file, const void *data, size_t n_bytes)
{
    const char *bytes = data;

    if (file->status != HR_OK)
        return file->status;
    while (n_bytes > 0) {
        ssize_t n = hr_fault_errno("file.write", ENOSPC)
                        ? -1
                        : pwrite(file->fd, bytes, n_bytes, file->position);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cannot_write(file, n_bytes);
        bytes += n;
        n_bytes -= (size_t)n;
        file->position += n;
        if (file->size < file->position)
            file->size = file->position;
    }
    return HR_OK;
}

void hr_out_file_seek(hr_out_file *file, int64_t position)
{
    file->position = position;
}

int64_t hr_out_file_position(const hr_out_file *file)
{
    return file->position;
}

int64_t hr_out_file_size(const hr_out_file *file)
{
    return file->size;
}

hr_status hr_out_file_status(const hr_out_file *file)
{
    return file->status;
}

const char *hr_out_file_path(const hr_out_file *file)
{
    return file->path;
}

const char *hr_out_file_part_path(const hr_out_file *file)
{
    return file->part;
}

hr_status hr_out_file_commit(hr_out_file *file)
{
    hr_status status;

    if (file->status == HR_OK &&
        (hr_fault_errno("file.sync", ENOSPC) || fsync(file->fd) != 0))
        failed(file, "flush");
    if (close(file->fd) != 0 || hr_fault_errno("file.close", EIO))
        failed(file, "close");
    file->fd = -1;
    if (file->status == HR_OK &&
        (hr_fault_errno("file.rename", EIO) || rename(file->part, file->path) != 0))
        failed(file, "rename the finished part of");
    if (file->status != HR_OK)
        unlink(file->part);
    else
        file->status = hr_folder_flush(file->folder);
    status = file->status;
    destroy(file);
    return status;
}

void hr_out_file_abandon(hr_out_file *file)
{
    if (file == NULL)
        return;
    close(file->fd);
    unlink(file->part);
    destroy(file);
}

hr_status hr_out_file_save(const char *path, const void *data, size_t n_bytes)
{
    hr_out_file *file;

    HR_TRY(hr_out_file_create(path, &file));
    hr_out_file_write(file, data, n_bytes); /* commit returns its failure */
    return hr_out_file_commit(file);
}
