#include "cli/resume.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/checkpoint.h"
#include "io/checkpoint_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400, AGO_BYTES = 32 };

/* "12 s", "3 min", "5 h", "4 d" since the file was written. */
static void format_age(const char *path, char out[AGO_BYTES])
{
    struct stat info;
    double age = stat(path, &info) == 0 ? difftime(time(NULL), info.st_mtim.tv_sec) : 0;

    if (age < 2 * MINUTE)
        snprintf(out, AGO_BYTES, "%.0f s", age > 0 ? age : 0);
    else if (age < 2 * HOUR)
        snprintf(out, AGO_BYTES, "%.0f min", age / MINUTE);
    else if (age < 2 * DAY)
        snprintf(out, AGO_BYTES, "%.0f h", age / HOUR);
    else
        snprintf(out, AGO_BYTES, "%.0f d", age / DAY);
}

static hr_status refuse(const hr_wanted *wanted, const char *path, int n)
{
    const char *folder = wanted->run->folder;
    const char *keys = n == 1 ? "key differs" : "keys differ";

    if (wanted->decode_only != NULL)
        return hr_fail(HR_ERR_CHECKPOINT, "%s is of another model or program: %d %s",
                       path, n, keys);
    if (wanted->is_resume)
        return hr_fail(
            HR_ERR_CHECKPOINT,
            "%s is not of the job in %s/job.yaml and its model as they are now: "
            "%d %s; nothing was touched",
            path, folder, n, keys);
    return hr_fail(HR_ERR_CHECKPOINT,
                   "%s holds another run: %d %s; --fresh moves it aside, --force starts "
                   "over in it, or give another output.folder",
                   folder, n, keys);
}

/* The noise that a file gave is in the checkpoint: a run that goes on needs not name it
 * again. */
static hr_status take_noise_line(const hr_identity *there, hr_identity *now)
{
    static const char key[] = "--latents\t";
    const char *line = strstr(there->job, key);
    hr_text job = {0};

    if (line == NULL || strstr(now->job, key) != NULL ||
        (line != there->job && line[-1] != '\n'))
        return HR_OK;
    HR_TRY(hr_text_add(&job, now->job));
    if (hr_text_append(&job, line, strcspn(line, "\n")) != HR_OK ||
        hr_text_add(&job, "\n") != HR_OK) {
        hr_text_free(&job);
        return HR_ERR_NOMEM;
    }
    hr_free(now->job);
    now->job = job.s;
    return HR_OK;
}

/* Whether the file is of the run that is asked for. */
static hr_status compare(const hr_wanted *wanted, const char *path,
                         const hr_checkpoint_head *head)
{
    const hr_identity there = {(char *)(uintptr_t)head->job,
                               (char *)(uintptr_t)head->model};
    int n;

    if (wanted->is_resume || wanted->decode_only != NULL)
        HR_TRY(take_noise_line(&there, wanted->identity));
    HR_TRY(hr_identity_compare(&there, wanted->identity, "in checkpoint", &n));
    return n == 0 ? HR_OK : refuse(wanted, path, n);
}

static hr_status take_path(const char *path, hr_found *found)
{
    found->path = hr_strdup(path);
    return found->path != NULL ? HR_OK : hr_fail(HR_ERR_NOMEM, "out of memory: a path");
}

/* HR_ERR_CHECKPOINT, and *is_damaged: another one may do. */
static hr_status look_at(const hr_wanted *wanted, const char *path, hr_found *found,
                         bool *is_damaged)
{
    hr_checkpoint *file = NULL;
    const hr_checkpoint_head *head;
    hr_status status = hr_checkpoint_verify(NULL, path);

    if (status == HR_OK)
        status = hr_checkpoint_open(path, &file);
    *is_damaged = status == HR_ERR_CHECKPOINT;
    HR_TRY(status);
    head = hr_checkpoint_get_head(file);
    status = compare(wanted, path, head);
    if (status == HR_OK) {
        found->steps_done = head->steps_done;
        found->kind = head->steps_done == head->n_steps && head->n_pending == 0
                          ? HR_FOUND_LATENTS
                          : HR_FOUND_CHECKPOINT;
        status = take_path(path, found);
    }
    hr_checkpoint_close(file);
    return status;
}

static void set_aside(const char *path)
{
    hr_text name = {0};

    if (hr_text_printf(&name, "%s.damaged", path) == HR_OK && rename(path, name.s) != 0)
        hr_warn("%s keeps its name: %s", path, strerror(errno));
    hr_text_free(&name);
}

