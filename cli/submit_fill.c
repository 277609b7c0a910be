#include "cli/submit.h"

#include "base/log.h"

#include <string.h>

/* "a \"b\" \\ c": sbatch knows the backslash in quotes of both kinds. */
static hr_status add_sbatch_word(const char *word, hr_text *out)
{
    HR_TRY(hr_text_add(out, "\""));
    for (const char *c = word; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ')
            return hr_fail(HR_ERR_UNSUPPORTED,
                           "%s: sbatch does not take control characters", word);
        if (*c == '"' || *c == '\\')
            HR_TRY(hr_text_add(out, "\\"));
        HR_TRY(hr_text_append(out, c, 1));
    }
    return hr_text_add(out, "\"");
}

static hr_status add_value(const hr_submit_value *value, bool is_sbatch, hr_text *out)
{
    for (size_t i = 0; i < value->n_words; i++) {
        HR_TRY(i > 0 ? hr_text_add(out, " ") : HR_OK);
        HR_TRY(is_sbatch ? add_sbatch_word(value->words[i], out)
                         : hr_text_add_word(out, value->words[i]));
    }
    return HR_OK;
}

static const hr_submit_value *find(const char *name, size_t length,
                                   const hr_submit_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(values[i].name) == length &&
            strncmp(values[i].name, name, length) == 0)
            return &values[i];
    return NULL;
}

static size_t line_of(const char *text, const char *at)
{
    size_t line = 1;

    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

/* Whether the line of `at` is one that sbatch reads. */
static bool is_in_sbatch_line(const char *text, const char *at)
{
    while (at > text && at[-1] != '\n')
        at--;
    return strncmp(at, "#SBATCH", 7) == 0;
}

hr_status hr_submit_fill(const char *path, const char *text,
                         const hr_submit_value *values, size_t n_values, hr_text *out)
{
    const hr_submit_value *value;
    const char *at = text, *open, *close;

    while ((open = strstr(at, "{{")) != NULL) {
        close = strstr(open, "}}");
        value = close != NULL
                    ? find(open + 2, (size_t)(close - open - 2), values, n_values)
                    : NULL;
        if (value == NULL)
            return hr_fail(HR_ERR_ARG,
                           "%s:%zu: %.*s is not a name for a template; docs/slurm.md has "
                           "them",
                           path, line_of(text, open),
                           (int)(close != NULL ? close - open + 2 : 2), open);
        HR_TRY(hr_text_append(out, at, (size_t)(open - at)));
        HR_TRY(add_value(value, is_in_sbatch_line(text, open), out));
        at = close + 2;
    }
    return hr_text_add(out, at);
}
