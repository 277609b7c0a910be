/* The kernels of one level. */
#include "compute/cpu/kernels/level.h"

enum { PANEL = 2 * VEC };

const hr_cpu_kernels HR_LEVEL_NAME(hr_cpu_kernels) = {
#define HR_CPU_ENTRY(name, tensor, units) .name = HR_LEVEL_NAME(hr_cpu_##name),
    HR_CPU_LOOP_LIST(HR_CPU_ENTRY)
#undef HR_CPU_ENTRY
        .store = HR_LEVEL_NAME(hr_cpu_store_product),
    .unfold = HR_LEVEL_NAME(hr_cpu_unfold),
    .widen = HR_LEVEL_NAME(hr_cpu_widen),
    .panel = PANEL,
    .attention_pack = HR_LEVEL_NAME(hr_cpu_attention_pack),
    .attention = HR_LEVEL_NAME(hr_cpu_attention),
    .attention_work = HR_LEVEL_NAME(hr_cpu_attention_work),
};
