#include "support/test_util.h"

#include "base/memory.h"
#include "base/text.h"

#include <dirent.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    MAX_FOLDERS = 64,
    MAX_PATHS = 16,
    PATH_BYTES = 4096,
    MAX_LINES = 16,
    LINE_BYTES = 2048
};

static char folders[MAX_FOLDERS][256];
static size_t n_folders;
static pid_t folders_owner;
static char lines[MAX_LINES][LINE_BYTES];
static size_t n_lines;

static int remove_entry(const char *path, const struct stat *info, int type,
                        struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_folders(void)
{
    if (getpid() != folders_owner)
        return;
    for (size_t i = 0; i < n_folders; i++)
        nftw(folders[i], remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *hr_test_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = folders[n_folders];

    assert_true(n_folders < MAX_FOLDERS);
    snprintf(folder, sizeof folders[0], "%s/haloreel-test-XXXXXX",
             base != NULL && strlen(base) < 200 ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    if (n_folders++ == 0) {
        folders_owner = getpid();
        assert_int_equal(atexit(remove_folders), 0);
    }
    return folder;
}

const char *hr_test_path(const char *folder, const char *name)
{
    static char paths[MAX_PATHS][PATH_BYTES];
    static size_t next;
    char *path = paths[next++ % MAX_PATHS];

    assert_true(snprintf(path, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES);
    return path;
}

char *hr_test_read(const char *path, size_t *n_bytes)
{
    char *data = NULL;

    hr_test_ok(hr_read_file(path, SIZE_MAX / 4, &data, n_bytes));
    return data;
}

void hr_test_write(const char *path, const void *data, size_t n_bytes)
{
    FILE *file = fopen(path, "wbe");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, n_bytes, file), n_bytes);
    assert_int_equal(fclose(file), 0);
}

void hr_test_limit_files(uint64_t most_bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = most_bytes < limit.rlim_max ? most_bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

size_t hr_test_count_entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}

static void keep_line(hr_log_level level, const char *line)
{
    (void)level;
    if (n_lines < MAX_LINES)
        snprintf(lines[n_lines], LINE_BYTES, "%s", line);
    n_lines++;
}

void hr_test_catch_log(void)
{
    n_lines = 0;
    hr_log_set_sink(keep_line);
}

void hr_test_release_log(void)
{
    hr_log_set_sink(NULL);
}

size_t hr_test_log_lines(void)
{
    return n_lines;
}

const char *hr_test_log_line(size_t i)
{
    assert_true(i < n_lines && i < MAX_LINES);
    return lines[i];
}

void hr_test_check_failure(hr_status expected, const char *part, hr_status got,
                           const char *call, const char *file, int line)
{
    hr_test_release_log();
    if (got == expected && n_lines == 1 && strstr(lines[0], part) != NULL)
        return;
    print_error(
        "%s: found \"%s\" and %zu lines, expected \"%s\" and one line with \"%s\"\n",
        call, hr_status_name(got), n_lines, hr_status_name(expected), part);
    for (size_t i = 0; i < n_lines && i < MAX_LINES; i++)
        print_error("    %s\n", lines[i]);
    _fail(file, line);
}

void hr_test_check_leaks(const char *file, int line)
{
    size_t blocks = hr_mem_live_blocks();

    if (blocks == 0)
        return;
    print_error("%zu blocks (%zu bytes) are still alive\n", blocks, hr_mem_live_bytes());
    _fail(file, line);
}

/* What a failed test left behind must not fail those after it. */
int hr_test_leak_teardown(void **state)
{
    static size_t before;
    size_t blocks = hr_mem_live_blocks(), more = blocks > before ? blocks - before : 0;

    (void)state;
    before = blocks;
    if (more > 0)
        print_error("%zu blocks of this test are still alive\n", more);
    return more > 0 ? -1 : 0;
}

void hr_test_same_files(const char *a, const char *b)
{
    size_t n_a, n_b;
    char *of_a = hr_test_read(a, &n_a), *of_b = hr_test_read(b, &n_b);

    assert_int_equal(n_a, n_b);
    assert_memory_equal(of_a, of_b, n_a);
    hr_free(of_a);
    hr_free(of_b);
}
