#include "io/checkpoint_part.h"

#include "base/fault.h"
#include "base/log.h"
#include "io/checkpoint_hdf5.h"
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What HDF5's own structures take at most. */
enum { STRUCTURE_BYTES = 64 << 10 };

typedef struct names {
    const char *part, *path;
} names;

uint64_t hr_checkpoint_bytes(const hr_checkpoint_head *head)
{
    uint64_t bytes = HR_CHECKPOINT_USER_BLOCK + STRUCTURE_BYTES;
    hr_checkpoint_layout layout;

    if (hr_checkpoint_layout_init(head, &layout) != HR_OK)
        return 0;
    for (int set = 0; set < HR_SET_COUNT; set++)
        bytes += (uint64_t)hr_checkpoint_set_bytes(&layout, (hr_checkpoint_set)set);
    return bytes;
}

/* A disk that is too full is known before anything is written. */
static hr_status require(const names *n, uint64_t bytes)
{
    char needed[16], available[16];
    uint64_t free_bytes;

    HR_TRY(hr_disk_available(n->part, &free_bytes));
    if (bytes <= free_bytes)
        return HR_OK;
    return hr_fail(HR_ERR_NOMEM, "cannot write %s: it needs %s of disk, %s are free",
                   n->path, hr_format_bytes(bytes, needed),
                   hr_format_bytes(free_bytes, available));
}

/* Has the disk keep the bytes: what is found to be too little here cannot fail later,
 * where all ranks write. A file system that cannot keep them is trusted. */
static hr_status reserve(const names *n, uint64_t bytes)
{
    char needed[16];
    int fd = hr_fault_errno("file.open", EIO) ? -1 : open(n->part, O_WRONLY | O_CLOEXEC);
    int error = 0;

    if (fd < 0)
        return hr_fail(HR_ERR_IO, "cannot open %s: %s", n->part, strerror(errno));
    do
        error = hr_fault_errno("file.reserve", ENOSPC) ||
                        fallocate(fd, 0, 0, (off_t)bytes) != 0
                    ? errno
                    : 0;
    while (error == EINTR);
    close(fd);
    if (error == 0 || error == EOPNOTSUPP || error == ENOSYS)
        return HR_OK;
    if (error == ENOSPC)
        HR_TRY(require(n, bytes));
    return hr_fail(error == ENOSPC || error == EDQUOT || error == EFBIG ? HR_ERR_NOMEM
                                                                        : HR_ERR_IO,
                   "cannot write %s: it needs %s of disk: %s", n->path,
                   hr_format_bytes(bytes, needed), strerror(error));
}

hr_status hr_checkpoint_part_make(const char *part, const char *path,
                                  const hr_checkpoint_head *head, hr_checkpoint_part *out)
{
    const names n = {part, path};
    const uint64_t bytes = hr_checkpoint_bytes(head);
    struct stat info;

    HR_TRY(require(&n, bytes));
    HR_TRY(reserve(&n, bytes));
    HR_TRY(hr_checkpoint_hdf5_create(part, path, head, &out->layout));
    HR_TRY(reserve(&n, (uint64_t)out->layout.bytes)); /* HDF5 has begun anew */
    if (hr_fault_errno("file.stat", EIO) || stat(part, &info) != 0)
        return hr_fail(HR_ERR_IO, "cannot find %s: %s", part, strerror(errno));
    out->inode = (uint64_t)info.st_ino;
    return HR_OK;
}

hr_status hr_checkpoint_part_find(const char *part, const hr_checkpoint_part *expected)
{
    struct stat info;

    if (hr_fault_errno("file.stat", ESTALE) || stat(part, &info) != 0)
        return hr_fail(HR_ERR_IO, "cannot find %s: %s", part, strerror(errno));
    if ((uint64_t)info.st_ino != expected->inode ||
        info.st_size != expected->layout.bytes)
        return hr_fail(
            HR_ERR_IO,
            "%s is another file here than on the first rank: the run folder has "
            "to be one that all ranks see",
            part);
    if (access(part, R_OK | W_OK) != 0)
        return hr_fail(HR_ERR_IO, "cannot write %s: %s", part, strerror(errno));
    return HR_OK;
}
