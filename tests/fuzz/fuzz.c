#include "fuzz.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t n_errors, n_live;
static char last_error[HR_LOG_LINE_BYTES];

static void take_line(hr_log_level level, const char *line)
{
    if (level != HR_LOG_ERROR)
        return;
    n_errors++;
    snprintf(last_error, sizeof last_error, "%s", line);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    hr_log_set_sink(take_line);
    /* Sub-commands print there. */
    if (freopen("/dev/null", "w", stdout) == NULL)
        fprintf(stderr, "fuzz: standard output stays\n");
    return 0;
}

void hr_fuzz_begin(void)
{
    n_errors = 0;
    n_live = hr_mem_live_blocks();
}

void hr_fuzz_end(size_t n_failures)
{
    hr_log_set_sink(NULL); /* for what is said now */
    if (n_errors != n_failures)
        fprintf(stderr, "fuzz: %zu failures with %zu lines, the last: %s\n", n_failures,
                n_errors, n_errors > 0 ? last_error : "none");
    HR_ASSERT(n_errors == n_failures);
    HR_ASSERT(hr_mem_live_blocks() == n_live);
    hr_log_set_sink(take_line);
}

static void write_all(int fd, const void *data, size_t n)
{
    HR_ASSERT(fd >= 0);
    HR_ASSERT(write(fd, data, n) == (ssize_t)n);
}

const char *hr_fuzz_file(int slot, const uint8_t *data, size_t n)
{
    static int fds[2];
    static char paths[2][64];
    int truncated;

    if (fds[slot] == 0) {
        fds[slot] = memfd_create("input", MFD_CLOEXEC);
        snprintf(paths[slot], sizeof paths[slot], "/proc/self/fd/%d", fds[slot]);
    }
    truncated = ftruncate(fds[slot], 0);
    HR_ASSERT(truncated == 0);
    HR_ASSERT(lseek(fds[slot], 0, SEEK_SET) == 0);
    write_all(fds[slot], data, n);
    return paths[slot];
}

static char folder[256];

static void remove_folder(void)
{
    char command[300];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "fuzz: %s stays\n", folder);
}

const char *hr_fuzz_folder(void)
{
    if (folder[0] == '\0') {
        const char *made;

        snprintf(folder, sizeof folder, "%s/haloreel-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : P_tmpdir);
        made = mkdtemp(folder);
        HR_ASSERT(made != NULL);
        atexit(remove_folder);
    }
    return folder;
}

void hr_fuzz_write(const char *name, const void *data, size_t n)
{
    char path[512];
    size_t root = strlen(hr_fuzz_folder()) + 1;
    int fd;

    snprintf(path, sizeof path, "%s/%s", hr_fuzz_folder(), name);
    for (char *slash = strchr(path + root, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700); /* is there from the second time on */
        *slash = '/';
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    write_all(fd, data, n);
    close(fd);
}

void hr_fuzz_copy(const char *from, const char *name)
{
    char *data;
    size_t n;
    hr_status status = hr_read_file(from, SIZE_MAX, &data, &n);

    HR_ASSERT(status == HR_OK);
    hr_fuzz_write(name, data, n);
    hr_free(data);
}
