/* Inside io/receipt*.c only: what a receipt is made of. */
#ifndef HR_IO_RECEIPT_PARTS_H
#define HR_IO_RECEIPT_PARTS_H

#include "io/receipt.h"

#include <stddef.h>

typedef enum hr_receipt_group {
    HR_RECEIPT_JOB = 0,
    HR_RECEIPT_MODEL,
    HR_RECEIPT_MACHINE,
    HR_RECEIPT_GROUP_COUNT
} hr_receipt_group;

extern const char *const hr_receipt_group_names[HR_RECEIPT_GROUP_COUNT];

typedef struct hr_receipt_line {
    hr_receipt_group group;
    char *key, *value;
} hr_receipt_line;

/* A hash of zeros only is one that was never set. */
typedef struct hr_hash_table {
    int64_t n_rows, n_columns;
    hr_hash *hash;
} hr_hash_table;

struct hr_receipt {
    hr_receipt_line *line;
    size_t n_lines;
    hr_hash_table latents; /* a row for each step, a column for each latent frame */
    hr_hash_table frames;  /* a row for each frame, one column */
};

/* NULL when there is none. */
const hr_receipt_line *hr_receipt_find(const hr_receipt *receipt, hr_receipt_group group,
                                       const char *key);

#endif
