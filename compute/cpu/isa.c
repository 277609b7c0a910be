#include "compute/cpu/isa.h"

#include "base/log.h"

#include <stdatomic.h>

static atomic_bool bf16_forbidden;

const char *hr_isa_name(hr_isa isa)
{
    switch (isa) {
    case HR_ISA_AVX2:
        return "AVX2";
    case HR_ISA_AVX512:
        return "AVX-512";
    default:
        return "plain";
    }
}

/* The levels are those of the psABI that the kernels are compiled for: x86-64-v3 and -v4.
 */
bool hr_isa_is_available(hr_isa isa)
{
#if defined(__x86_64__)
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");

    if (isa == HR_ISA_AVX2)
        return v3;
    if (isa == HR_ISA_AVX512)
        return v3 && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
    return isa == HR_ISA_PLAIN;
}

bool hr_isa_has_bf16(hr_isa isa)
{
#if defined(__x86_64__)
    return isa == HR_ISA_AVX512 && !atomic_load(&bf16_forbidden) &&
           __builtin_cpu_supports("avx512bf16");
#else
    (void)isa;
    return false;
#endif
}

static hr_isa best(void)
{
    if (hr_isa_is_available(HR_ISA_AVX512))
        return HR_ISA_AVX512;
    return hr_isa_is_available(HR_ISA_AVX2) ? HR_ISA_AVX2 : HR_ISA_PLAIN;
}

static hr_status check_available(hr_isa isa)
{
    if (hr_isa_is_available(isa))
        return HR_OK;
    return hr_fail(HR_ERR_UNSUPPORTED, "device cpu: this machine has no %s",
                   hr_isa_name(isa));
}

hr_status hr_isa_look(hr_isa wanted, hr_isa_level *out)
{
    hr_isa isa = wanted == HR_ISA_AUTO ? best() : wanted;

    HR_TRY(check_available(isa));
    *out = (hr_isa_level){.isa = isa, .has_bf16 = hr_isa_has_bf16(isa)};
    return HR_OK;
}

void hr_isa_forbid_bf16(void)
{
    atomic_store(&bf16_forbidden, true);
}

hr_status hr_isa_settle(hr_isa wanted, hr_isa *out)
{
    static atomic_int settled;
    int before = HR_ISA_AUTO;
    hr_isa isa = wanted == HR_ISA_AUTO ? best() : wanted;

    if (wanted == HR_ISA_AUTO && atomic_load(&settled) != HR_ISA_AUTO)
        isa = (hr_isa)atomic_load(&settled);
    HR_TRY(check_available(isa));
    if (!atomic_compare_exchange_strong(&settled, &before, (int)isa) &&
        before != (int)isa)
        return hr_fail(HR_ERR_UNSUPPORTED,
                       "device cpu: %s asked for, but this process already uses %s",
                       hr_isa_name(isa), hr_isa_name((hr_isa)before));
    *out = isa;
    return HR_OK;
}
