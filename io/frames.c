#include "io/frames.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/picture.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct hr_frames_writer {
    hr_text folder, part;
    int64_t width, height, n_done;
};

static hr_status cannot(const char *do_what, const char *path)
{
    return hr_fail(HR_ERR_IO, "cannot %s folder %s: %s", do_what, path, strerror(errno));
}

static bool is_numbered(const char *name, const char *prefix)
{
    size_t n = strlen(name), n_prefix = strlen(prefix);

    return strncmp(name, prefix, n_prefix) == 0 && n > n_prefix + 4 &&
           strcmp(name + n - 4, ".png") == 0;
}

hr_status hr_frames_clear(const char *path, const char *prefix)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;

    if (dir == NULL)
        return errno == ENOENT || errno == ENOTDIR ? HR_OK : cannot("read", path);
    while ((entry = readdir(dir)) != NULL)
        if (is_numbered(entry->d_name, prefix) &&
            unlinkat(dirfd(dir), entry->d_name, 0) != 0) {
            closedir(dir);
            return cannot("empty", path);
        }
    closedir(dir);
    return HR_OK;
}

/* Also where it is not there. */
static hr_status remove_folder(const char *path)
{
    HR_TRY(hr_frames_clear(path, "frame-"));
    return rmdir(path) == 0 || errno == ENOENT ? HR_OK : cannot("remove", path);
}

static hr_status name_folders(hr_frames_writer *writer, const char *folder)
{
    const char *slash = strrchr(folder, '/');
    size_t parent = slash != NULL ? (size_t)(slash - folder) + 1 : 0;

    HR_TRY(hr_text_add(&writer->folder, folder));
    HR_TRY(hr_text_append(&writer->part, folder, parent));
    return hr_text_printf(&writer->part, ".%s.part", folder + parent);
}

hr_status hr_frames_begin(const char *folder, int64_t width, int64_t height,
                          hr_frames_writer **out)
{
    void *memory;
    hr_frames_writer *writer;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *writer, "a writer of pictures", &memory));
    writer = memory;
    writer->width = width;
    writer->height = height;
    status = name_folders(writer, folder);
    if (status == HR_OK)
        status = remove_folder(writer->part.s);
    if (status == HR_OK && mkdir(writer->part.s, 0777) != 0)
        status = cannot("make", writer->part.s);
    if (status != HR_OK) {
        hr_frames_abandon(writer);
        return status;
    }
    *out = writer;
    return HR_OK;
}

hr_status hr_frames_append(hr_frames_writer *writer, const float *rgb)
{
    hr_text path = {0};
    hr_status status = hr_text_printf(&path, "%s/frame-%04" PRId64 ".png", writer->part.s,
                                      writer->n_done + 1);

    if (status == HR_OK)
        status = hr_picture_write_png(path.s, rgb, writer->width, writer->height);
    hr_text_free(&path);
    writer->n_done++;
    return status;
}

hr_status hr_frames_finish(hr_frames_writer *writer)
{
    hr_status status = remove_folder(writer->folder.s);

    if (status == HR_OK && rename(writer->part.s, writer->folder.s) != 0)
        status = cannot("make", writer->folder.s);
    hr_frames_abandon(writer);
    return status;
}

void hr_frames_abandon(hr_frames_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->part.s != NULL && remove_folder(writer->part.s) != HR_OK)
        hr_debug("a part of the film is left in %s", writer->part.s);
    hr_text_free(&writer->folder);
    hr_text_free(&writer->part);
    hr_free(writer);
}
