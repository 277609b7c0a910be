#include "cli/submit.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/batch.h"
#include "cli/request.h"
#include "io/disk.h"
#include "io/out_file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* One job file, read and planned. */
typedef struct submit_source {
    hr_job job;
    hr_model_entry entry;
    hr_model *model;
    hr_plan plan;
    hr_batch batch;
} submit_source;

static hr_status check_job(const hr_submit_options *options, const hr_job *job,
                           const char *path)
{
    if (!job->is_set[HR_KEY_PROMPT])
        return hr_fail(HR_ERR_ARG, "%s: no prompt", path);
    for (size_t i = 0; options->seeds != NULL && i < options->n_sets; i++)
        if (strncmp(options->sets[i], "sampler.seed=", 13) == 0)
            return hr_fail(HR_ERR_ARG,
                           "--seeds and --set sampler.seed are both given: which?");
    return HR_OK;
}

/* The seed of the job FOLDER/NAME, where there is one. */
static hr_status read_seed(const char *folder, const char *name, hr_job *job, bool *found)
{
    hr_text path = {0};
    hr_job earlier;
    hr_status status = hr_text_printf(&path, "%s/%s", folder, name);

    hr_job_init(&earlier);
    if (status == HR_OK && access(path.s, F_OK) == 0)
        status = hr_job_load(path.s, &earlier);
    *found = status == HR_OK && earlier.is_set[HR_KEY_SEED];
    if (*found)
        job->seed = earlier.seed;
    hr_job_free(&earlier);
    hr_text_free(&path);
    return status;
}

/* Who submits a job again means the same video: its seed was drawn the first time. */
static hr_status keep_seed(hr_job *job)
{
    bool found;

    HR_TRY(read_seed(job->output_folder, "job.yaml", job, &found));
    return found ? HR_OK : read_seed(job->output_folder, "slurm/job.yaml", job, &found);
}

static hr_status make_batch(const hr_submit_options *options, const char *path,
                            submit_source *source)
{
    const hr_render_options as_render = {
        .job_file = path, .seeds = options->seeds, .n_seeds = options->n_seeds};
    uint64_t key = 0;
    bool has_seed = source->job.is_set[HR_KEY_SEED] || options->seeds != NULL;

    if (!has_seed && getrandom(&key, sizeof key, 0) != sizeof key)
        return hr_fail(HR_ERR_IO, "random numbers: %s", strerror(errno));
    HR_TRY(hr_batch_make(&as_render, &source->entry, &source->job, key, &source->batch));
    if (has_seed)
        return HR_OK;
    return keep_seed(&source->batch.videos[0].job);
}

static hr_status open_source(const hr_submit_options *options, const char *path,
                             submit_source *source)
{
    HR_TRY(hr_job_load(path, &source->job));
    for (size_t i = 0; i < options->n_sets; i++)
        HR_TRY(hr_job_set(&source->job, "--set", options->sets[i]));
    HR_TRY(check_job(options, &source->job, path));
    HR_TRY(
        hr_request_resolve(&source->job, &source->entry, &source->model, &source->plan));
    HR_TRY(make_batch(options, path, source));
    for (size_t i = 0; i < source->batch.n; i++)
        HR_TRY(source->batch.videos[i].status);
    return HR_OK;
}

static void close_source(submit_source *source)
{
    hr_batch_free(&source->batch);
    hr_model_close(source->model);
    hr_model_entry_free(&source->entry);
    hr_job_free(&source->job);
}

static hr_status check_path(const char *path)
{
    for (const char *c = path; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == '\\')
            return hr_fail(HR_ERR_UNSUPPORTED,
                           "output.folder: %s: Slurm takes neither backslashes nor "
                           "control characters there",
                           path);
    return HR_OK;
}

/* Makes FOLDER/slurm and gives FOLDER as it is from everywhere. */
static hr_status make_folder(const char *folder, char **out)
{
    char resolved[PATH_MAX];
    hr_text slurm = {0};
    hr_status status = hr_text_printf(&slurm, "%s/slurm", folder);

    if (status == HR_OK)
        status = hr_folder_create(slurm.s);
    if (status == HR_OK && realpath(folder, resolved) == NULL)
        status = hr_fail(HR_ERR_IO, "folder %s: %s", folder, strerror(errno));
    hr_text_free(&slurm);
    HR_TRY(status);
    *out = hr_strdup(resolved);
    return *out != NULL ? HR_OK : hr_fail(HR_ERR_NOMEM, "out of memory: a path");
}

static hr_status save_job(hr_job *job, const char *folder, bool *is_new)
{
    hr_text text = {0}, path = {0};
    hr_status status = hr_text_printf(&text, "output.folder=%s", folder);

    if (status == HR_OK)
        status = hr_job_set(job, "output.folder", text.s);
    text.length = 0;
    if (status == HR_OK)
        status = hr_job_write_yaml(job, &text);
    if (status == HR_OK)
        status = hr_text_printf(&path, "%s/slurm/job.yaml", folder);
    if (status == HR_OK)
        *is_new = access(path.s, F_OK) != 0;
    if (status == HR_OK)
        status = hr_out_file_save(path.s, text.s, text.length);
    hr_text_free(&path);
    hr_text_free(&text);
    return status;
}

