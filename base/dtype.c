#include "base/dtype.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[HR_DTYPE_COUNT] = {
    [HR_F32] = {"F32", 4}, [HR_BF16] = {"BF16", 2}, [HR_F16] = {"F16", 2},
    [HR_I32] = {"I32", 4}, [HR_I64] = {"I64", 8},   [HR_F64] = {"F64", 8},
    [HR_U8] = {"U8", 1},
};

size_t hr_dtype_size(hr_dtype dtype)
{
    return dtypes[dtype].size;
}

const char *hr_dtype_name(hr_dtype dtype)
{
    return dtypes[dtype].name;
}

float hr_f16_to_f32(uint16_t x)
{
    uint32_t sign = (uint32_t)(x & 0x8000U) << 16, exponent = (x >> 10) & 0x1fU;
    uint32_t mantissa = x & 0x3ffU, bits;
    float value;

    if (exponent == 0x1f) {
        bits = sign | 0x7f800000U | (mantissa << 13);
    } else if (exponent != 0) {
        bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else {
        value = (float)mantissa * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void to_f32(float *dst, const void *src, hr_dtype from, size_t n)
{
    const uint16_t *half = src;

    if (from == HR_F32)
        memcpy(dst, src, n * sizeof(float));
    else if (from == HR_BF16)
        for (size_t i = 0; i < n; i++)
            dst[i] = hr_bf16_to_f32(half[i]);
    else
        for (size_t i = 0; i < n; i++)
            dst[i] = hr_f16_to_f32(half[i]);
}

static void to_bf16(uint16_t *dst, const void *src, hr_dtype from, size_t n)
{
    const float *single = src;
    const uint16_t *half = src;

    if (from == HR_BF16)
        memcpy(dst, src, n * sizeof(uint16_t));
    else if (from == HR_F32)
        for (size_t i = 0; i < n; i++)
            dst[i] = hr_f32_to_bf16(single[i]);
    else
        for (size_t i = 0; i < n; i++)
            dst[i] = hr_f32_to_bf16(hr_f16_to_f32(half[i]));
}

int hr_dtype_convert(void *dst, hr_dtype to, const void *src, hr_dtype from, size_t n)
{
    if ((from != HR_F32 && from != HR_BF16 && from != HR_F16) ||
        (to != HR_F32 && to != HR_BF16))
        return -1;
    if (to == HR_F32)
        to_f32(dst, src, from, n);
    else
        to_bf16(dst, src, from, n);
    return 0;
}

size_t hr_dtype_first_not_finite(const void *src, hr_dtype dtype, size_t n)
{
    const uint16_t *half = src;
    const uint16_t half_mask = dtype == HR_F16 ? 0x7c00U : 0x7f80U;
    uint32_t bits;

    for (size_t i = 0; i < n; i++) {
        if (dtype == HR_F32) {
            memcpy(&bits, (const char *)src + 4 * i, sizeof bits);
            if ((bits & 0x7f800000U) == 0x7f800000U)
                return i;
        } else if ((half[i] & half_mask) == half_mask) {
            return i;
        }
    }
    return n;
}
