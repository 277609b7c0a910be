/* Who may work in a folder: one program; what a dead one left is taken over, also where
 * the disk cannot tell. */
#include "support/test_util.h"

#include "base/fault.h"
#include "base/text.h"
#include "io/lock.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void test_one_program(void **state)
{
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "lock");
    hr_lock *lock, *second;
    char message[128];

    (void)state;
    hr_test_ok(hr_lock_open(folder, NULL, &lock));
    snprintf(message, sizeof message, "process %d on host ", getpid());
    hr_test_fails(HR_ERR_ARG, message, hr_lock_open(folder, NULL, &second));
    hr_test_release_log();
    assert_true(hr_lock_is_seen(folder, hr_lock_text(lock)));
    assert_false(hr_lock_is_seen(folder, "haloreel lock 1\nhost other\n"));
    assert_false(hr_lock_is_seen("/nowhere", hr_lock_text(lock)));
    hr_lock_close(lock);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(hr_test_count_entries(folder), 0);
    hr_test_ok(hr_lock_open(folder, NULL, &lock));
    hr_lock_close(lock);
    hr_lock_close(NULL);
}

static void write_lock(const char *folder, const char *host, const char *job, int64_t pid,
                       uint64_t start)
{
    char boot[64] = "", text[512];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (file != NULL && fgets(boot, sizeof boot, file) != NULL)
        boot[strcspn(boot, "\n")] = '\0';
    if (file != NULL)
        fclose(file);
    snprintf(text, sizeof text,
             "haloreel lock 1\nhost %s\nboot %s\npid %" PRId64 "\nstart %" PRIu64
             "\njob %s\nsince 2026-01-31T12:00:00Z\n",
             host, boot, pid, start, job);
    hr_test_write(hr_test_path(folder, "lock"), text, strlen(text));
}

