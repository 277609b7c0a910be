#include "comm/process.h"
#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Set by the launchers for each process: Open MPI's, PMIx, PMI-1, PMI-2, MPICH's. */
static const char *const launcher_names[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK",
                                             "PMI_RANK", "PMI_ID", "MPI_LOCALNRANKS"};
/* Those that say how many there are. */
static const char *const size_names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};

/* The first `size - 1` bytes; 0 or errno. */
static int read_start(const char *path, char *out, size_t size)
{
    int file =
        hr_fault_errno("file.open", EMFILE) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = file < 0 ? -1 : read(file, out, size - 1);
    int error = n < 0 ? errno : 0;

    if (file >= 0)
        close(file);
    out[n > 0 ? n : 0] = '\0';
    return error;
}

/* From /proc/PID/stat: "pid (name) state ...", of which the start is the 22nd field. 0 or
 * errno: ENOENT, ESRCH where there is no such process. */
static int read_stat(int64_t pid, char *state, uint64_t *start_ticks)
{
    char path[64], text[1024];
    const char *field;
    int error;

    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    error = read_start(path, text, sizeof text);
    if (error != 0)
        return error;
    field = strrchr(text, ')'); /* the name may hold blanks */
    if (field == NULL || field[1] == '\0')
        return EIO;
    *state = field[2];
    for (int i = 2; field != NULL && i < 22; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL)
        return EIO;
    *start_ticks = strtoull(field, NULL, 10);
    return 0;
}

static uint64_t space_of(const char *path)
{
    struct stat found;

    return stat(path, &found) == 0 ? (uint64_t)found.st_ino : 0;
}

hr_process hr_process_self(void)
{
    hr_process self = {.pid = getpid(),
                       .pid_space = space_of("/proc/self/ns/pid"),
                       .network = space_of("/proc/self/ns/net")};
    char state;

    read_start("/proc/sys/kernel/random/boot_id", self.boot, sizeof self.boot);
    if (read_stat(self.pid, &state, &self.start_ticks) != 0)
        self.start_ticks = 0;
    return self;
}

/* The start of a process that is there, 0 where it cannot be looked at: one is not dead
 * because no file is free. */
static bool is_there(int64_t pid, uint64_t *start_ticks)
{
    char state;
    int error = read_stat(pid, &state, start_ticks);

    if (error == 0)
        return state != 'Z' && state != 'X';
    *start_ticks = 0;
    return error != ENOENT && error != ESRCH;
}

bool hr_process_exists(int64_t pid)
{
    uint64_t start_ticks;

    return is_there(pid, &start_ticks);
}

bool hr_process_is_alive(const hr_process *process)
{
    uint64_t start_ticks;

    return is_there(process->pid, &start_ticks) &&
           (start_ticks == 0 || start_ticks == process->start_ticks);
}

bool hr_process_is_visible(const hr_process *process)
{
    const hr_process self = hr_process_self();

    return self.start_ticks != 0 && self.pid_space == process->pid_space &&
           strcmp(self.boot, process->boot) == 0 && hr_process_is_alive(process);
}

bool hr_process_was_launched(void)
{
    for (size_t i = 0; i < sizeof launcher_names / sizeof launcher_names[0]; i++)
        if (getenv(launcher_names[i]) != NULL)
            return true;
    return false;
}

int hr_process_launched_size(void)
{
    for (size_t i = 0; i < sizeof size_names / sizeof size_names[0]; i++) {
        const char *text = getenv(size_names[i]);
        long n = text != NULL ? strtol(text, NULL, 10) : 0;

        if (n > 0 && n <= INT_MAX)
            return (int)n;
    }
    return 0;
}
