/* Folders, and how full their disk is. Local. Failures are logged with the path:
 * HR_ERR_IO unless said otherwise. */
#ifndef HR_IO_DISK_H
#define HR_IO_DISK_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes a folder and its parents; one that exists is fine. */
hr_status hr_folder_create(const char *path);
/* Makes a folder inside one that is there: what has gone is not made anew. */
hr_status hr_folder_add(const char *path);
/* Makes what is missing above a place that the user named, and says so in one line: it
 * may be a slip of the pen. */
hr_status hr_folder_create_above(const char *path);
/* Removes a folder with all it holds, without following links; none is fine. */
hr_status hr_folder_remove(const char *path);
/* Removes the files of a folder whose names start and end so, not what folders have such
 * names; no folder is fine. */
hr_status hr_folder_clear(const char *path, const char *begin, const char *end);
/* Whether it holds anything but the file `except` (NULL: none). False when it cannot be
 * read. */
bool hr_folder_has_more(const char *path, const char *except);
/* Removes a file; none is fine. */
hr_status hr_file_remove(const char *path);

/* Brings the names of a folder to the disk. Some file systems cannot: that is fine. */
hr_status hr_folder_flush(const char *path);
/* Renames a file or folder; what rename(2) replaces is replaced. The new name is on the
 * disk at the end. */
hr_status hr_path_move(const char *from, const char *to);

/* Bytes free for this user on the disk of an existing path. */
hr_status hr_disk_available(const char *path, uint64_t *out);
/* HR_ERR_NOMEM (logged with both numbers) when fewer than `bytes` are free for `what`. */
hr_status hr_disk_require(const char *path, uint64_t bytes, const char *what);

#endif
