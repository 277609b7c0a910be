#include "io/frames.h"

#include "base/fault.h"
#include "base/log.h"
#include "io/disk.h"
#include "io/picture.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static hr_status cannot(const char *do_what, const char *path)
{
    return hr_fail(HR_ERR_IO, "cannot %s folder %s: %s", do_what, path, strerror(errno));
}

hr_status hr_frames_path(const char *folder, int64_t i, hr_text *out)
{
    return hr_text_printf(out, "%s/frame-%04" PRId64 ".png", folder, i + 1);
}

hr_status hr_frames_write(const char *folder, int64_t i, const float *rgb, int64_t width,
                          int64_t height)
{
    hr_text path = {0};
    hr_status status = hr_frames_path(folder, i, &path);

    if (status == HR_OK)
        status = hr_picture_write_png(path.s, rgb, width, height);
    hr_text_free(&path);
    return status;
}

/* Whether `name` is a picture from number `first` on (from 1), or a half-written one. */
static bool is_numbered(const char *name, const char *prefix, int64_t first)
{
    bool is_part = name[0] == '.';
    size_t n_prefix = strlen(prefix);
    const char *number = name + is_part + n_prefix;
    char *end;

    if (strncmp(name + is_part, prefix, n_prefix) != 0)
        return false;
    return strtoll(number, &end, 10) >= (is_part ? 0 : first) && end > number &&
           strcmp(end, is_part ? ".png.part" : ".png") == 0;
}

static hr_status drop(const char *path, const char *prefix, int64_t first)
{
    DIR *dir = hr_fault_errno("file.opendir", EACCES) ? NULL : opendir(path);
    const struct dirent *entry;

    if (dir == NULL)
        return errno == ENOENT || errno == ENOTDIR ? HR_OK : cannot("read", path);
    while ((entry = readdir(dir)) != NULL)
        if (is_numbered(entry->d_name, prefix, first) &&
            (hr_fault_errno("file.unlink", EACCES) ||
             unlinkat(dirfd(dir), entry->d_name, 0) != 0)) {
            closedir(dir);
            return cannot("empty", path);
        }
    closedir(dir);
    return HR_OK;
}

hr_status hr_frames_drop(const char *folder, int64_t first)
{
    return drop(folder, "frame-", first + 1);
}

hr_status hr_frames_clear(const char *folder, const char *prefix)
{
    return drop(folder, prefix, 0);
}

hr_status hr_frames_move(const char *from, const char *to)
{
    HR_TRY(hr_frames_drop(to, 0));
    if (hr_fault_errno("file.rmdir", EACCES) || (rmdir(to) != 0 && errno != ENOENT))
        return cannot("remove", to);
    return hr_path_move(from, to);
}
