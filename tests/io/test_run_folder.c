/* Where a run's files go, what is refused, what stays and the lock. */
#include "support/test_util.h"

#include "base/memory.h"
#include "base/text.h"
#include "io/run_folder.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void test_film(void **state)
{
    const char *base = hr_test_folder();
    const char *folder = hr_test_path(base, "a/b/run");
    const char *with_slash = hr_test_path(base, "a/b/run//");
    const hr_run_options options = {.folder = with_slash, .previews = true};
    hr_run_folder run;

    (void)state;
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_int_equal(hr_test_count_entries(folder), 1); /* the lock */
    hr_test_ok(hr_run_folder_begin(&run, HR_RUN_NEW));
    assert_string_equal(run.folder, folder);
    assert_string_equal(run.video, hr_test_path(folder, "video.mp4"));
    assert_string_equal(hr_run_folder_result(&run), run.video);
    assert_null(run.picture);
    assert_null(run.frames_folder);
    assert_string_equal(run.preview_folder, hr_test_path(folder, "preview"));
    assert_string_equal(run.job_file, hr_test_path(folder, "job.yaml"));
    assert_string_equal(run.status_file, hr_test_path(folder, "status.json"));
    assert_string_equal(run.log_file, hr_test_path(folder, "log/rank-0000.log"));
    assert_true(is_folder(run.preview_folder));
    assert_true(is_folder(hr_test_path(folder, "log")));
    assert_string_equal(run.receipt_file, hr_test_path(folder, "receipt.json"));
    assert_string_equal(run.scratch_folder, hr_test_path(folder, "scratch"));
    assert_true(is_folder(run.scratch_folder));
    assert_string_equal(run.checkpoint_folder, hr_test_path(folder, "checkpoint"));
    assert_string_equal(run.latents_file, hr_test_path(folder, "latents.h5"));
    assert_string_equal(run.segments_folder, hr_test_path(folder, "segments"));
    hr_test_ok(hr_folder_create(run.checkpoint_folder));
    hr_run_folder_close(&run);
    assert_false(is_folder(hr_test_path(folder, "scratch")));
    assert_false(is_folder(hr_test_path(folder, "checkpoint")));
    assert_false(access(hr_test_path(folder, "lock"), F_OK) == 0);
}

/* A killed run leaves its scratch folder behind; and one of another rank may still hold a
 * file there. */
static void test_scratch_left_behind(void **state)
{
    const char *folder = hr_test_path(hr_test_folder(), "run");
    const char *file = hr_test_path(folder, "scratch/.nfs0001");
    const hr_run_options options = {.folder = folder};
    hr_run_folder run;

    (void)state;
    hr_test_ok(hr_folder_create(hr_test_path(folder, "scratch")));
    hr_test_write(file, "x", 1);
    hr_test_ok(hr_run_folder_open(&options, &run));
    hr_test_ok(hr_run_folder_begin(&run, HR_RUN_NEW));
    hr_test_catch_log();
    hr_run_folder_close(&run);
    assert_int_equal(hr_test_log_lines(), 0);
    hr_test_release_log();
    assert_int_equal(access(file, F_OK), 0);
}

static void test_logs(void **state)
{
    char *path;

    (void)state;
    hr_test_ok(hr_run_folder_log_of("a/b", 17, &path));
    assert_string_equal(path, "a/b/log/rank-0017.log");
    hr_free(path);
    hr_test_ok(hr_run_folder_log_of("a", 123456, &path));
    assert_string_equal(path, "a/log/rank-123456.log");
    hr_free(path);
}

