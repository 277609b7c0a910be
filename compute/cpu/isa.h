/* Which instruction set this process uses. All functions are local. */
#ifndef HR_COMPUTE_CPU_ISA_H
#define HR_COMPUTE_CPU_ISA_H

#include "compute/device.h"

/* Settles the level, for the whole process at the first call: AUTO is the best that the
 * machine has. HR_ERR_UNSUPPORTED (logged) for a level that the machine lacks, or that
 * differs from the one settled before. */
hr_status hr_isa_settle(hr_isa wanted, hr_isa *out);

/* Whether the machine and this build have the level. */
bool hr_isa_is_available(hr_isa isa);

/* Whether the machine multiplies bf16 itself (AVX512_BF16). */
bool hr_isa_has_bf16(hr_isa isa);

/* "plain", "AVX2", "AVX-512". */
const char *hr_isa_name(hr_isa isa);

#endif
