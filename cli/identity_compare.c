/* What differs between a run in a folder and the one that a call asks for. */
#include "cli/identity.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 4096, SHOWN_BYTES = 44 };

typedef struct row {
    const char *key, *there, *now; /* NULL: not there */
} row;

typedef struct table {
    row *rows;
    int n;
    int n_lost; /* lines that it has no room for */
} table;

/* "GROUP<tab>KEY<tab>VALUE" lines without their first part. */
static hr_status add_without_group(const char *lines, hr_text *out)
{
    for (const char *line = lines; *line != '\0';) {
        const char *tab = strchr(line, '\t'), *end = strchr(line, '\n');

        if (tab == NULL || end == NULL)
            return hr_fail(HR_ERR_INTERNAL, "an identity without a tab: %.60s", line);
        HR_TRY(hr_text_append(out, tab + 1, (size_t)(end - tab)));
        line = end + 1;
    }
    return HR_OK;
}

hr_status hr_identity_make(const char *job_lines, const char *model_lines,
                           hr_identity *out)
{
    hr_text job = {0}, model = {0};
    hr_status status = hr_text_add(&job, "haloreel\t" HR_VERSION "\n");

    if (status == HR_OK)
        status = add_without_group(job_lines, &job);
    if (status == HR_OK)
        status = hr_text_add(&model, "");
    if (status == HR_OK)
        status = add_without_group(model_lines, &model);
    if (status != HR_OK) {
        hr_text_free(&job);
        hr_text_free(&model);
        return status;
    }
    *out = (hr_identity){.job = job.s, .model = model.s};
    return HR_OK;
}

void hr_identity_free(hr_identity *identity)
{
    hr_free(identity->job);
    hr_free(identity->model);
    *identity = (hr_identity){0};
}

static row *find(table *t, const char *key)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->rows[i].key, key) == 0)
            return &t->rows[i];
    if (t->n == MAX_ROWS)
        return NULL;
    t->rows[t->n] = (row){.key = key};
    return &t->rows[t->n++];
}

/* Cuts the lines up. */
static void fill(table *t, char *lines, bool is_now)
{
    char *line;

    while ((line = strsep(&lines, "\n")) != NULL) {
        char *tab = strchr(line, '\t');
        row *r;

        if (tab == NULL)
            continue;
        *tab = '\0';
        r = find(t, line);
        t->n_lost += r == NULL;
        if (r != NULL && is_now)
            r->now = tab + 1;
        else if (r != NULL)
            r->there = tab + 1;
    }
}

static bool differs(const row *r)
{
    return r->there == NULL || r->now == NULL || strcmp(r->there, r->now) != 0;
}

static size_t n_letters(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* With blanks up to the width. */
static hr_status add_column(hr_text *line, const char *text, size_t width)
{
    size_t n = n_letters(text);

    HR_TRY(hr_text_add(line, text));
    for (; n < width; n++)
        HR_TRY(hr_text_add(line, " "));
    return HR_OK;
}

/* A value of a file may be a stranger's. */
static hr_status shorten(const char *value, hr_text *out)
{
    out->length = 0;
    HR_TRY(hr_text_add(out, ""));
    return hr_text_add_shown(out, value != NULL ? value : "not there", SHOWN_BYTES);
}

static hr_status log_row(const char *key, const char *there, const char *now,
                         const size_t width[2])
{
    hr_text line = {0};
    hr_status status = hr_text_add(&line, "  ");

    if (status == HR_OK)
        status = add_column(&line, key, width[0] + 2);
    if (status == HR_OK)
        status = add_column(&line, there, width[1] + 2);
    if (status == HR_OK)
        status = hr_text_add(&line, now);
    if (status == HR_OK)
        hr_warn("%s", line.s);
    hr_text_free(&line);
    return status;
}

static void widen(size_t *width, const char *text)
{
    size_t n = n_letters(text);

    if (n > *width)
        *width = n;
}

/* Twice over the rows that differ: to measure, and to show. */
static hr_status log_table(const table *t, const char *where)
{
    size_t width[2] = {strlen("key"), strlen(where)};
    hr_text key = {0}, there = {0}, now = {0};
    hr_status status = HR_OK;

    for (int pass = 0; pass < 2 && status == HR_OK; pass++) {
        if (pass == 1)
            status = log_row("key", where, "now", width);
        for (int i = 0; i < t->n && status == HR_OK; i++) {
            if (!differs(&t->rows[i]))
                continue;
            HR_TRY_GOTO(shorten(t->rows[i].key, &key), done);
            HR_TRY_GOTO(shorten(t->rows[i].there, &there), done);
            HR_TRY_GOTO(shorten(t->rows[i].now, &now), done);
            if (pass == 1)
                status = log_row(key.s, there.s, now.s, width);
            widen(&width[0], key.s);
            widen(&width[1], there.s);
        }
    }
done:
    hr_text_free(&key);
    hr_text_free(&there);
    hr_text_free(&now);
    return status;
}

static hr_status compare(const hr_identity *there, const hr_identity *now,
                         const char *where, int *n_differ)
{
    char *texts[4] = {hr_strdup(there->job), hr_strdup(now->job), hr_strdup(there->model),
                      hr_strdup(now->model)};
    table t = {0};
    int n;
    void *memory;
    hr_status status =
        hr_alloc_or_fail(MAX_ROWS * sizeof(row), "a table of keys", &memory);

    if (status == HR_OK)
        t.rows = memory;
    for (int i = 0; i < 4 && status == HR_OK; i++)
        if (texts[i] != NULL)
            fill(&t, texts[i], i % 2 == 1);
        else
            status = hr_fail(HR_ERR_NOMEM, "out of memory: a table of keys");
    n = t.n_lost;
    for (int i = 0; i < t.n; i++)
        n += differs(&t.rows[i]);
    if (status == HR_OK && n > 0)
        status = log_table(&t, where);
    for (int i = 0; i < 4; i++)
        hr_free(texts[i]);
    hr_free(t.rows);
    if (status == HR_OK)
        *n_differ = n;
    return status;
}

hr_status hr_identity_compare(const hr_identity *there, const hr_identity *now,
                              const char *where, int *n_differ)
{
    *n_differ = 0;
    if (strcmp(there->job, now->job) == 0 && strcmp(there->model, now->model) == 0)
        return HR_OK;
    return compare(there, now, where, n_differ);
}