static hr_status refuse_twice(const hr_submit_runs *runs)
{
    const char *last = runs->folders[runs->n - 1];

    for (size_t i = 0; i + 1 < runs->n; i++)
        if (strcmp(runs->folders[i], last) == 0)
            return hr_fail(HR_ERR_ARG, "output.folder: two of the jobs have %s", last);
    return HR_OK;
}

/* Room for n more. */
static hr_status grow(hr_submit_runs *out, size_t n)
{
    void *folders = hr_realloc(out->folders, (out->n + n) * sizeof(char *));
    void *are_new;

    if (folders != NULL)
        out->folders = folders;
    are_new = hr_realloc(out->are_new, (out->n + n) * sizeof(bool));
    if (are_new != NULL)
        out->are_new = are_new;
    return folders != NULL && are_new != NULL
               ? HR_OK
               : hr_fail(HR_ERR_NOMEM, "out of memory: the list of runs");
}

static hr_status add_runs(submit_source *source, hr_submit_runs *out)
{
    HR_TRY(grow(out, source->batch.n));
    for (size_t i = 0; i < source->batch.n; i++) {
        hr_job *job = &source->batch.videos[i].job;

        HR_TRY(make_folder(job->output_folder, &out->folders[out->n]));
        out->are_new[out->n++] = false;
        HR_TRY(check_path(out->folders[out->n - 1]));
        HR_TRY(refuse_twice(out));
        HR_TRY(save_job(job, out->folders[out->n - 1], &out->are_new[out->n - 1]));
    }
    return HR_OK;
}

static hr_status add_job_file(const hr_submit_options *options, const char *path,
                              hr_submit_runs *out)
{
    submit_source source = {0};
    hr_status status;

    hr_job_init(&source.job);
    status = open_source(options, path, &source);
    if (status == HR_OK && out->n == 0) {
        out->n_steps = source.plan.n_steps;
        status = hr_submit_size_choose(options, &source.job, source.model, &source.plan,
                                       &out->size);
    } else if (status == HR_OK && options->split_decode &&
               source.plan.n_steps != out->n_steps)
        status = hr_fail(HR_ERR_ARG,
                         "%s: %d steps, the first job has %d: --split-decode wants as "
                         "many in each",
                         path, source.plan.n_steps, out->n_steps);
    if (status == HR_OK)
        status = add_runs(&source, out);
    close_source(&source);
    return status;
}

/* Makes FOLDER/slurm for the script. */
static hr_status make_slurm_folder(hr_submit_runs *out)
{
    hr_text path = {0};
    hr_status status = hr_text_printf(&path, "%s/slurm", out->folder);

    if (status == HR_OK)
        status = hr_folder_create(path.s);
    if (status == HR_OK) {
        out->slurm_folder = hr_strdup(path.s);
        if (out->slurm_folder == NULL)
            status = hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    }
    if (status == HR_OK)
        status = hr_text_add(&path, "/job.sbatch");
    if (status == HR_OK)
        out->is_new_script = access(path.s, F_OK) != 0;
    hr_text_free(&path);
    return status;
}

/* In that of the only run, or of the first of several jobs; of seeds in the folder around
 * them. */
static hr_status place_script(const hr_submit_options *options, hr_submit_runs *out)
{
    const char *first = out->folders[0], *slash = strrchr(first, '/');

    out->folder = hr_strndup(first, options->seeds != NULL ? (size_t)(slash - first)
                                                           : strlen(first));
    if (out->folder == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    return make_slurm_folder(out);
}

/* "cat" of "jobs/cat.yaml" */
static hr_status name_job(const char *path, hr_submit_runs *out)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    out->name =
        hr_strndup(name, dot != NULL && dot > name ? (size_t)(dot - name) : strlen(name));
    return out->name != NULL ? HR_OK : hr_fail(HR_ERR_NOMEM, "out of memory: a name");
}

hr_status hr_submit_runs_make(const hr_submit_options *options, hr_submit_runs *out)
{
    *out = (hr_submit_runs){0};
    for (size_t i = 0; i < options->n_job_files; i++)
        HR_TRY(add_job_file(options, options->job_files[i], out));
    HR_TRY(name_job(options->job_files[0], out));
    return place_script(options, out);
}

/* FOLDER/NAME; nothing is said. */
static void drop(int (*how)(const char *path), const char *folder, const char *name)
{
    hr_text path = {0};

    if (hr_text_printf(&path, "%s/%s", folder, name) == HR_OK)
        how(path.s);
    hr_text_free(&path);
}

/* FOLDER/slurm and FOLDER, where they are empty. */
static void drop_empty(const char *folder)
{
    drop(rmdir, folder, "slurm");
    rmdir(folder);
}

void hr_submit_runs_undo(const hr_submit_runs *runs)
{
    if (runs->is_new_script) {
        drop(unlink, runs->folder, "slurm/job.sbatch");
        drop(unlink, runs->folder, "slurm/decode.sbatch");
    }
    for (size_t i = 0; i < runs->n; i++) {
        if (runs->are_new[i])
            drop(unlink, runs->folders[i], "slurm/job.yaml");
        drop_empty(runs->folders[i]);
    }
    if (runs->folder != NULL)
        drop_empty(runs->folder);
}

void hr_submit_runs_free(hr_submit_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++)
        hr_free(runs->folders[i]);
    hr_free(runs->folders);
    hr_free(runs->are_new);
    hr_free(runs->folder);
    hr_free(runs->slurm_folder);
    hr_free(runs->name);
    *runs = (hr_submit_runs){0};
}
