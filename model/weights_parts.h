/* Inside model/weights only: what its two files share. Local. */
#ifndef HR_MODEL_WEIGHTS_PARTS_H
#define HR_MODEL_WEIGHTS_PARTS_H

#include "model/weight_files.h"
#include "model/weights.h"

typedef struct hr_weight_declaration {
    char *name;
    int n_dims;
    int64_t dim[HR_TENSOR_MAX_DIMS];
} hr_weight_declaration;

struct hr_weights {
    char *folder;
    hr_weight_files files;
    hr_weight_declaration *declared;
    size_t n_declared, capacity;
    uint64_t *bytes_read; /* apart: it changes where the weights do not */
};

#endif
