#include "io/lock.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/status_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT_BYTES = 1024,
    FIELD_BYTES = 256,
    STALE_SECONDS = 600,
    TRIES = 100,
    MOUNT_BYTES = 8192
};

/* Who holds it; empty strings and 0: unknown. */
typedef struct holder {
    char host[FIELD_BYTES], boot[FIELD_BYTES], job[FIELD_BYTES], since[FIELD_BYTES];
    int64_t pid;
    uint64_t start; /* of the process, in ticks since the boot */
} holder;

struct hr_lock {
    int fd, folder; /* of the file and of the folder it is in */
    holder me;
    char text[TEXT_BYTES];
};

/* The first line of a small file of /proc; "" when there is none. */
static void read_line(const char *path, char out[FIELD_BYTES])
{
    FILE *file = fopen(path, "re");

    out[0] = '\0';
    if (file == NULL)
        return;
    if (fgets(out, FIELD_BYTES, file) == NULL)
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(file);
}

/* 0 when there is no such process. */
static uint64_t start_of(int64_t pid)
{
    char path[64], line[FIELD_BYTES];
    const char *at;

    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    read_line(path, line);
    at = strrchr(line, ')'); /* of the name; 22 is the start, ") S" ends 3 */
    for (int field = 3; at != NULL && field < 23; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static holder myself(const char *job)
{
    time_t now = time(NULL);
    holder me = {.pid = getpid(), .start = start_of(getpid())};
    struct tm utc;

    gethostname(me.host, sizeof me.host - 1);
    read_line("/proc/sys/kernel/random/boot_id", me.boot);
    if (job != NULL)
        snprintf(me.job, sizeof me.job, "%.64s", job);
    if (gmtime_r(&now, &utc) != NULL)
        strftime(me.since, sizeof me.since, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return me;
}

static void write_text(const holder *h, char out[TEXT_BYTES])
{
    snprintf(out, TEXT_BYTES,
             "haloreel lock 1\nhost %.200s\nboot %.100s\npid %" PRId64 "\nstart %" PRIu64
             "\njob %.100s\nsince %.40s\n",
             h->host, h->boot, h->pid, h->start, h->job, h->since);
}

/* Lines that are not understood are passed over: a stranger's, or cut ones. */
static holder parse(char *text)
{
    holder h = {0};
    char *line, *rest = text;

    while ((line = strsep(&rest, "\n")) != NULL) {
        const char *value = strchr(line, ' ');
        size_t n = value != NULL ? (size_t)(value - line) : 0;

        if (n == 4 && strncmp(line, "host", n) == 0)
            snprintf(h.host, sizeof h.host, "%.200s", value + 1);
        else if (n == 4 && strncmp(line, "boot", n) == 0)
            snprintf(h.boot, sizeof h.boot, "%.200s", value + 1);
        else if (n == 3 && strncmp(line, "job", n) == 0)
            snprintf(h.job, sizeof h.job, "%.200s", value + 1);
        else if (n == 5 && strncmp(line, "since", n) == 0)
            snprintf(h.since, sizeof h.since, "%.200s", value + 1);
        else if (n == 3 && strncmp(line, "pid", n) == 0)
            h.pid = strtoll(value, NULL, 10);
        else if (n == 5 && strncmp(line, "start", n) == 0)
            h.start = strtoull(value, NULL, 10);
    }
    return h;
}

static size_t read_text(int fd, char out[TEXT_BYTES])
{
    ssize_t n = pread(fd, out, TEXT_BYTES - 1, 0);

    out[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* "process 12 on host a (Slurm job 7)" */
static void describe(const holder *h, char *out, size_t room)
{
    if (h->host[0] == '\0')
        snprintf(out, room, "another haloreel");
    else
        snprintf(out, room, "process %" PRId64 " on host %.200s%s%.100s%s", h->pid,
                 h->host, h->job[0] != '\0' ? " (Slurm job " : "", h->job,
                 h->job[0] != '\0' ? ")" : "");
}

static hr_status refuse(const char *folder, const holder *h)
{
    char who[2 * FIELD_BYTES];

    describe(h, who, sizeof who);
    return hr_fail(HR_ERR_ARG,
                   "%s: %s works in this folder%s%.40s; wait for it or end it", folder,
                   who, h->since[0] != '\0' ? " since " : "", h->since);
}

/* It is held. When Slurm has lost a node it starts the job anew on others, and the disk
 * may take a while to give up the lost one's locks: that is worth another try. */
static hr_status refuse_held(const char *folder, const hr_lock *lock, const holder *h)
{
    char who[2 * FIELD_BYTES];

    if (lock->me.job[0] == '\0' || strcmp(h->job, lock->me.job) != 0 ||
        strcmp(h->host, lock->me.host) == 0)
        return refuse(folder, h);
    describe(h, who, sizeof who);
    return hr_fail(HR_ERR_DEVICE,
                   "%s: %s, of an earlier start of this job, still holds the lock of "
                   "this folder",
                   folder, who);
}

/* Whether a lock of this disk is one for all hosts that see it: not where it was mounted
 * with locks of its own, or by a program that may keep them to itself. */
static bool spans_hosts(int fd)
{
    static const char *const local[] = {"local_lock=all", "local_lock=flock", "nolock",
                                        "localflock", " - fuse"};
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    char line[MOUNT_BYTES], disk[64];
    struct stat info;
    bool spans = true;

    if (mounts == NULL || fstat(fd, &info) != 0) {
        if (mounts != NULL)
            fclose(mounts);
        return false;
    }
    snprintf(disk, sizeof disk, " %u:%u ", major(info.st_dev), minor(info.st_dev));
    while (fgets(line, sizeof line, mounts) != NULL)
        for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
            if (strstr(line, disk) != NULL && strstr(line, local[i]) != NULL)
                spans = false;
    fclose(mounts);
    return spans;
}

/* Seconds since the run wrote its status, or since the lock was written; negative when it
 * has ended. Its host's clock may be ahead of ours: that is news of just now. */
static double silence(const char *folder, int fd)
{
    hr_run_report report;
    struct stat info;
    hr_text path = {0};
    time_t last = 0;
    bool has_ended = false;
    double seconds;

    if (fstat(fd, &info) == 0)
        last = info.st_mtim.tv_sec;
    if (hr_text_printf(&path, "%s/status.json", folder) == HR_OK &&
        access(path.s, R_OK) == 0 && hr_status_file_read(path.s, &report) == HR_OK) {
        has_ended = report.status.state != HR_RUN_RUNNING && report.updated >= last;
        if (report.updated > last)
            last = report.updated;
        hr_run_report_free(&report);
    }
    hr_text_free(&path);
    seconds = difftime(time(NULL), last);
    return has_ended ? -1 : seconds > 0 ? seconds : 0;
}

/* The lock was free; `h` is who wrote it, and `sure` that such a process would hold it.
 */
static hr_status judge(const char *folder, const hr_lock *lock, const holder *h,
                       bool sure)
{
    const holder me = lock->me;
    bool is_here = strcmp(h->host, me.host) == 0;
    char who[2 * FIELD_BYTES], ago[24];
    double silent;

    describe(h, who, sizeof who);
    if (!sure && is_here && strcmp(h->boot, me.boot) == 0 && h->start != 0 &&
        start_of(h->pid) == h->start)
        return refuse(folder, h);
    if (!sure && !is_here && (me.job[0] == '\0' || strcmp(h->job, me.job) != 0)) {
        silent = silence(folder, lock->fd);
        hr_format_duration(silent, ago);
        if (silent >= 0 && silent < STALE_SECONDS)
            return hr_fail(HR_ERR_ARG,
                           "%s: %s may still work in this folder: last news %s ago; "
                           "after 10 min without it is taken over, or remove %s/lock",
                           folder, who, ago, folder);
    }
    hr_info("%s: %s is gone and had not ended its work: taking over", folder, who);
    return HR_OK;
}

/* Whether the open file is still the one of that name. */
static bool is_current(const hr_lock *lock)
{
    struct stat named, opened;

    return fstatat(lock->folder, "lock", &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(lock->fd, &opened) == 0 && named.st_ino == opened.st_ino &&
           named.st_dev == opened.st_dev;
}

static hr_status open_file(const char *folder, hr_lock *lock)
{
    struct stat info;

    lock->fd = hr_fault_errno("lock.open", EROFS)
                   ? -1
                   : openat(lock->folder, "lock",
                            O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (lock->fd < 0 || fstat(lock->fd, &info) != 0)
        return hr_fail(HR_ERR_IO, "%s/lock cannot be opened: %s", folder,
                       errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    if (!S_ISREG(info.st_mode))
        return hr_fail(HR_ERR_IO, "%s/lock is there and not a plain file", folder);
    return HR_OK;
}

/* One try; *again when the file was removed meanwhile. */
static hr_status try_take(const char *folder, hr_lock *lock, bool *again)
{
    char text[TEXT_BYTES];
    bool sure = true;
    holder h;

    HR_TRY(open_file(folder, lock));
    if (hr_fault_errno("lock.take", ENOLCK) || flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            read_text(lock->fd, text);
            h = parse(text);
            return refuse_held(folder, lock, &h);
        }
        hr_warn("%s/lock cannot be held: %s; only its text tells others", folder,
                strerror(errno));
        sure = false;
    }
    *again = !is_current(lock);
    if (*again || read_text(lock->fd, text) == 0)
        return HR_OK;
    h = parse(text);
    if (sure)
        sure = spans_hosts(lock->fd);
    return h.host[0] != '\0' ? judge(folder, lock, &h, sure) : HR_OK;
}

static hr_status sign(const char *folder, hr_lock *lock)
{
    size_t n;

    write_text(&lock->me, lock->text);
    n = strlen(lock->text);
    if (hr_fault_errno("lock.write", ENOSPC) || ftruncate(lock->fd, 0) != 0 ||
        pwrite(lock->fd, lock->text, n, 0) != (ssize_t)n || fsync(lock->fd) != 0)
        return hr_fail(HR_ERR_IO, "%s/lock cannot be written: %s", folder,
                       strerror(errno));
    return HR_OK;
}

static hr_status take(const char *folder, hr_lock *lock)
{
    bool again = true;

    lock->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock->folder < 0)
        return hr_fail(HR_ERR_IO, "cannot open folder %s: %s", folder, strerror(errno));
    for (int i = 0; i < TRIES && again; i++) {
        if (lock->fd >= 0)
            close(lock->fd);
        lock->fd = -1;
        HR_TRY(try_take(folder, lock, &again));
    }
    if (again)
        return hr_fail(HR_ERR_IO, "%s/lock is taken and removed again and again", folder);
    return sign(folder, lock);
}

static void destroy(hr_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    if (lock->folder >= 0)
        close(lock->folder);
    hr_free(lock);
}

hr_status hr_lock_open(const char *folder, const char *job, hr_lock **out)
{
    hr_lock *lock;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *lock, "the lock of a folder", &memory));
    lock = memory;
    lock->fd = lock->folder = -1;
    lock->me = myself(job);
    status = take(folder, lock);
    if (status == HR_OK)
        *out = lock;
    else
        destroy(lock);
    return status;
}

/* While it is held: who has opened it meanwhile sees that it is gone. */
void hr_lock_drop(const hr_lock *lock)
{
    if (is_current(lock) && unlinkat(lock->folder, "lock", 0) != 0)
        hr_debug("a lock is left: %s", strerror(errno));
}

void hr_lock_close(hr_lock *lock)
{
    if (lock == NULL)
        return;
    hr_lock_drop(lock);
    destroy(lock);
}

const char *hr_lock_text(const hr_lock *lock)
{
    return lock->text;
}

bool hr_lock_is_seen(const char *folder, const char *text)
{
    char found[TEXT_BYTES], path[4096];
    int fd, n = snprintf(path, sizeof path, "%s/lock", folder);

    if (n < 0 || (size_t)n >= sizeof path)
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    read_text(fd, found);
    close(fd);
    return strcmp(found, text) == 0;
}
