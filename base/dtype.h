/* Element types and their conversion. Local. */
#ifndef HR_BASE_DTYPE_H
#define HR_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum hr_dtype {
    HR_F32 = 0,
    HR_BF16,
    HR_F16,
    HR_I32,
    HR_I64,
    HR_F64,
    HR_U8,
    HR_DTYPE_COUNT
} hr_dtype;

/* Bytes of one element. */
size_t hr_dtype_size(hr_dtype dtype);

/* The safetensors name: "F32", "BF16", ... */
const char *hr_dtype_name(hr_dtype dtype);

static inline float hr_bf16_to_f32(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounds to nearest, ties to even; NaN stays NaN. */
static inline uint16_t hr_f32_to_bf16(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffU) > 0x7f800000U)
        return (uint16_t)((bits >> 16) | 0x40U);
    return (uint16_t)((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

float hr_f16_to_f32(uint16_t x);

/* dst[i] = src[i] for n elements, with `from` one of F32, BF16, F16 and `to` F32 or BF16
 * (round to nearest even). Returns -1 for any other pair. src and dst do not overlap. */
int hr_dtype_convert(void *dst, hr_dtype to, const void *src, hr_dtype from, size_t n);

/* The index of the first element that is NaN or infinite, or n. For F32, BF16 and F16. */
size_t hr_dtype_first_not_finite(const void *src, hr_dtype dtype, size_t n);

#endif