/* Latents first, then checkpoints, newest first. */
static hr_status look_for_files(const hr_wanted *wanted, char **paths, size_t n,
                                hr_found *found)
{
    const char *latents = wanted->run->latents_file;
    bool has_latents = access(latents, F_OK) == 0, is_damaged = false;
    hr_status status = HR_OK;
    size_t n_bad = 0;

    for (size_t i = has_latents ? 0 : 1; i <= n; i++) {
        status = look_at(wanted, i == 0 ? latents : paths[i - 1], found, &is_damaged);
        if (!is_damaged)
            break;
        n_bad++;
    }
    if (status == HR_OK && n_bad > 0) {
        hr_log_forget_error();
        hr_warn("an older one is used: %s", found->path);
        for (size_t i = 0; i < n_bad; i++)
            set_aside(has_latents && i == 0 ? latents : paths[i - has_latents]);
    }
    if (is_damaged)
        hr_warn(
            "%s: none of its checkpoints is whole; nothing was deleted; --fresh starts "
            "over",
            wanted->run->folder);
    return status;
}

static hr_status look_for_checkpoints(const hr_wanted *wanted, hr_found *found)
{
    char **paths = NULL;
    size_t n = 0;
    hr_status status;

    HR_TRY(hr_checkpoint_list(wanted->run->checkpoint_folder, &paths, &n));
    status = look_for_files(wanted, paths, n, found);
    hr_checkpoint_list_free(paths, n);
    return status;
}

static hr_status compare_receipt(const hr_wanted *wanted, const hr_receipt *receipt)
{
    hr_text job = {0}, model = {0};
    hr_identity there;
    hr_status status;
    int n = 0;

    HR_TRY_GOTO(hr_text_add(&job, "haloreel\t" HR_VERSION "\n"), done);
    HR_TRY_GOTO(hr_receipt_add_lines(receipt, "job", &job), done);
    HR_TRY_GOTO(hr_text_add(&model, ""), done);
    HR_TRY_GOTO(hr_receipt_add_lines(receipt, "model", &model), done);
    there = (hr_identity){job.s, model.s};
    if (wanted->is_resume)
        HR_TRY_GOTO(take_noise_line(&there, wanted->identity), done);
    status = hr_identity_compare(&there, wanted->identity, "in its receipt", &n);
    if (status == HR_OK && n > 0)
        status = refuse(wanted, wanted->run->receipt_file, n);
done:
    hr_text_free(&job);
    hr_text_free(&model);
    return status;
}

/* Of a run that was rendered to its end, whatever became of its result. */
static hr_status judge_receipt(const hr_wanted *wanted, const hr_receipt *receipt,
                               hr_found *found)
{
    const char *result = hr_run_folder_result(wanted->run);
    int64_t n_steps, n_latent_frames, n_frames;

    hr_receipt_sizes(receipt, &n_steps, &n_latent_frames, &n_frames);
    if (n_steps < wanted->n_steps || n_frames == 0)
        return HR_OK; /* stopped after a step */
    HR_TRY(compare_receipt(wanted, receipt));
    if (result == NULL || access(result, F_OK) == 0) {
        if (wanted->has_side_files)
            return hr_run_folder_refuse_results(wanted->run);
        found->kind = HR_FOUND_DONE;
        return HR_OK;
    }
    return hr_run_folder_refuse_results(wanted->run); /* of another kind */
}

/* *is_damaged: logged, and no failure yet. */
static hr_status look_at_receipt(const hr_wanted *wanted, hr_found *found,
                                 bool *is_damaged)
{
    hr_receipt *receipt;
    hr_status status;

    if (access(wanted->run->receipt_file, F_OK) != 0)
        return HR_OK;
    status = hr_receipt_read(wanted->run->receipt_file, &receipt);
    *is_damaged = status == HR_ERR_FORMAT;
    if (*is_damaged)
        return HR_OK;
    HR_TRY(status);
    status = judge_receipt(wanted, receipt, found);
    hr_receipt_free(receipt);
    return status;
}

/* A damaged receipt is missed only where nothing else says of which job a result is. */
static hr_status do_without_receipt(const hr_wanted *wanted, const hr_found *found)
{
    const char *result = hr_run_folder_result(wanted->run);
    const char *receipt = wanted->run->receipt_file;

    if (found->kind == HR_FOUND_NOTHING && result != NULL && access(result, F_OK) == 0) {
        hr_warn("only %s says of which job %s is; nothing was touched; %s", receipt,
                result,
                wanted->is_resume ? "to render again, move the result away"
                                  : "--fresh or --force renders it again");
        return HR_ERR_FORMAT;
    }
    hr_log_forget_error();
    hr_warn("%s is not used: the run makes it anew when it ends", receipt);
    return HR_OK;
}