static void test_other_results(void **state)
{
    const char *folder = hr_test_path(hr_test_folder(), "run");
    hr_run_options options = {.folder = folder, .is_still = true};
    hr_run_folder run;

    (void)state;
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_string_equal(hr_run_folder_result(&run), hr_test_path(folder, "picture.png"));
    assert_null(run.video);
    assert_null(run.preview_folder);
    hr_run_folder_close(&run);
    options.video = HR_JOB_PNG; /* a still is a picture in this case too */
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_string_equal(hr_run_folder_result(&run), hr_test_path(folder, "picture.png"));
    hr_run_folder_close(&run);
    options.is_still = false;
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_string_equal(hr_run_folder_result(&run), hr_test_path(folder, "frames"));
    hr_run_folder_close(&run);
    options.video = HR_JOB_NO_VIDEO;
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_null(hr_run_folder_result(&run));
    hr_run_folder_close(&run);
}

static void test_file(void **state)
{
    const char *base = hr_test_folder();
    const char *film = hr_test_path(base, "x/out.mp4"),
               *picture = hr_test_path(base, "o.PNG");
    hr_run_options options = {.file = film};
    hr_run_folder run;

    (void)state;
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_string_equal(run.folder, hr_test_path(base, "x/out.run"));
    assert_string_equal(hr_run_folder_result(&run), film);
    hr_run_folder_close(&run);
    options.folder = hr_test_path(base, "y/run");
    options.file = hr_test_path(base, "z/out.mp4");
    hr_test_ok(hr_run_folder_open(&options, &run));
    hr_test_ok(hr_run_folder_begin(&run, HR_RUN_NEW));
    assert_string_equal(run.folder, options.folder);
    assert_true(is_folder(hr_test_path(base, "z")));
    hr_run_folder_close(&run);
    options = (hr_run_options){.file = picture, .is_still = true};
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_string_equal(run.picture, picture);
    assert_string_equal(run.folder, hr_test_path(base, "o.run"));
    hr_run_folder_close(&run);
}

/* Opens and begins. */
static hr_status start(const hr_run_options *options, hr_run_begin how)
{
    hr_run_folder run;
    hr_status status;

    HR_TRY(hr_run_folder_open(options, &run));
    status = hr_run_folder_begin(&run, how);
    hr_run_folder_close(&run);
    return status;
}

static void refuses(const hr_run_options *options, hr_status status, const char *message)
{
    hr_test_fails(status, message, start(options, HR_RUN_NEW));
    hr_test_no_leaks();
    hr_test_release_log();
}

/* Nothing is made for a file that does not fit. */
static void test_file_refused(void **state)
{
    const char *base = hr_test_folder(), *film = hr_test_path(base, "out.mp4");
    const char *picture = hr_test_path(base, "out.png"),
               *none = hr_test_path(base, ".mp4");
    hr_run_options options = {.file = picture};

    (void)state;
    refuses(&options, HR_ERR_ARG,
            "out.png: expected a name that ends in .mp4 for a film");
    options = (hr_run_options){.file = film, .is_still = true};
    refuses(&options, HR_ERR_ARG,
            "out.mp4: expected a name that ends in .png for a still");
    options = (hr_run_options){.file = none};
    refuses(&options, HR_ERR_ARG, ".mp4: expected a name that ends in .mp4");
    options = (hr_run_options){.file = film, .video = HR_JOB_PNG};
    refuses(&options, HR_ERR_ARG,
            "out.mp4: many pictures (output.video: png) go to a folder");
    options = (hr_run_options){.file = film, .video = HR_JOB_NO_VIDEO};
    refuses(&options, HR_ERR_ARG, "out.mp4: nothing to put there, output.video is none");
    hr_test_write(film, "x", 1);
    options = (hr_run_options){.file = film};
    refuses(&options, HR_ERR_ARG,
            "out.mp4: there is one already; --force replaces it, or give another "
            "output.folder");
    assert_int_equal(hr_test_count_entries(base), 2); /* the folder is there, empty */
    assert_int_equal(hr_test_count_entries(hr_test_path(base, "out.run")), 0);
}

