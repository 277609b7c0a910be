/* One program at a time works in a run folder: FOLDER/lock says who. Local; the first
 * rank alone has it.
 *
 * The file is held with flock, which ends with the process however it ends, and names
 * host, boot, process and Slurm job for people, and for hosts that do not see each
 * other's locks. */
#ifndef HR_IO_LOCK_H
#define HR_IO_LOCK_H

#include "base/status.h"

#include <stdbool.h>

typedef struct hr_lock hr_lock;

/* `job`: the Slurm job of this process; NULL: none. HR_ERR_ARG, logged with who holds it,
 * when another program works there; HR_ERR_DEVICE when that is an earlier start of the
 * same job on another host, which may be gone soon. What a dead one left is taken over,
 * with one info line. Where the disk does not tell whether a process of another host
 * holds it (local locks on NFS, FUSE), that one counts as dead when FOLDER/status.json is
 * not running or older than ten minutes, or when it was a part of this Slurm job, which
 * has been started again. HR_ERR_IO when the file cannot be made. Caller closes. */
hr_status hr_lock_open(const char *folder, const char *job, hr_lock **out);
/* Removes the file alone, for a process that ends at once: from any thread. */
void hr_lock_drop(const hr_lock *lock);
/* Removes the file, also where the folder has another name by now; takes NULL. */
void hr_lock_close(hr_lock *lock);

/* What stands in the file: the same text nowhere else at any time. Lent. */
const char *hr_lock_text(const hr_lock *lock);
/* Whether the lock with this text lies in the folder: for other ranks, whether they see
 * the same one. */
bool hr_lock_is_seen(const char *folder, const char *text);

#endif