static hr_status look_at_latents(const hr_wanted *wanted, hr_found *found,
                                 bool *misses_receipt)
{
    bool is_damaged;

    HR_TRY(look_at(wanted, wanted->decode_only, found, &is_damaged));
    if (found->kind == HR_FOUND_LATENTS)
        return wanted->force ? HR_OK : look_at_receipt(wanted, found, misses_receipt);
    return hr_fail(HR_ERR_CHECKPOINT, "%s is at step %d of %d: not denoised yet",
                   wanted->decode_only, found->steps_done, wanted->n_steps);
}

/* A draft that is there is not made again. */
static hr_status check_stop(const hr_wanted *wanted, hr_found *found)
{
    int stop = wanted->stop_after_step;

    if (stop == 0 || found->kind == HR_FOUND_NOTHING || found->kind == HR_FOUND_DONE ||
        found->steps_done < stop)
        return HR_OK;
    if (wanted->has_side_files)
        return hr_fail(HR_ERR_ARG,
                       "--stop-after-step: the run in %s is at step %d already; --fresh "
                       "starts over",
                       wanted->run->folder, found->steps_done);
    found->kind = HR_FOUND_DONE;
    return HR_OK;
}

void hr_resume_say(const hr_wanted *wanted, const hr_found *found)
{
    const char *result = hr_run_folder_result(wanted->run);
    char ago[AGO_BYTES];

    if (found->path != NULL)
        format_age(found->path, ago);
    if (found->kind == HR_FOUND_CHECKPOINT)
        hr_info("going on at step %d of %d from %s, written %s ago", found->steps_done,
                wanted->n_steps, found->path, ago);
    else if (found->kind == HR_FOUND_LATENTS)
        hr_info("going on with the decoding of %s, written %s ago", found->path, ago);
    else if (found->kind == HR_FOUND_DONE && wanted->stop_after_step > 0 &&
             found->path != NULL)
        hr_info(
            "%s: at step %d of %d already, written %s ago; to go on: haloreel resume %s",
            found->path, found->steps_done, wanted->n_steps, ago, wanted->run->folder);
    else if (found->kind == HR_FOUND_DONE)
        hr_info("%s: done already%s", result != NULL ? result : wanted->run->folder,
                wanted->is_resume ? "" : "; --fresh or --force renders it again");
    else if (wanted->is_resume)
        hr_info("%s: no checkpoint yet: starting from the noise", wanted->run->folder);
}

hr_status hr_resume_look(const hr_wanted *wanted, hr_found *out)
{
    hr_found found = {0};
    bool misses_receipt = false;
    hr_status status = HR_OK;

    if (wanted->decode_only != NULL)
        status = look_at_latents(wanted, &found, &misses_receipt);
    else
        status = look_at_receipt(wanted, &found, &misses_receipt);
    if (status == HR_OK && found.kind == HR_FOUND_NOTHING)
        status = look_for_checkpoints(wanted, &found);
    if (status == HR_OK && misses_receipt)
        status = do_without_receipt(wanted, &found);
    if (status == HR_OK)
        status = check_stop(wanted, &found);
    if (status != HR_OK) {
        hr_found_free(&found);
        return status;
    }
    *out = found;
    return HR_OK;
}

void hr_found_free(hr_found *found)
{
    hr_free(found->path);
    *found = (hr_found){0};
}

static bool has_run(const char *folder)
{
    static const char *const names[] = {"receipt.json", "latents.h5", "checkpoint"};
    hr_text path = {0};
    bool found = false;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++) {
        path.length = 0;
        found = hr_text_printf(&path, "%s/%s", folder, names[i]) == HR_OK &&
                access(path.s, F_OK) == 0;
    }
    hr_text_free(&path);
    return found;
}

hr_status hr_resume_find_seed(const char *folder, uint64_t *seed, bool *has_one)
{
    hr_text path = {0};
    hr_job job;
    hr_status status;

    *has_one = false;
    if (!has_run(folder))
        return HR_OK;
    hr_job_init(&job);
    status = hr_text_printf(&path, "%s/job.yaml", folder);
    if (status == HR_OK && access(path.s, F_OK) == 0)
        status = hr_job_load(path.s, &job);
    if (status == HR_OK && job.is_set[HR_KEY_SEED]) {
        *seed = job.seed;
        *has_one = true;
    }
    hr_job_free(&job);
    hr_text_free(&path);
    return status;
}
