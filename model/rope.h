/* Inside the transformer only: the rotation tables behind hr_rope. */
#ifndef HR_MODEL_ROPE_H
#define HR_MODEL_ROPE_H

#include "model/transformer.h"

struct hr_rope {
    int64_t grid[3];    /* patches along time, height, width */
    hr_tensor cos, sin; /* F32 [L, head_dim / 2], L = product of grid */
};

#endif