static void test_existing_result(void **state)
{
    static const char *const names[] = {"video.mp4", "picture.png", "frames"};
    const char *folder = hr_test_path(hr_test_folder(), "run"), *path = NULL;
    const hr_run_options options = {.folder = folder, .video = HR_JOB_PNG};
    char message[128];

    (void)state;
    assert_int_equal(mkdir(folder, 0777), 0);
    for (size_t i = 0; i < 3; i++) {
        path = hr_test_path(folder, names[i]);
        hr_test_write(path, "x", 1);
        snprintf(message, sizeof message,
                 "%s: there is one already; --force replaces it, or give another "
                 "output.folder",
                 names[i]);
        refuses(&options, HR_ERR_ARG, message);
        assert_int_equal(access(path, F_OK), 0);
        hr_test_ok(start(&options, HR_RUN_OVER));
        hr_test_ok(start(&options, HR_RUN_ON));
        assert_int_equal(access(path, F_OK), 0); /* until the new one takes its name */
        unlink(path);
    }
}

static void test_not_writable(void **state)
{
    const char *base = hr_test_folder(), *file = hr_test_path(base, "file");
    hr_run_options options = {.folder = hr_test_path(file, "run")};

    (void)state;
    hr_test_write(file, "x", 1);
    refuses(&options, HR_ERR_IO, "file: a file is there");
    options.folder = file;
    refuses(&options, HR_ERR_IO, "file: a file is there");
    options.folder = "/proc/run";
    refuses(&options, HR_ERR_IO, "cannot create folder /proc/run: ");
    options = (hr_run_options){.folder = hr_test_path(base, "run"),
                               .file = hr_test_path(file, "x.mp4")};
    refuses(&options, HR_ERR_IO, "file: a file is there");
    if (geteuid() == 0)
        return; /* root may write everywhere */
    assert_int_equal(mkdir(hr_test_path(base, "closed"), 0500), 0);
    options = (hr_run_options){.folder = hr_test_path(base, "closed")};
    refuses(&options, HR_ERR_IO, "closed: Permission denied");
}

static void test_lock(void **state)
{
    const hr_run_options options = {.folder = hr_test_path(hr_test_folder(), "run")};
    hr_run_folder run, second;

    (void)state;
    hr_test_ok(hr_run_folder_open(&options, &run));
    hr_test_fails(HR_ERR_ARG, " works in this folder since ",
                  hr_run_folder_open(&options, &second));
    hr_test_release_log();
    hr_run_folder_close(&run);
    hr_test_ok(hr_run_folder_open(&options, &run));
    hr_run_folder_close(&run);
}

static const char *const left[] = {"log/rank-0000.log",
                                   "log/rank-0003.log",
                                   "log/mine.txt",
                                   "preview/step-0005.png",
                                   "receipt.json",
                                   "latents.h5",
                                   ".latents.h5.part",
                                   "segments/0000.mp4",
                                   "segments/0001/frame-0001.png",
                                   "checkpoint/step-0001-00004.h5",
                                   "checkpoint/notes.txt",
                                   "checkpoint/.step-0001-00004.h5.part",
                                   "other.txt"};
enum { N_LEFT = sizeof left / sizeof left[0] };

static bool is_kept(const char *name)
{
    return strstr(name, ".txt") != NULL;
}

/* A new run removes what an older one left, and nothing else; one that goes on removes
 * nothing. */
static void test_begin(void **state)
{
    char *folder = hr_strdup(hr_test_path(hr_test_folder(), "run"));
    const hr_run_options options = {.folder = folder, .previews = true};
    static const char *const folders[] = {"log", "preview", "segments/0001",
                                          "checkpoint"};

    (void)state;
    for (int how = HR_RUN_NEW; how <= HR_RUN_ON; how++) {
        for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
            hr_test_ok(hr_folder_create(hr_test_path(folder, folders[i])));
        for (size_t i = 0; i < N_LEFT; i++)
            hr_test_write(hr_test_path(folder, left[i]), "x", 1);
        hr_test_ok(start(&options, (hr_run_begin)how));
        for (size_t i = 0; i < N_LEFT; i++)
            if ((access(hr_test_path(folder, left[i]), F_OK) == 0) !=
                (how == HR_RUN_ON || is_kept(left[i])))
                fail_msg("%s, %d", left[i], how);
    }
    hr_free(folder);
}

