/* The number formats of a run (docs/model.md). */
#ifndef HR_MODEL_NUMERICS_H
#define HR_MODEL_NUMERICS_H

#include "base/dtype.h"

typedef enum hr_numerics {
    HR_NUMERICS_EXACT = 0, /* bf16 weights and matrix inputs, everything else fp32 */
    HR_NUMERICS_FAST,      /* as exact; a device may choose other algorithms */
    HR_NUMERICS_F32        /* everything fp32 */
} hr_numerics;

/* The type of matrix weights and of the inputs of matrix products. */
static inline hr_dtype hr_numerics_matrix_dtype(hr_numerics numerics)
{
    return numerics == HR_NUMERICS_F32 ? HR_F32 : HR_BF16;
}

#endif
