#include "io/segment_file.h"

#include "base/fault.h"
#include "base/log.h"
#include "io/disk.h"
#include "io/frames.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The index that an entry of the folder begins with; -1: it is none of ours. */
static int64_t index_of(const char *name)
{
    static const char *const endings[] = {".mp4", ".txt", ".mp4.part", ".txt.part"};
    bool is_part = name[0] == '.';
    char *end;
    long long index;

    name += is_part;
    if (*name < '0' || *name > '9')
        return -1;
    index = strtoll(name, &end, 10);
    for (int i = 0; i < 2; i++)
        if (strcmp(end, endings[is_part ? i + 2 : i]) == 0)
            return index;
    return -1;
}

static hr_status cannot(const char *do_what, const char *path)
{
    return hr_fail(HR_ERR_IO, "cannot %s %s: %s", do_what, path, strerror(errno));
}

static hr_status remove_folder(const char *path)
{
    if (!hr_fault_errno("file.rmdir", EACCES) &&
        (rmdir(path) == 0 || errno == ENOENT || errno == ENOTEMPTY))
        return HR_OK;
    return cannot("remove", path);
}

hr_status hr_segment_files_drop(const char *folder, int64_t index, bool *behind)
{
    DIR *dir = hr_fault_errno("file.opendir", EACCES) ? NULL : opendir(folder);
    const struct dirent *entry;
    hr_text path = {0};
    hr_status status = HR_OK;

    if (dir == NULL)
        return errno == ENOENT ? HR_OK : cannot("read", folder);
    while (status == HR_OK && (entry = readdir(dir)) != NULL) {
        int64_t found = index_of(entry->d_name);

        if (found < index || found < 0)
            continue;
        if (found > index && strstr(entry->d_name, ".txt") != NULL)
            *behind = true;
        path.length = 0;
        status = hr_text_printf(&path, "%s/%s", folder, entry->d_name);
        if (status == HR_OK)
            status = hr_file_remove(path.s);
    }
    closedir(dir);
    hr_text_free(&path);
    return status;
}

hr_status hr_segment_files_drop_backwards(const char *folder, int64_t n)
{
    static const char *const endings[] = {".txt", ".mp4"};
    hr_text path = {0};
    hr_status status = HR_OK;

    for (int64_t i = n; i-- > 0 && status == HR_OK;)
        for (int e = 0; e < 2 && status == HR_OK; e++) {
            path.length = 0;
            status = hr_segment_file_path(folder, i, endings[e], &path);
            if (status == HR_OK)
                status = hr_file_remove(path.s);
        }
    hr_text_free(&path);
    return status;
}

hr_status hr_segments_drop(const char *folder)
{
    hr_text frames = {0};
    bool behind;
    hr_status status = hr_text_printf(&frames, "%s/frames", folder);

    if (status == HR_OK)
        status = hr_frames_drop(frames.s, 0);
    if (status == HR_OK)
        status = remove_folder(frames.s);
    if (status == HR_OK)
        status = hr_segment_files_drop(folder, 0, &behind);
    if (status == HR_OK)
        status = remove_folder(folder);
    hr_text_free(&frames);
    return status;
}
