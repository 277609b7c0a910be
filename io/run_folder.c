#include "io/run_folder.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/frames.h"
#include "io/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static hr_status make_one(const char *path)
{
    struct stat info;

    if (!hr_fault_errno("file.mkdir", EACCES) && mkdir(path, 0777) == 0)
        return HR_OK;
    if (errno != EEXIST)
        return hr_fail(HR_ERR_IO, "cannot create folder %s: %s", path, strerror(errno));
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return hr_fail(HR_ERR_IO, "cannot create folder %s: a file is there", path);
    return HR_OK;
}

hr_status hr_folder_create(const char *path)
{
    char *copy = hr_strdup(path);
    hr_status status = HR_OK;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    for (char *s = copy + (copy[0] == '/'); *s != '\0' && status == HR_OK; s++) {
        if (*s != '/')
            continue;
        *s = '\0';
        status = make_one(copy);
        *s = '/';
    }
    if (status == HR_OK)
        status = make_one(copy);
    hr_free(copy);
    return status;
}

static hr_status join(const char *folder, const char *name, char **out)
{
    hr_text path = {0};

    HR_TRY(hr_text_printf(&path, "%s/%s", folder, name));
    *out = path.s;
    return HR_OK;
}

hr_status hr_run_folder_log_of(const char *folder, int rank, char **out)
{
    hr_text path = {0};

    HR_TRY(hr_text_printf(&path, "%s/log/rank-%04d.log", folder, rank));
    *out = path.s;
    return HR_OK;
}

static bool has_ending(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);

    return n > m && path[n - m - 1] != '/' && strcasecmp(path + n - m, ending) == 0;
}

/* A file given with -o has to fit what the job makes. */
static hr_status check_file(const hr_run_options *options)
{
    const char *file = options->file, *ending = options->is_still ? ".png" : ".mp4";

    if (options->video == HR_JOB_NO_VIDEO)
        return hr_fail(HR_ERR_ARG, "%s: nothing to put there, output.video is none",
                       file);
    if (options->video == HR_JOB_PNG && !options->is_still)
        return hr_fail(
            HR_ERR_ARG,
            "%s: many pictures (output.video: png) go to a folder: output.folder", file);
    if (!has_ending(file, ending))
        return hr_fail(HR_ERR_ARG, "%s: expected a name that ends in %s for %s", file,
                       ending, options->is_still ? "a still picture" : "a film");
    return HR_OK;
}

