#include "io/disk.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static hr_status make_one(const char *path, bool *is_made)
{
    struct stat info;

    *is_made = !hr_fault_errno("file.mkdir", EACCES) && mkdir(path, 0777) == 0;
    if (*is_made)
        return HR_OK;
    if (errno != EEXIST)
        return hr_fail(HR_ERR_IO, "cannot create folder %s: %s", path, strerror(errno));
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return hr_fail(HR_ERR_IO, "cannot create folder %s: a file is there", path);
    return HR_OK;
}

static hr_status make_all(const char *path, bool only_above)
{
    char *copy = hr_strdup(path);
    bool is_made = false, has_said = !only_above;
    hr_status status = HR_OK;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    for (char *s = copy + (copy[0] == '/'); *s != '\0' && status == HR_OK; s++) {
        if (*s != '/')
            continue;
        *s = '\0';
        status = make_one(copy, &is_made);
        if (is_made && !has_said)
            hr_info("made folder %s, which was not there", copy);
        has_said = has_said || is_made; /* those below it go without saying */
        *s = '/';
    }
    if (status == HR_OK && !only_above)
        status = make_one(copy, &is_made);
    hr_free(copy);
    return status;
}

hr_status hr_folder_create(const char *path)
{
    return make_all(path, false);
}

hr_status hr_folder_add(const char *path)
{
    bool is_made;

    return make_one(path, &is_made);
}

hr_status hr_folder_create_above(const char *path)
{
    return make_all(path, true);
}

hr_status hr_file_remove(const char *path)
{
    if (!hr_fault_errno("file.unlink", EACCES) && (unlink(path) == 0 || errno == ENOENT))
        return HR_OK;
    return hr_fail(HR_ERR_IO, "cannot remove %s: %s", path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *info, int kind,
                      struct FTW *where)
{
    (void)info;
    (void)where;
    if (!hr_fault_errno("file.unlink", EACCES) &&
        (kind == FTW_DP ? rmdir(path) : unlink(path)) == 0)
        return 0;
    hr_error("cannot remove %s: %s", path, strerror(errno));
    return 1;
}

hr_status hr_folder_remove(const char *path)
{
    struct stat info;

    if (lstat(path, &info) != 0 && errno == ENOENT)
        return HR_OK;
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? HR_OK : HR_ERR_IO;
}

static bool fits(const char *name, const char *begin, const char *end)
{
    size_t n = strlen(name), m = strlen(begin), k = strlen(end);

    return n >= m + k && strncmp(name, begin, m) == 0 && strcmp(name + n - k, end) == 0;
}

hr_status hr_folder_clear(const char *path, const char *begin, const char *end)
{
    DIR *folder = opendir(path);
    hr_status status = HR_OK;
    struct dirent *entry;
    struct stat info;
    hr_text file = {0};

    if (folder == NULL)
        return errno == ENOENT ? HR_OK
                               : hr_fail(HR_ERR_IO, "cannot read folder %s: %s", path,
                                         strerror(errno));
    while (status == HR_OK && (entry = readdir(folder)) != NULL) {
        if (!fits(entry->d_name, begin, end))
            continue;
        file.length = 0;
        status = hr_text_printf(&file, "%s/%s", path, entry->d_name);
        if (status == HR_OK && (lstat(file.s, &info) != 0 || !S_ISDIR(info.st_mode)))
            status = hr_file_remove(file.s);
    }
    hr_text_free(&file);
    closedir(folder);
    return status;
}

bool hr_folder_has_more(const char *path, const char *except)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool found = false;

    while (folder != NULL && !found && (entry = readdir(folder)) != NULL)
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                (except == NULL || strcmp(entry->d_name, except) != 0);
    if (folder != NULL)
        closedir(folder);
    return found;
}

/* A file system that cannot flush a folder says EINVAL. */
hr_status hr_folder_flush(const char *path)
{
    int fd = hr_fault_errno("file.open", EMFILE)
                 ? -1
                 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool is_flushed = fd >= 0 && !hr_fault_errno("file.sync", EIO) &&
                      (fsync(fd) == 0 || errno == EINVAL);
    int error = errno;

    if (fd >= 0)
        close(fd);
    return is_flushed ? HR_OK
                      : hr_fail(HR_ERR_IO, "cannot flush the folder %s: %s", path,
                                strerror(error));
}

hr_status hr_path_move(const char *from, const char *to)
{
    char *copy = hr_strdup(to); /* dirname writes into it */
    hr_status status;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    if (!hr_fault_errno("file.rename", EACCES) && rename(from, to) == 0)
        status = hr_folder_flush(dirname(copy));
    else
        status =
            hr_fail(HR_ERR_IO, "cannot move %s to %s: %s", from, to, strerror(errno));
    hr_free(copy);
    return status;
}

hr_status hr_disk_available(const char *path, uint64_t *out)
{
    struct statvfs info;

    if (hr_fault_errno("file.statvfs", EIO) || statvfs(path, &info) != 0)
        return hr_fail(HR_ERR_IO, "%s: cannot tell how much disk is free: %s", path,
                       strerror(errno));
    *out = (uint64_t)info.f_bavail * (uint64_t)info.f_frsize;
    return HR_OK;
}

hr_status hr_disk_require(const char *path, uint64_t bytes, const char *what)
{
    uint64_t free_bytes;
    char needed[16], available[16];

    HR_TRY(hr_disk_available(path, &free_bytes));
    if (bytes <= free_bytes)
        return HR_OK;
    return hr_fail(HR_ERR_NOMEM, "%s: %s needs %s of disk, %s are free", path, what,
                   hr_format_bytes(bytes, needed),
                   hr_format_bytes(free_bytes, available));
}
