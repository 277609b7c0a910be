#include "cli/batch.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"

#include <inttypes.h>
#include <string.h>

enum { SLUG_BYTES = 40, MAX_PROMPTS_FILE = 64 << 20, MAX_VIDEOS = 10000 };

/* "A red cat walks!" -> "a-red-cat-walks", cut at a word; other letters than a-z and
 * digits are left out. */
static hr_status add_slug(hr_text *out, const char *prompt)
{
    char slug[SLUG_BYTES + 1];
    size_t n = 0, word_end = 0;

    for (const char *c = prompt; *c != '\0'; c++) {
        char lower = *c >= 'A' && *c <= 'Z' ? (char)(*c - 'A' + 'a') : *c;
        bool plain = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');

        if (!plain && n > 0 && slug[n - 1] != '-') {
            word_end = n;
            if (n < SLUG_BYTES)
                slug[n++] = '-';
        }
        if (plain && n == SLUG_BYTES) {
            n = word_end > 0 ? word_end : n;
            break;
        }
        if (plain)
            slug[n++] = lower;
    }
    while (n > 0 && slug[n - 1] == '-')
        n--;
    return n > 0 ? hr_text_append(out, slug, n) : hr_text_add(out, "video");
}

/* "cat" of "jobs/cat.yaml" */
static hr_status add_stem(hr_text *out, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    return hr_text_append(
        out, name, dot != NULL && dot > name ? (size_t)(dot - name) : strlen(name));
}

static hr_status take_text(hr_text *text, char **out)
{
    *out = hr_strdup(text->s != NULL ? text->s : "");
    hr_text_free(text);
    return *out != NULL ? HR_OK : hr_fail(HR_ERR_NOMEM, "out of memory: a name");
}

static hr_status set_string(char **field, bool *is_set, const char *value)
{
    char *copy = hr_strdup(value);

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a text of the job");
    hr_free(*field);
    *field = copy;
    *is_set = true;
    return HR_OK;
}

/* The run folder: what the job says, else runs/NAME; in a batch a folder per video inside
 * it. */
static hr_status name_folder(const hr_render_options *options, hr_video *video,
                             bool batch)
{
    hr_job *job = &video->job;
    hr_text folder = {0};
    hr_status status = HR_OK;

    if (job->is_set[HR_KEY_OUTPUT_FOLDER])
        status = hr_text_add(&folder, job->output_folder);
    else
        status = hr_text_add(&folder, "runs/");
    if (status == HR_OK && !job->is_set[HR_KEY_OUTPUT_FOLDER]) {
        if (options->job_file != NULL)
            status = add_stem(&folder, options->job_file);
        else if (options->prompts_file != NULL)
            status = add_stem(&folder, options->prompts_file);
        else
            status = add_slug(&folder, job->prompt);
    }
    if (status == HR_OK && batch)
        status = hr_text_printf(&folder, "/%s", video->label);
    if (status == HR_OK)
        status =
            set_string(&job->output_folder, &job->is_set[HR_KEY_OUTPUT_FOLDER], folder.s);
    hr_text_free(&folder);
    return status;
}

static hr_status name_video(hr_video *video)
{
    hr_text label = {0};
    hr_status status = add_slug(&label, video->job.prompt);

    if (status == HR_OK)
        status = hr_text_printf(&label, "-seed-%" PRIu64, video->job.seed);
    if (status == HR_OK)
        return take_text(&label, &video->label);
    hr_text_free(&label);
    return status;
}

/* "a red cat" with seed 7, also the second one of that name. */
static hr_status keep_labels_apart(hr_batch *batch)
{
    hr_text label = {0};
    hr_video *video = &batch->videos[batch->n - 1];
    int again = 1;
    hr_status status = HR_OK;

    for (size_t i = 0; i + 1 < batch->n; i++)
        again +=
            strncmp(batch->videos[i].label, video->label, strlen(video->label)) == 0 &&
            (batch->videos[i].label[strlen(video->label)] == '\0' ||
             batch->videos[i].label[strlen(video->label)] == '.');
    if (again == 1)
        return HR_OK;
    status = hr_text_printf(&label, "%s.%d", video->label, again);
    hr_free(video->label);
    video->label = NULL;
    if (status == HR_OK)
        return take_text(&label, &video->label);
    hr_text_free(&label);
    return status;
}

static hr_status style_prompt(const hr_model_entry *entry, hr_video *video)
{
    hr_text prompt = {0};
    size_t length = strlen(video->job.prompt),
           bad = hr_utf8_check(video->job.prompt, length);
    hr_status status;

    if (bad < length)
        return hr_fail(HR_ERR_ARG, "prompt%s%s: not UTF-8 at byte %zu",
                       video->label != NULL ? " of " : "",
                       video->label != NULL ? video->label : "", bad + 1);
    status =
        hr_model_entry_style_prompt(entry, video->job.style, video->job.prompt, &prompt);
    if (status == HR_OK)
        return take_text(&prompt, &video->prompt);
    hr_text_free(&prompt);
    return status;
}

/* 32 bits: what the reference's generator takes. All ranks draw the same for the video of
 * this number. */
