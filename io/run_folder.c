#include "io/run_folder.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/frames.h"
#include "io/out_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

enum { MAX_OLD = 10000 };

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

hr_status hr_run_folder_choose(const hr_run_options *options, char **out)
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
    HR_TRY(hr_run_folder_choose(options, &run->folder));
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
    HR_TRY(join(run->folder, "checkpoint", &run->checkpoint_folder));
    HR_TRY(join(run->folder, "latents.h5", &run->latents_file));
    HR_TRY(join(run->folder, "segments", &run->segments_folder));
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
hr_status hr_run_folder_refuse_results(const hr_run_folder *run)
{
    const char *result = hr_run_folder_result(run);
    char *path = NULL;
    hr_status status = HR_OK;

    if (result != NULL && access(result, F_OK) == 0)
        return refuse_existing(result);
    for (size_t i = 0; i < N_RESULTS && status == HR_OK; i++) {
        status = join(run->folder, result_names[i], &path);
        if (status == HR_OK && access(path, F_OK) == 0)
            status = refuse_existing(path);
        hr_free(path);
        path = NULL;
    }
    return status;
}

static hr_status clear_damaged(const hr_run_folder *run)
{
    HR_TRY(hr_folder_clear(run->folder, "latents.h5", ".damaged"));
    return hr_folder_clear(run->checkpoint_folder, "step-", ".damaged");
}

/* What another run than the one that begins left, but for its result. */
static hr_status clear(const hr_run_folder *run)
{
    hr_status status;
    char *logs;

    HR_TRY(hr_file_remove(run->receipt_file));
    HR_TRY(hr_file_remove(run->latents_file));
    HR_TRY(hr_folder_clear(run->folder, ".latents.h5.", "part"));
    HR_TRY(hr_folder_clear(run->checkpoint_folder, "step-", ".h5"));
    HR_TRY(hr_folder_clear(run->checkpoint_folder, ".step-", ".part"));
    HR_TRY(clear_damaged(run));
    HR_TRY(hr_folder_remove(run->segments_folder));
    if (run->preview_folder != NULL)
        HR_TRY(hr_frames_clear(run->preview_folder, "step-"));
    HR_TRY(join(run->folder, "log", &logs));
    status = hr_folder_clear(logs, "rank-", ".log");
    hr_free(logs);
    return status;
}

hr_status hr_run_folder_begin(const hr_run_folder *run, hr_run_begin how)
{
    const char *result = hr_run_folder_result(run);

    if (how == HR_RUN_NEW)
        HR_TRY(hr_run_folder_refuse_results(run));
    if (how != HR_RUN_ON)
        HR_TRY(clear(run));
    HR_TRY(make_parent(run->log_file));
    HR_TRY(hr_folder_create(run->scratch_folder));
    if (result != NULL) {
        HR_TRY(hr_folder_create_above(result));
        HR_TRY(make_parent(result));
    }
    return run->preview_folder != NULL ? hr_folder_create(run->preview_folder) : HR_OK;
}

/* RUN.old-1, or the next that is free. */
static hr_status find_old_name(const char *folder, hr_text *out)
{
    for (int i = 1; i < MAX_OLD; i++) {
        out->length = 0;
        HR_TRY(hr_text_printf(out, "%s.old-%d", folder, i));
        if (access(out->s, F_OK) != 0)
            return HR_OK;
    }
    return hr_fail(HR_ERR_IO, "%s: there are %d old runs beside it", folder, MAX_OLD);
}

/* A result that lies elsewhere goes with its run. */
static hr_status move_result(const char *file, const char *old)
{
    const char *slash = strrchr(file, '/');
    char *to = NULL;
    hr_status status;

    if (access(file, F_OK) != 0)
        return HR_OK;
    HR_TRY(join(old, slash != NULL ? slash + 1 : file, &to));
    status = hr_path_move(file, to);
    hr_free(to);
    return status;
}

static hr_status set_aside(const hr_run_options *options, hr_run_folder *run)
{
    hr_text old = {0};
    hr_status status;

    HR_TRY_GOTO(find_old_name(run->folder, &old), done);
    HR_TRY_GOTO(hr_path_move(run->folder, old.s), done);
    hr_info("%s: the run that was there is in %s now", run->folder, old.s);
    hr_lock_close(run->lock);
    run->lock = NULL;
    if (options->file != NULL)
        HR_TRY_GOTO(move_result(options->file, old.s), done);
    HR_TRY_GOTO(hr_folder_create(run->folder), done);
    status = hr_lock_open(run->folder, options->job_id, &run->lock);
done:
    hr_text_free(&old);
    return status;
}