static hr_status copy_path(const char *path, char **out)
{
    *out = hr_strdup(path);
    if (*out == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the path %s", path);
    return HR_OK;
}

static hr_status choose_folder(const hr_run_options *options, char **out)
{
    hr_text path = {0};
    size_t n;

    if (options->folder != NULL) {
        n = strlen(options->folder);
        while (n > 1 && options->folder[n - 1] == '/')
            n--;
        HR_TRY(hr_text_append(&path, options->folder, n));
    } else {
        n = strlen(options->file) - strlen(".mp4");
        HR_TRY(hr_text_printf(&path, "%.*s.run", (int)n, options->file));
    }
    *out = path.s;
    return HR_OK;
}

static hr_status set_paths(const hr_run_options *options, hr_run_folder *run)
{
    char **result = NULL;
    const char *name = NULL;

    if (options->video == HR_JOB_NO_VIDEO) {
        result = NULL;
    } else if (options->is_still) {
        result = &run->picture;
        name = "picture.png";
    } else if (options->video == HR_JOB_PNG) {
        result = &run->frames_folder;
        name = "frames";
    } else {
        result = &run->video;
        name = "video.mp4";
    }
    HR_TRY(choose_folder(options, &run->folder));
    if (result != NULL && options->file != NULL)
        HR_TRY(copy_path(options->file, result));
    else if (result != NULL)
        HR_TRY(join(run->folder, name, result));
    if (options->previews)
        HR_TRY(join(run->folder, "preview", &run->preview_folder));
    HR_TRY(join(run->folder, "job.yaml", &run->job_file));
    HR_TRY(join(run->folder, "status.json", &run->status_file));
    HR_TRY(join(run->folder, "receipt.json", &run->receipt_file));
    HR_TRY(join(run->folder, "scratch", &run->scratch_folder));
    return hr_run_folder_log_of(run->folder, 0, &run->log_file);
}

static hr_status make_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder;
    hr_status status;

    if (slash == NULL || slash == path)
        return HR_OK;
    folder = hr_strndup(path, (size_t)(slash - path));
    if (folder == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the path %s", path);
    status = hr_folder_create(folder);
    if (status == HR_OK && access(folder, W_OK | X_OK) != 0)
        status =
            hr_fail(HR_ERR_IO, "cannot write to folder %s: %s", folder, strerror(errno));
    hr_free(folder);
    return status;
}

/* The lock goes with the descriptor, however the process ends. */
static hr_status lock_folder(hr_run_folder *run)
{
    run->lock = hr_fault_errno("file.open", EMFILE)
                    ? -1
                    : open(run->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0)
        return hr_fail(HR_ERR_IO, "cannot open folder %s: %s", run->folder,
                       strerror(errno));
    if (!hr_fault_errno("file.lock", ENOLCK) && flock(run->lock, LOCK_EX | LOCK_NB) == 0)
        return HR_OK;
    if (errno == EWOULDBLOCK)
        return hr_fail(HR_ERR_ARG, "%s: another haloreel renders into this folder",
                       run->folder);
    hr_warn("folder %s cannot be locked: %s", run->folder, strerror(errno));
    return HR_OK;
}

static hr_status refuse_existing(const char *path)
{
    return hr_fail(HR_ERR_ARG,
                   "%s: there is one already; --force replaces it, or give "
                   "another output.folder",
                   path);
}

static const char *const result_names[] = {"video.mp4", "picture.png", "frames"};
enum { N_RESULTS = sizeof result_names / sizeof result_names[0] };

/* A folder keeps one result: a picture is not put beside an older film either. */
static hr_status refuse_results(const hr_run_folder *run, const char *file)
{
    char *path = NULL;
    hr_status status = HR_OK;

    if (file != NULL && access(file, F_OK) == 0)
        return refuse_existing(file);
    for (size_t i = 0; i < N_RESULTS && status == HR_OK; i++) {
        status = join(run->folder, result_names[i], &path);
        if (status == HR_OK && access(path, F_OK) == 0)
            status = refuse_existing(path);
        hr_free(path);
        path = NULL;
    }
    return status;
}

static hr_status make_folders(const hr_run_options *options, const hr_run_folder *run)
{
    HR_TRY(make_parent(run->job_file)); /* whether it can be written */
    HR_TRY(make_parent(run->log_file));
    HR_TRY(hr_folder_create(run->scratch_folder));
    if (options->file != NULL)
        HR_TRY(make_parent(options->file));
    if (run->preview_folder == NULL)
        return HR_OK;
    HR_TRY(hr_folder_create(run->preview_folder));
    return hr_frames_clear(run->preview_folder, "step-"); /* of an earlier run */
}

static hr_status open_folder(const hr_run_options *options, hr_run_folder *run)
{
    if (options->file != NULL)
        HR_TRY(check_file(options));
    HR_TRY(set_paths(options, run));
    if (!options->force)
        HR_TRY(refuse_results(run, options->file));
    HR_TRY(hr_folder_create(run->folder));
    HR_TRY(lock_folder(run));
    if (!options->force) /* again: another process may just have finished */
        HR_TRY(refuse_results(run, options->file));
    return make_folders(options, run);
}

hr_status hr_run_folder_open(const hr_run_options *options, hr_run_folder *out)
{
    hr_run_folder run = {.lock = -1};
    hr_status status = open_folder(options, &run);

    if (status != HR_OK) {
        hr_run_folder_close(&run);
        return status;
    }
    *out = run;
    return HR_OK;
}

/* Its files have no names, so it is empty; where they have (NFS keeps one until the last
 * rank closes it), the next run takes the folder over. */
static void remove_scratch(const hr_run_folder *run)
{
    if (rmdir(run->scratch_folder) != 0 && errno != ENOENT)
        hr_debug("folder %s is left: %s", run->scratch_folder, strerror(errno));
}

void hr_run_folder_close(hr_run_folder *run)
{
    if (run->folder != NULL && run->lock >= 0) {
        remove_scratch(run);
        close(run->lock);
    }
    hr_free(run->folder);
    hr_free(run->video);
    hr_free(run->picture);
    hr_free(run->frames_folder);
    hr_free(run->preview_folder);
    hr_free(run->job_file);
    hr_free(run->status_file);
    hr_free(run->receipt_file);
    hr_free(run->log_file);
    hr_free(run->scratch_folder);
    *run = (hr_run_folder){.lock = -1};
}

void hr_run_folder_drop_others(const hr_run_folder *run)
{
    const char *result = hr_run_folder_result(run);
    char *path = NULL;

    for (size_t i = 0; i < N_RESULTS; i++) {
        if (join(run->folder, result_names[i], &path) != HR_OK)
            return;
        if (result != NULL && strcmp(path, result) != 0 && access(path, F_OK) == 0 &&
            hr_frames_clear(path, "frame-") == HR_OK && remove(path) != 0)
            hr_warn("an older result is left: %s: %s", path, strerror(errno));
        hr_free(path);
    }
}

hr_status hr_run_folder_save_job(const hr_run_folder *run, const hr_job *job)
{
    hr_text text = {0};
    hr_status status =
        hr_text_add(&text, "# What this folder was rendered from, defaults "
                           "filled in: haloreel render takes it as it is.\n");

    if (status == HR_OK)
        status = hr_job_write_yaml(job, &text);
    if (status == HR_OK)
        status = hr_out_file_save(run->job_file, text.s, text.length);
    hr_text_free(&text);
    return status;
}

const char *hr_run_folder_result(const hr_run_folder *run)
{
    if (run->video != NULL)
        return run->video;
    return run->picture != NULL ? run->picture : run->frames_folder;
}

hr_status hr_disk_available(const char *path, uint64_t *out)
{
    struct statvfs info;

    if (hr_fault_errno("file.statvfs", EIO) || statvfs(path, &info) != 0)
        return hr_fail(HR_ERR_IO, "%s: cannot tell how much disk is free: %s", path,
                       strerror(errno));
    *out = (uint64_t)info.f_bavail * (uint64_t)info.f_frsize;
    return HR_OK;
}

hr_status hr_disk_require(const char *path, uint64_t bytes, const char *what)
{
    uint64_t free_bytes;
    char needed[16], available[16];

    HR_TRY(hr_disk_available(path, &free_bytes));
    if (bytes <= free_bytes)
        return HR_OK;
    return hr_fail(HR_ERR_NOMEM, "%s: %s needs %s of disk, %s are free", path, what,
                   hr_format_bytes(bytes, needed),
                   hr_format_bytes(free_bytes, available));
}
