/* What two receipts (io/receipt.h) differ in. */
#include "io/receipt_parts.h"

#include <inttypes.h>
#include <string.h>

enum { SHOWN_BYTES = 60 };

static hr_status add_value(hr_text *text, const hr_receipt_line *line)
{
    return hr_text_add_shown(text, line != NULL ? line->value : "none", SHOWN_BYTES);
}

/* "job sampler.seed: 7 and 8" */
static hr_status add_pair(hr_text *text, const hr_receipt_line *a,
                          const hr_receipt_line *b)
{
    const hr_receipt_line *line = a != NULL ? a : b;

    HR_TRY(hr_text_printf(text, "%s ", hr_receipt_group_names[line->group]));
    HR_TRY(hr_text_add_shown(text, line->key, SHOWN_BYTES));
    HR_TRY(hr_text_add(text, ": "));
    HR_TRY(add_value(text, a));
    HR_TRY(hr_text_add(text, " and "));
    return add_value(text, b);
}

/* Appends the first key of the head that differs, if any. */
static hr_status compare_heads(const hr_receipt *a, const hr_receipt *b, hr_text *text)
{
    for (size_t i = 0; i < a->n_lines; i++) {
        const hr_receipt_line *mine = &a->line[i];
        const hr_receipt_line *other = hr_receipt_find(b, mine->group, mine->key);
        if (mine->group != HR_RECEIPT_MACHINE &&
            (other == NULL || strcmp(mine->value, other->value) != 0))
            return add_pair(text, mine, other);
    }
    for (size_t i = 0; i < b->n_lines; i++) {
        const hr_receipt_line *other = &b->line[i];
        if (other->group != HR_RECEIPT_MACHINE &&
            hr_receipt_find(a, other->group, other->key) == NULL)
            return add_pair(text, NULL, other);
    }
    return HR_OK;
}

/* The index of the first hash that differs, or how many there are. Same sizes. */
static int64_t first_difference(const hr_hash_table *a, const hr_hash_table *b)
{
    int64_t n = a->n_rows * a->n_columns, i = 0;

    while (i < n && hr_hash_equal(a->hash[i], b->hash[i]))
        i++;
    return i;
}

/* "differs", or which of the two lacks it. */
static const char *verdict(hr_hash a, hr_hash b)
{
    const hr_hash none = {0};

    if (hr_hash_equal(a, none))
        return "is missing in the first";
    return hr_hash_equal(b, none) ? "is missing in the second" : "differs";
}

static hr_status compare_hashes(const hr_receipt *a, const hr_receipt *b, hr_text *text)
{
    int64_t columns = a->latents.n_columns;
    int64_t i = first_difference(&a->latents, &b->latents);

    if (i < a->latents.n_rows * columns)
        return hr_text_printf(text, "step %" PRId64 ": latent frame %" PRId64 " %s",
                              i / columns + 1, i % columns,
                              verdict(a->latents.hash[i], b->latents.hash[i]));
    i = first_difference(&a->frames, &b->frames);
    if (i < a->frames.n_rows)
        return hr_text_printf(text, "frame %" PRId64 " %s", i,
                              verdict(a->frames.hash[i], b->frames.hash[i]));
    return HR_OK;
}

/* Appends the first of the sizes that differs, if any. */
static hr_status compare_sizes(const hr_receipt *a, const hr_receipt *b, hr_text *text)
{
    static const char *const names[3] = {"steps", "latent frames", "frames"};
    int64_t x[3], y[3];

    hr_receipt_sizes(a, &x[0], &x[1], &x[2]);
    hr_receipt_sizes(b, &y[0], &y[1], &y[2]);
    for (int i = 0; i < 3; i++)
        if (x[i] != y[i])
            return hr_text_printf(text, "%s: %" PRId64 " and %" PRId64, names[i], x[i],
                                  y[i]);
    return HR_OK;
}

static hr_status compare(const hr_receipt *a, const hr_receipt *b, hr_text *head,
                         hr_text *difference)
{
    HR_TRY(compare_heads(a, b, head));
    HR_TRY(compare_sizes(a, b, difference));
    if (difference->length == 0)
        HR_TRY(compare_hashes(a, b, difference));
    if (head->length == 0)
        return HR_OK;
    if (difference->length == 0)
        return hr_text_printf(difference, "%s; every latent and frame is the same",
                              head->s);
    return hr_text_printf(difference, " (%s)", head->s);
}

hr_status hr_receipt_compare(const hr_receipt *a, const hr_receipt *b,
                             hr_text *difference)
{
    hr_text head = {0};
    hr_status status;

    hr_text_free(difference);
    status = compare(a, b, &head, difference);
    hr_text_free(&head);
    return status;
}