/* What a folder of the run would name, as a link, stays; the run itself may be one. */
static void test_links_inside_are_refused(void **state)
{
    static const char *const names[] = {"log",      "scratch", "checkpoint",
                                        "segments", "preview", "frames"};
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "run");
    const char *precious = hr_test_path(base, "precious/0000.mp4");
    const char *whole = hr_test_path(base, "link");
    const hr_run_options options = {.folder = folder}, linked = {.folder = whole};
    hr_run_folder run;

    (void)state;
    hr_test_ok(hr_folder_create(folder));
    hr_test_ok(hr_folder_create(hr_test_path(base, "precious")));
    hr_test_write(precious, "x", 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path = hr_test_path(folder, names[i]);

        assert_int_equal(symlink("../precious", path), 0);
        hr_test_fails(HR_ERR_ARG, "is a symbolic link",
                      hr_run_folder_open(&options, &run));
        unlink(path);
    }
    assert_int_equal(access(precious, F_OK), 0);
    assert_int_equal(hr_test_count_entries(folder), 0);
    assert_int_equal(symlink("run", whole), 0);
    hr_test_ok(start(&linked, HR_RUN_NEW));
}

static void test_fresh(void **state)
{
    const char *base = hr_test_folder(), *folder = hr_test_path(base, "run");
    const char *film = hr_test_path(base, "out.mp4");
    hr_run_options options = {.folder = folder, .fresh = true};

    (void)state;
    hr_test_ok(start(&options, HR_RUN_NEW)); /* nothing to move */
    assert_false(is_folder(hr_test_path(base, "run.old-1")));
    for (int i = 1; i <= 2; i++) {
        hr_test_write(hr_test_path(folder, "video.mp4"), "x", 1);
        hr_test_ok(start(&options, HR_RUN_NEW));
    }
    assert_int_equal(access(hr_test_path(base, "run.old-1/video.mp4"), F_OK), 0);
    assert_int_equal(access(hr_test_path(base, "run.old-2/video.mp4"), F_OK), 0);
    assert_int_equal(access(hr_test_path(folder, "video.mp4"), F_OK), -1);
    assert_int_equal(access(hr_test_path(base, "run.old-1/lock"), F_OK), -1);
    options = (hr_run_options){.file = film, .fresh = true};
    hr_test_ok(hr_folder_create(hr_test_path(base, "out.run/log")));
    hr_test_write(film, "x", 1);
    hr_test_ok(start(&options, HR_RUN_NEW));
    assert_int_equal(access(hr_test_path(base, "out.run.old-1/out.mp4"), F_OK), 0);
    assert_int_equal(access(film, F_OK), -1);
}

static void test_job_file(void **state)
{
    const hr_run_options options = {.folder = hr_test_path(hr_test_folder(), "run")};
    hr_run_folder run;
    const hr_hash identity = hr_hash_bytes("a", 1), other = hr_hash_bytes("b", 1);
    hr_job job, again;

    (void)state;
    hr_job_init(&job);
    hr_job_init(&again);
    hr_test_ok(hr_job_set(&job, "--set", "prompt=A cat\nruns."));
    hr_test_ok(hr_job_fill(&job));
    hr_test_ok(hr_run_folder_open(&options, &run));
    assert_false(hr_run_folder_is_of(&run, &identity));
    hr_test_ok(hr_run_folder_save_job(&run, &job, &identity));
    assert_true(hr_run_folder_is_of(&run, &identity));
    assert_false(hr_run_folder_is_of(&run, &other));
    hr_test_ok(hr_job_load(run.job_file, &again));
    assert_string_equal(again.prompt, "A cat\nruns.");
    assert_memory_equal(job.is_set, again.is_set, sizeof job.is_set);
    hr_run_folder_close(&run);
    hr_job_free(&job);
    hr_job_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_film, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_scratch_left_behind, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_logs, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_other_results, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_file, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_file_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_existing_result, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_not_writable, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_lock, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_begin, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_links_inside_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_fresh, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_job_file, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
