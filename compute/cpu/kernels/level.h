/* What every kernel file starts with: vectors, access to tensors, and the names of all
 * kernels at this level. */
#ifndef HR_COMPUTE_CPU_KERNELS_LEVEL_H
#define HR_COMPUTE_CPU_KERNELS_LEVEL_H

#include "compute/cpu/kernels.h"
#include "compute/cpu/kernels/vec.h"

static inline void *element(const hr_tensor *t, int64_t i)
{
    return (char *)t->data + i * (t->dtype == HR_F32 ? 4 : 2);
}

static inline vec activated(vec x, hr_activation activation)
{
    if (activation == HR_ACT_SILU)
        return vec_silu(x);
    return activation == HR_ACT_GELU_TANH ? vec_gelu_tanh(x) : x;
}

#define HR_CPU_DECLARE(name, tensor, units)                                              \
    void HR_LEVEL_NAME(hr_cpu_##name)(const void *args, int64_t first, int64_t last);
HR_CPU_LOOP_LIST(HR_CPU_DECLARE)
#undef HR_CPU_DECLARE

void HR_LEVEL_NAME(hr_cpu_store_product)(const hr_cpu_store *store);
void HR_LEVEL_NAME(hr_cpu_unfold)(const void *args, int64_t first, int64_t n, float *to);
void HR_LEVEL_NAME(hr_cpu_widen)(const uint16_t *from, int64_t n, float *to);
void HR_LEVEL_NAME(hr_cpu_attention_pack)(const hr_cpu_attention_head *head,
                                          int64_t block);
void HR_LEVEL_NAME(hr_cpu_attention)(const hr_cpu_attention_head *head, int64_t first,
                                     float *work);
size_t HR_LEVEL_NAME(hr_cpu_attention_work)(int64_t head_dim);

extern const hr_cpu_kernels HR_LEVEL_NAME(hr_cpu_kernels);

#endif
