/* Inside model/weights only: the safetensors files of one component and the table of all
 * their tensors. Local. */
#ifndef HR_MODEL_WEIGHT_FILES_H
#define HR_MODEL_WEIGHT_FILES_H

#include "io/safetensors.h"

/* One tensor of the files. */
typedef struct hr_weight_entry {
    const hr_stored_tensor *tensor;
    const hr_safetensors *file;
    size_t declared; /* 1 + the index of its declaration, 0 for none */
} hr_weight_entry;

typedef struct hr_weight_files {
    hr_safetensors **file;
    size_t n_files;
    hr_weight_entry *entry; /* sorted by name */
    size_t n_entries;
} hr_weight_files;

/* Finds, maps and cross-checks the files (rules: hr_weights_open). HR_ERR_MODEL, logged.
 */
hr_status hr_weight_files_open(const char *folder, const char *stem,
                               hr_weight_files *out);
/* Takes a zeroed struct too. */
void hr_weight_files_close(hr_weight_files *files);

/* NULL when there is none. */
hr_weight_entry *hr_weight_files_find(const hr_weight_files *files, const char *name);

#endif