/* A folder from a stranger could have a run write, and remove, anywhere. */
static hr_status refuse_links(const hr_run_folder *run)
{
    static const char *const names[] = {"log",      "scratch",         "checkpoint",
                                        "segments", "segments/frames", "preview",
                                        "frames"};
    hr_status status = HR_OK;
    struct stat info;
    char *path;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == HR_OK; i++) {
        HR_TRY(join(run->folder, names[i], &path));
        if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
            status = hr_fail(HR_ERR_ARG,
                             "%s is a symbolic link: of a run folder only the whole "
                             "may be one",
                             path);
        hr_free(path);
    }
    return status;
}

static hr_status open_folder(const hr_run_options *options, hr_run_folder *run)
{
    if (options->file != NULL)
        HR_TRY(check_file(options));
    HR_TRY(set_paths(options, run));
    if (options->is_named)
        HR_TRY(hr_folder_create_above(run->folder));
    HR_TRY(hr_folder_create(run->folder));
    HR_TRY(make_parent(run->job_file)); /* whether it can be written */
    HR_TRY(hr_lock_open(run->folder, options->job_id, &run->lock));
    if (options->fresh && hr_folder_has_more(run->folder, "lock"))
        return set_aside(options, run);
    return refuse_links(run);
}

hr_status hr_run_folder_open(const hr_run_options *options, hr_run_folder *out)
{
    hr_run_folder run = {0};
    hr_status status = open_folder(options, &run);

    if (status != HR_OK) {
        hr_run_folder_close(&run);
        return status;
    }
    *out = run;
    return HR_OK;
}

/* Scratch files have no names, so that folder is empty; where they have (NFS keeps one
 * until the last rank closes it), the next run takes it over. */
static void remove_empty(const char *folder)
{
    if (rmdir(folder) != 0 && errno != ENOENT)
        hr_debug("folder %s is left: %s", folder, strerror(errno));
}

void hr_run_folder_close(hr_run_folder *run)
{
    if (run->lock != NULL) {
        remove_empty(run->scratch_folder);
        remove_empty(run->checkpoint_folder);
        hr_lock_close(run->lock);
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
    hr_free(run->checkpoint_folder);
    hr_free(run->latents_file);
    hr_free(run->segments_folder);
    *run = (hr_run_folder){0};
}

void hr_run_folder_drop_others(const hr_run_folder *run)
{
    const char *result = hr_run_folder_result(run);
    char *path = NULL;

    (void)clear_damaged(run);                                   /* says what it cannot */
    (void)hr_folder_clear(run->folder, ".latents.h5.", "part"); /* of a killed process */
    for (size_t i = 0; i < N_RESULTS; i++) {
        if (join(run->folder, result_names[i], &path) != HR_OK)
            return;
        if (result != NULL && strcmp(path, result) != 0 && access(path, F_OK) == 0 &&
            hr_frames_clear(path, "frame-") == HR_OK && remove(path) != 0)
            hr_warn("an older result is left: %s: %s", path, strerror(errno));
        hr_free(path);
    }
}

static const char identity_line[] = "# identity ";

hr_status hr_run_folder_save_job(const hr_run_folder *run, const hr_job *job,
                                 const hr_hash *identity)
{
    char digits[HR_HASH_TEXT_BYTES];
    hr_text text = {0};
    hr_status status = hr_text_printf(
        &text,
        "# What this folder was rendered from, defaults filled in: haloreel render takes "
        "it as it is.\n%s%s\n",
        identity_line, hr_hash_text(*identity, digits));

    if (status == HR_OK)
        status = hr_job_write_yaml(job, &text);
    if (status == HR_OK)
        status = hr_out_file_save(run->job_file, text.s, text.length);
    hr_text_free(&text);
    return status;
}

bool hr_run_folder_is_of(const hr_run_folder *run, const hr_hash *identity)
{
    char line[256], digits[HR_HASH_TEXT_BYTES];
    FILE *file = hr_fault("file.open") ? NULL : fopen(run->job_file, "re");
    size_t n = strlen(identity_line);
    bool found = false;

    if (file == NULL)
        return false;
    hr_hash_text(*identity, digits);
    while (!found && fgets(line, sizeof line, file) != NULL && line[0] == '#')
        found = strncmp(line, identity_line, n) == 0 &&
                strncmp(line + n, digits, strlen(digits)) == 0;
    fclose(file);
    return found;
}

const char *hr_run_folder_result(const hr_run_folder *run)
{
    if (run->video != NULL)
        return run->video;
    return run->picture != NULL ? run->picture : run->frames_folder;
}
