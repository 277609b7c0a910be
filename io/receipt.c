#include "io/receipt.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/receipt_parts.h"

#include <inttypes.h>
#include <string.h>

const char *const hr_receipt_group_names[HR_RECEIPT_GROUP_COUNT] = {
    [HR_RECEIPT_JOB] = "job",
    [HR_RECEIPT_MODEL] = "model",
    [HR_RECEIPT_MACHINE] = "machine",
};

static hr_status make_table(int64_t n_rows, int64_t n_columns, hr_hash_table *table)
{
    size_t bytes;
    void *memory;

    HR_ASSERT(n_rows >= 0 && n_columns >= 0);
    HR_TRY(hr_size_mul((size_t)n_rows, (size_t)n_columns, &bytes));
    HR_TRY(hr_size_mul(bytes, sizeof *table->hash, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "a receipt", &memory));
    *table = (hr_hash_table){n_rows, n_columns, memory};
    return HR_OK;
}

hr_status hr_receipt_create(int64_t n_steps, int64_t n_latent_frames, int64_t n_frames,
                            hr_receipt **out)
{
    hr_receipt *receipt;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *receipt, "a receipt", &memory));
    receipt = memory;
    status = make_table(n_steps, n_latent_frames, &receipt->latents);
    if (status == HR_OK)
        status = make_table(n_frames, 1, &receipt->frames);
    if (status != HR_OK) {
        hr_receipt_free(receipt);
        return status;
    }
    *out = receipt;
    return HR_OK;
}

void hr_receipt_free(hr_receipt *receipt)
{
    if (receipt == NULL)
        return;
    for (size_t i = 0; i < receipt->n_lines; i++) {
        hr_free(receipt->line[i].key);
        hr_free(receipt->line[i].value);
    }
    hr_free(receipt->line);
    hr_free(receipt->latents.hash);
    hr_free(receipt->frames.hash);
    hr_free(receipt);
}

void hr_receipt_sizes(const hr_receipt *receipt, int64_t *n_steps,
                      int64_t *n_latent_frames, int64_t *n_frames)
{
    *n_steps = receipt->latents.n_rows;
    *n_latent_frames = receipt->latents.n_columns;
    *n_frames = receipt->frames.n_rows;
}

static hr_receipt_group group_of(const char *name)
{
    int i = 0;

    while (i < HR_RECEIPT_GROUP_COUNT && strcmp(hr_receipt_group_names[i], name) != 0)
        i++;
    HR_ASSERT(i < HR_RECEIPT_GROUP_COUNT);
    return (hr_receipt_group)i;
}

const hr_receipt_line *hr_receipt_find(const hr_receipt *receipt, hr_receipt_group group,
                                       const char *key)
{
    for (size_t i = 0; i < receipt->n_lines; i++)
        if (receipt->line[i].group == group && strcmp(receipt->line[i].key, key) == 0)
            return &receipt->line[i];
    return NULL;
}

static hr_status add_line(hr_receipt *receipt, hr_receipt_group group, const char *key)
{
    hr_receipt_line *more =
        hr_realloc(receipt->line, (receipt->n_lines + 1) * sizeof *more);
    char *copy = hr_strdup(key);

    if (more != NULL)
        receipt->line = more;
    if (more == NULL || copy == NULL) {
        hr_free(copy);
        return hr_fail(HR_ERR_NOMEM, "out of memory: the receipt's line %s", key);
    }
    receipt->line[receipt->n_lines++] = (hr_receipt_line){.group = group, .key = copy};
    return HR_OK;
}

hr_status hr_receipt_set(hr_receipt *receipt, const char *group, const char *key,
                         const char *value)
{
    hr_receipt_group in = group_of(group);
    const hr_receipt_line *found = hr_receipt_find(receipt, in, key);
    size_t at = receipt->n_lines;
    char *copy = hr_strdup(value);
    hr_status status = HR_OK;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the receipt's line %s", key);
    if (found != NULL)
        at = (size_t)(found - receipt->line);
    else
        status = add_line(receipt, in, key);
    if (status != HR_OK) {
        hr_free(copy);
        return status;
    }
    hr_free(receipt->line[at].value);
    receipt->line[at].value = copy;
    return HR_OK;
}

static void set_hash(hr_hash_table *table, int64_t row, int64_t column, hr_hash hash)
{
    HR_ASSERT(row >= 0 && row < table->n_rows);
    HR_ASSERT(column >= 0 && column < table->n_columns);
    table->hash[row * table->n_columns + column] = hash;
}

void hr_receipt_set_latent(hr_receipt *receipt, int64_t step, int64_t latent_frame,
                           hr_hash hash)
{
    set_hash(&receipt->latents, step, latent_frame, hash);
}

void hr_receipt_set_frame(hr_receipt *receipt, int64_t frame, hr_hash hash)
{
    set_hash(&receipt->frames, frame, 0, hash);
}

static hr_status add_plain(const char *text, hr_text *out)
{
    for (; *text != '\0'; text++)
        HR_TRY(hr_text_append(out, (unsigned char)*text < 0x20 ? "?" : text, 1));
    return HR_OK;
}

hr_status hr_receipt_add_lines(const hr_receipt *receipt, const char *group, hr_text *out)
{
    for (size_t i = 0; i < receipt->n_lines; i++) {
        const hr_receipt_line *line = &receipt->line[i];

        if (strcmp(hr_receipt_group_names[line->group], group) != 0)
            continue;
        HR_TRY(add_plain(line->key, out));
        HR_TRY(hr_text_add(out, "\t"));
        HR_TRY(add_plain(line->value, out));
        HR_TRY(hr_text_add(out, "\n"));
    }
    return HR_OK;
}
