#include "cli/submit.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/out_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_TEMPLATE_BYTES = 1 << 20 };

/* Words that are owned. */
typedef struct words {
    char **at;
    size_t n;
} words;

static hr_status add_word(words *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static hr_status add_word(words *list, const char *format, ...)
{
    void *more = hr_realloc(list->at, (list->n + 1) * sizeof(char *));
    va_list arguments, again;
    size_t bytes;
    char *word;

    if (more == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a script");
    list->at = more;
    va_start(arguments, format);
    va_copy(again, arguments);
    bytes = (size_t)vsnprintf(NULL, 0, format, arguments) + 1;
    word = hr_alloc(bytes);
    if (word != NULL)
        vsnprintf(word, bytes, format, again);
    va_end(again);
    va_end(arguments);
    if (word == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a script");
    list->at[list->n++] = word;
    return HR_OK;
}

static void free_words(words *list)
{
    for (size_t i = 0; i < list->n; i++)
        hr_free(list->at[i]);
    hr_free(list->at);
    *list = (words){0};
}

static bool is_array(const hr_submit_options *options)
{
    return options->seeds != NULL || options->many_jobs;
}

static hr_status add_nodes(const hr_submit_size *size, bool is_decode, words *list)
{
    if (is_decode || size->least_nodes == size->most_nodes)
        HR_TRY(add_word(list, "--nodes=%d", is_decode ? 1 : size->least_nodes));
    else
        HR_TRY(add_word(list, "--nodes=%d-%d", size->least_nodes, size->most_nodes));
    HR_TRY(add_word(list, "--ntasks-per-node=%d", size->ranks_per_node));
    return size->cpus_per_rank > 0
               ? add_word(list, "--cpus-per-task=%d", size->cpus_per_rank)
               : HR_OK;
}

/* What the user says comes last: there the last one holds. */
static hr_status add_options(const hr_submit_options *o, const hr_submit_runs *runs,
                             bool is_decode, words *list)
{
    const char *const *own = is_decode ? o->decode_sbatch : o->sbatch;
    size_t n_own = is_decode ? o->n_decode_sbatch : o->n_sbatch;

    HR_TRY(add_word(list, "--job-name=%s%s", runs->name, is_decode ? "-decode" : ""));
    HR_TRY(add_nodes(&runs->size, is_decode, list));
    if (o->time != NULL)
        HR_TRY(add_word(list, "--time=%s", o->time));
    if (o->partition != NULL)
        HR_TRY(add_word(list, "--partition=%s", o->partition));
    if (o->account != NULL)
        HR_TRY(add_word(list, "--account=%s", o->account));
    if (is_array(o))
        HR_TRY(add_word(list, "--array=1-%zu", runs->n));
    for (size_t i = 0; i < n_own; i++)
        HR_TRY(add_word(list, "%s", own[i]));
    return HR_OK;
}

static hr_status name_program(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (n < 0)
        return hr_fail(HR_ERR_IO, "/proc/self/exe: %s", strerror(errno));
    out[n] = '\0';
    return HR_OK;
}

/* slurm/job.sbatch beside the folder configs. */
static hr_status read_template(const char *given, hr_text *path, char **text)
{
    char *configs = NULL;
    size_t n_bytes;
    hr_status status = HR_OK;

    if (given == NULL)
        HR_TRY(hr_configs_folder(&configs));
    if (given != NULL)
        status = hr_text_add(path, given);
    else
        status = hr_text_printf(path, "%s/../slurm/job.sbatch", configs);
    if (status == HR_OK)
        status = hr_read_file(path->s, MOST_TEMPLATE_BYTES, text, &n_bytes);
    if (status == HR_ERR_IO && given != NULL)
        status = HR_ERR_ARG;
    hr_free(configs);
    return status;
}

/* All that a template can ask for; the strings are the words of `list`. */
typedef struct filling {
    const hr_submit_options *options;
    const hr_submit_runs *runs;
    hr_submit_kind kind;
    const char *script; /* its path */
} filling;

/* Slurm fills in what begins with %, and %% is one. */
static hr_status add_log(const filling *f, words *list)
{
    hr_text path = {0};
    hr_status status = HR_OK;

    for (const char *c = f->runs->slurm_folder; *c != '\0' && status == HR_OK; c++)
        status = *c == '%' ? hr_text_add(&path, "%%") : hr_text_append(&path, c, 1);
    if (status == HR_OK)
        status = add_word(list, "%s/%s", path.s,
                          is_array(f->options) ? "job-%A_%a.log" : "job-%j.log");
    hr_text_free(&path);
    return status;
}

/* One word for each name of the template that stands for one, in their order. */
static hr_status add_single_words(const filling *f, words *list)
{
    const hr_submit_size *size = &f->runs->size;
    char program[PATH_MAX], here[PATH_MAX], cpus[16] = "";

    HR_TRY(name_program(program));
    if (getcwd(here, sizeof here) == NULL)
        return hr_fail(HR_ERR_IO, "the current folder: %s", strerror(errno));
    if (size->cpus_per_rank > 0)
        snprintf(cpus, sizeof cpus, "%d", size->cpus_per_rank);
    HR_TRY(add_word(list, "%s", f->runs->slurm_folder));
    HR_TRY(add_log(f, list));
    HR_TRY(add_word(list, "%d", f->options->signal_seconds));
    HR_TRY(add_word(list, "%s", f->script));
    HR_TRY(add_word(list, "%s", program));
    HR_TRY(add_word(list, "%s", here));
    HR_TRY(add_word(list, "%d", size->ranks_per_node));
    HR_TRY(add_word(list, "%s", cpus));
    HR_TRY(add_word(list, "%d", f->kind == HR_SUBMIT_DECODE ? 1 : size->least_nodes));
    return add_word(list, "%d", f->options->max_failures);
}

static hr_status add_render_options(const filling *f, words *list)
{
    if (f->kind != HR_SUBMIT_DENOISE)
        return HR_OK;
    return add_word(list, "--stop-after-step=%d", f->runs->n_steps);
}

static hr_status fill(const filling *f, const char *path, const char *text, hr_text *out)
{
    static const char *const names[] = {
        "folder",      "log",          "signal_seconds", "script",
        "program",     "start_folder", "ranks_per_node", "cpus_per_rank",
        "least_nodes", "max_failures"};
    enum { N_NAMES = sizeof names / sizeof names[0] };
    hr_submit_value values[N_NAMES + 3];
    words single = {0}, sbatch = {0}, render = {0};
    hr_status status = add_single_words(f, &single);

    if (status == HR_OK)
        status = add_options(f->options, f->runs, f->kind == HR_SUBMIT_DECODE, &sbatch);
    if (status == HR_OK)
        status = add_render_options(f, &render);
    for (size_t i = 0; i < N_NAMES && status == HR_OK; i++)
        values[i] = (hr_submit_value){names[i], (const char *const *)&single.at[i], 1};
    values[N_NAMES] =
        (hr_submit_value){"options", (const char *const *)sbatch.at, sbatch.n};
    values[N_NAMES + 1] =
        (hr_submit_value){"render_options", (const char *const *)render.at, render.n};
    values[N_NAMES + 2] =
        (hr_submit_value){"runs", (const char *const *)f->runs->folders, f->runs->n};
    if (status == HR_OK)
        status = hr_submit_fill(path, text, values, N_NAMES + 3, out);
    free_words(&single);
    free_words(&sbatch);
    free_words(&render);
    return status;
}

hr_status hr_submit_script_write(const hr_submit_options *options,
                                 const hr_submit_runs *runs, hr_submit_kind kind,
                                 hr_text *path)
{
    hr_text template_path = {0}, script = {0};
    char *text = NULL;
    hr_status status = hr_text_printf(path, "%s/%s.sbatch", runs->slurm_folder,
                                      kind == HR_SUBMIT_DECODE ? "decode" : "job");
    const filling f = {.options = options, .runs = runs, .kind = kind, .script = path->s};

    if (status == HR_OK)
        status = read_template(options->template_file, &template_path, &text);
    if (status == HR_OK)
        status = fill(&f, template_path.s, text, &script);
    if (status == HR_OK)
        status = hr_out_file_save(path->s, script.s, script.length);
    hr_free(text);
    hr_text_free(&template_path);
    hr_text_free(&script);
    return status;
}