/* Another process holds it, and is killed. */
static void test_killed(void **state)
{
    const char *folder = hr_test_folder();
    hr_lock *lock;
    char message[128], byte;
    int ends[2];
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        if (hr_lock_open(folder, "77", &lock) == HR_OK && write(ends[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    snprintf(message, sizeof message, "process %d on host ", child);
    hr_test_fails(HR_ERR_ARG, message, hr_lock_open(folder, NULL, &lock));
    hr_test_fails(HR_ERR_ARG, "(Slurm job 77) works in this folder since 20",
                  hr_lock_open(folder, NULL, &lock));
    write_lock(folder, "elsewhere", "77", 1, 1); /* as if from there: a lost node */
    hr_test_fails(HR_ERR_DEVICE, "(Slurm job 77), of an earlier start of this job",
                  hr_lock_open(folder, "77", &lock));
    hr_test_fails(HR_ERR_ARG, "works in this folder", hr_lock_open(folder, "78", &lock));
    hr_test_release_log();
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    hr_test_ok(hr_lock_open(folder, NULL, &lock));
    hr_lock_close(lock);
    close(ends[0]);
    close(ends[1]);
}

/* The folder is moved aside while it is locked. */
static void test_moved(void **state)
{
    const char *base = hr_test_folder(), *run = hr_test_path(base, "run"),
               *old = hr_test_path(base, "run.old-1");
    hr_lock *lock, *second;

    (void)state;
    assert_int_equal(mkdir(run, 0777), 0);
    hr_test_ok(hr_lock_open(run, NULL, &lock));
    assert_int_equal(rename(run, old), 0);
    assert_int_equal(mkdir(run, 0777), 0);
    hr_test_ok(hr_lock_open(run, NULL, &second));
    hr_lock_close(lock);
    assert_int_equal(hr_test_count_entries(old), 0);
    assert_int_equal(hr_test_count_entries(run), 1);
    hr_lock_close(second);
}

static void write_status(const char *folder, const char *run_state, time_t updated)
{
    char stamp[32], text[128];
    struct tm utc;

    gmtime_r(&updated, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(text, sizeof text, "{\"state\": \"%s\", \"updated\": \"%s\"}", run_state,
             stamp);
    hr_test_write(hr_test_path(folder, "status.json"), text, strlen(text));
}

static void make_older(const char *path, int seconds)
{
    const struct timespec when[2] = {{.tv_sec = time(NULL) - seconds},
                                     {.tv_sec = time(NULL) - seconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, when, 0), 0);
}

/* With the only warning that there is. */
static void takes_over_as(const char *folder, const char *job)
{
    hr_lock *lock;

    hr_test_catch_log();
    hr_test_ok(hr_lock_open(folder, job, &lock));
    assert_int_equal(hr_test_log_lines(), 1);
    assert_non_null(strstr(hr_test_log_line(0), "cannot be held"));
    hr_test_release_log();
    hr_lock_close(lock);
}

static void takes_over(const char *folder)
{
    takes_over_as(folder, NULL);
}

static void refuses(const char *folder, const char *part)
{
    hr_lock *lock;

    hr_test_catch_log();
    assert_int_equal(hr_lock_open(folder, NULL, &lock), HR_ERR_ARG);
    assert_int_equal(hr_test_log_lines(), 2);
    if (strstr(hr_test_log_line(1), part) == NULL)
        fail_msg("%s: not in: %s", part, hr_test_log_line(1));
    hr_test_release_log();
}

/* flock does not work: what the text says counts. */
static void test_disk_cannot_tell(void **state)
{
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "lock");
    char host[256] = "";
    hr_lock *lock;
    int64_t pid;
    uint64_t start;

    (void)state;
    gethostname(host, sizeof host - 1);
    hr_test_ok(hr_lock_open(folder, NULL, &lock));
    assert_int_equal(sscanf(strstr(hr_lock_text(lock), "\npid "),
                            "\npid %" SCNd64 "\nstart %" SCNu64, &pid, &start),
                     2);
    assert_true(pid == getpid() && start > 0);
    hr_lock_close(lock);
    hr_fault_set("lock.take:1+");
    write_lock(folder, host, "", pid, start);
    refuses(folder, "works in this folder");
    write_lock(folder, host, "", pid, start + 1); /* its number was given out again */
    takes_over(folder);
    write_lock(folder, "elsewhere", "5", 1, 1);
    refuses(folder, "process 1 on host elsewhere (Slurm job 5) may still work in this "
                    "folder: last news 0:0");
    takes_over_as(folder, "5"); /* which was started again on this host */
    write_lock(folder, "elsewhere", "5", 1, 1);
    make_older(path, 1000);
    write_status(folder, "running", time(NULL) - 500);
    refuses(folder, "last news 8:2");
    write_status(folder, "running", time(NULL) + 90); /* the clock of its host is ahead */
    refuses(folder, "last news 0:00");
    write_status(folder, "running", time(NULL) - 700);
    takes_over(folder);
    write_lock(folder, "elsewhere", "5", 1, 1);
    make_older(path, 50);
    write_status(folder, "stopped", time(NULL) - 10);
    takes_over(folder);
    hr_fault_set(NULL);
}

/* On a disk that tells, a text alone is nothing; nor is a stranger's. */
static void test_texts(void **state)
{
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "lock");
    static const char garbage[] = "host\n\npid x\nstart\n\xff\x01 \x7f\nhost ";
    static char large[100000];
    hr_lock *lock;

    (void)state;
    write_lock(folder, "elsewhere", "", 1, 1);
    hr_test_ok(hr_lock_open(folder, NULL, &lock));
    hr_lock_close(lock);
    hr_test_write(path, garbage, sizeof garbage);
    hr_test_ok(hr_lock_open(folder, NULL, &lock));
    hr_lock_close(lock);
    memset(large, 'x', sizeof large);
    hr_test_write(path, large, sizeof large);
    hr_test_ok(hr_lock_open(folder, NULL, &lock));
    assert_true(hr_lock_is_seen(folder, hr_lock_text(lock)));
    hr_lock_close(lock);
}

static void test_cannot_be_made(void **state)
{
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "lock");
    hr_lock *lock;

    (void)state;
    hr_test_fails(HR_ERR_IO, "cannot open folder ",
                  hr_lock_open(hr_test_path(folder, "none"), NULL, &lock));
    assert_int_equal(mkdir(path, 0777), 0);
    hr_test_fails(HR_ERR_IO, "lock cannot be opened: Is a directory",
                  hr_lock_open(folder, NULL, &lock));
    rmdir(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    hr_test_fails(HR_ERR_IO, "lock cannot be opened: it is a symbolic link",
                  hr_lock_open(folder, NULL, &lock));
    unlink(path);
    hr_fault_set("lock.open:1");
    hr_test_fails(HR_ERR_IO, "lock cannot be opened: Read-only file system",
                  hr_lock_open(folder, NULL, &lock));
    hr_fault_set("lock.write:1");
    hr_test_fails(HR_ERR_IO, "lock cannot be written: No space left",
                  hr_lock_open(folder, NULL, &lock));
    hr_fault_set(NULL);
    hr_test_release_log();
    hr_test_ok(hr_lock_open(folder, NULL, &lock)); /* nothing holds it */
    hr_lock_close(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_one_program, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_killed, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_moved, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_disk_cannot_tell, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_texts, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_cannot_be_made, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