static void draw_seed(hr_job *job, uint64_t seed_key, size_t number)
{
    const uint64_t source[2] = {seed_key, number};

    if (job->is_set[HR_KEY_SEED])
        return;
    job->seed = hr_hash_bytes(source, sizeof source).low & UINT32_MAX;
    job->is_set[HR_KEY_SEED] = true;
}

/* What the user fixed, and what varies over the videos. */
typedef struct batch_source {
    const hr_render_options *options;
    const hr_model_entry *entry;
    const hr_job *job;
    uint64_t seed_key;
    bool is_batch;
} batch_source;

static hr_status add_video(const batch_source *source, const char *prompt,
                           const uint64_t *seed, hr_batch *batch)
{
    hr_video *video = &batch->videos[batch->n++];

    hr_job_init(&video->job);
    HR_TRY(hr_job_merge(&video->job, source->job));
    if (prompt != NULL)
        HR_TRY(set_string(&video->job.prompt, &video->job.is_set[HR_KEY_PROMPT], prompt));
    if (seed != NULL) {
        video->job.seed = *seed;
        video->job.is_set[HR_KEY_SEED] = true;
    }
    draw_seed(&video->job, source->seed_key, batch->n);
    if (source->is_batch) {
        HR_TRY(name_video(video));
        HR_TRY(keep_labels_apart(batch));
    }
    HR_TRY(name_folder(source->options, video, source->is_batch));
    video->status = style_prompt(source->entry, video);
    return source->is_batch ? HR_OK : video->status;
}

static hr_status add_prompt(const batch_source *source, const char *prompt,
                            hr_batch *batch)
{
    const hr_render_options *o = source->options;

    if (o->seeds == NULL)
        return add_video(source, prompt, NULL, batch);
    for (size_t i = 0; i < o->n_seeds; i++)
        HR_TRY(add_video(source, prompt, &o->seeds[i], batch));
    return HR_OK;
}

/* Cuts the text into lines in place; the caller frees *lines, also after a failure. *n is
 * the number of prompts kept at the front of `lines`. */
static hr_status split_lines(const char *path, char *text, char ***lines, size_t *n)
{
    size_t n_lines = 1;
    char *rest = text, *line;
    void *memory;

    for (const char *c = text; *c != '\0'; c++)
        n_lines += *c == '\n' || *c == '\r';
    HR_TRY(hr_alloc_or_fail(n_lines * sizeof(char *), "prompts", &memory));
    *lines = memory;
    *n = 0;
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
        rest += 3;
    while ((line = strsep(&rest, "\r\n")) != NULL) {
        line += strspn(line, " \t");
        if (*line != '\0' && *line != '#')
            (*lines)[(*n)++] = line;
    }
    return *n > 0 ? HR_OK
                  : hr_fail(HR_ERR_ARG, "%s: no prompts; expected one a line", path);
}

static hr_status add_all(const batch_source *source, char **prompts, size_t n_prompts,
                         hr_batch *batch)
{
    size_t n_seeds = source->options->seeds != NULL ? source->options->n_seeds : 1;
    size_t n = (n_prompts > 0 ? n_prompts : 1) * n_seeds;

    if (n > MAX_VIDEOS)
        return hr_fail(HR_ERR_ARG, "%zu videos in one call; at most %d", n, MAX_VIDEOS);
    HR_TRY(hr_alloc_or_fail(n * sizeof *batch->videos, "the list of videos",
                            (void **)&batch->videos));
    if (n_prompts == 0)
        return add_prompt(source, NULL, batch);
    for (size_t i = 0; i < n_prompts; i++)
        HR_TRY(add_prompt(source, prompts[i], batch));
    return HR_OK;
}

static hr_status read_prompts(const char *path, char **text, char ***prompts, size_t *n)
{
    size_t n_bytes;
    hr_status status = hr_read_file(path, MAX_PROMPTS_FILE, text, &n_bytes);

    if (status == HR_ERR_IO || status == HR_ERR_FORMAT)
        return HR_ERR_ARG;
    HR_TRY(status);
    if (strlen(*text) != n_bytes)
        return hr_fail(HR_ERR_ARG, "%s: holds a NUL byte; expected one prompt a line",
                       path);
    return split_lines(path, *text, prompts, n);
}

hr_status hr_batch_make(const hr_render_options *options, const hr_model_entry *entry,
                        const hr_job *job, uint64_t seed_key, hr_batch *out)
{
    const batch_source source = {
        .options = options,
        .entry = entry,
        .job = job,
        .seed_key = seed_key,
        .is_batch = options->prompts_file != NULL || options->seeds != NULL,
    };
    hr_batch batch = {0};
    char *text = NULL, **prompts = NULL;
    size_t n_prompts = 0;
    hr_status status = HR_OK;

    if (options->prompts_file != NULL)
        HR_TRY_GOTO(read_prompts(options->prompts_file, &text, &prompts, &n_prompts),
                    done);
    status = add_all(&source, prompts, n_prompts, &batch);
done:
    hr_free(prompts);
    hr_free(text);
    if (status == HR_OK)
        *out = batch;
    else
        hr_batch_free(&batch);
    return status;
}

void hr_batch_free(hr_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        hr_job_free(&batch->videos[i].job);
        hr_free(batch->videos[i].prompt);
        hr_free(batch->videos[i].label);
    }
    hr_free(batch->videos);
    *batch = (hr_batch){0};
}
