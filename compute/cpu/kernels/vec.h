/* Vectors of fp32 as wide as the instruction set that this file is compiled for. A kernel
 * written with them is compiled once per level; HR_LEVEL_NAME(x) gives its symbol a name
 * of its own. */
#ifndef HR_COMPUTE_CPU_KERNELS_VEC_H
#define HR_COMPUTE_CPU_KERNELS_VEC_H

#include "base/dtype.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#    include <immintrin.h>
enum { VEC = 16 };
#elif defined(__AVX2__)
#    include <immintrin.h>
enum { VEC = 8 };
#else
enum { VEC = 4 };
#endif

#define HR_LEVEL_PASTE(name, level) name##_##level
#define HR_LEVEL_EXPAND(name, level) HR_LEVEL_PASTE(name, level)
#define HR_LEVEL_NAME(name) HR_LEVEL_EXPAND(name, HR_KERNEL_LEVEL)

typedef float vec __attribute__((vector_size(VEC * 4)));
typedef int32_t vec_int __attribute__((vector_size(VEC * 4)));
typedef uint32_t vec_bits __attribute__((vector_size(VEC * 4)));
typedef uint16_t vec_half __attribute__((vector_size(VEC * 2)));

/* x - 0 is x for every x, which compilers know (0 + x is not: x may be -0). */
static inline vec vec_set(float x)
{
    return x - (vec){0};
}

/* a * b + c, rounded once where the level has such an instruction. */
static inline vec vec_fma(vec a, vec b, vec c)
{
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* The same, rounded once on every level. */
static inline vec vec_true_fma(vec a, vec b, vec c)
{
#if defined(__AVX2__)
    return vec_fma(a, b, c);
#else
    for (int i = 0; i < VEC; i++)
        c[i] = fmaf(a[i], b[i], c[i]);
    return c;
#endif
}

/* The larger or smaller of each pair; b where one is NaN. */
static inline vec vec_max(vec a, vec b)
{
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    vec_int larger = a > b;

    return (vec)((larger & (vec_int)a) | (~larger & (vec_int)b));
#endif
}

static inline vec vec_min(vec a, vec b)
{
#if defined(__AVX512F__)
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    vec_int smaller = a < b;

    return (vec)((smaller & (vec_int)a) | (~smaller & (vec_int)b));
#endif
}

static inline vec vec_load(const float *from)
{
    vec x;

    memcpy(&x, from, sizeof x);
    return x;
}

static inline void vec_store(float *to, vec x)
{
    memcpy(to, &x, sizeof x);
}

static inline vec vec_widen(vec_half half)
{
    return (vec)(__builtin_convertvector(half, vec_bits) << 16);
}

/* Rounds to nearest, ties to even; NaN stays NaN. */
static inline vec_half vec_narrow(vec x)
{
    vec_bits bits = (vec_bits)x;
    vec_bits rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
    vec_bits nan = (vec_bits)((bits & 0x7fffffffU) > 0x7f800000U);

    return __builtin_convertvector((nan & ((bits >> 16) | 0x40U)) | (~nan & rounded),
                                   vec_half);
}

/* The last elements of an array, less than a vector. Apart, so that the vectors of loops
 * have no address and stay in registers. */
static __attribute__((noinline, unused)) vec
vec_get_tail(const void *from, hr_dtype dtype, int64_t i, int64_t n)
{
    vec x = {0};
    vec_half half = {0};

    if (dtype == HR_F32) {
        memcpy(&x, (const float *)from + i, (size_t)(n - i) * sizeof(float));
        return x;
    }
    memcpy(&half, (const uint16_t *)from + i, (size_t)(n - i) * sizeof(uint16_t));
    return vec_widen(half);
}

static __attribute__((noinline, unused)) void vec_put_tail(void *to, hr_dtype dtype,
                                                           int64_t i, int64_t n, vec x)
{
    vec_half half = vec_narrow(x);

    if (dtype == HR_F32)
        memcpy((float *)to + i, &x, (size_t)(n - i) * sizeof(float));
    else
        memcpy((uint16_t *)to + i, &half, (size_t)(n - i) * sizeof(uint16_t));
}

/* Elements [i, i + VEC) of an F32 or BF16 array of n; those past the end are zero. */
static inline vec vec_get(const void *from, hr_dtype dtype, int64_t i, int64_t n)
{
    vec_half half;

    if (i + VEC > n)
        return vec_get_tail(from, dtype, i, n);
    if (dtype == HR_F32)
        return vec_load((const float *)from + i);
    memcpy(&half, (const uint16_t *)from + i, sizeof half);
    return vec_widen(half);
}

/* The reverse; elements past the end are not written. */
static inline void vec_put(void *to, hr_dtype dtype, int64_t i, int64_t n, vec x)
{
    vec_half half;

    if (i + VEC > n) {
        vec_put_tail(to, dtype, i, n, x);
    } else if (dtype == HR_F32) {
        vec_store((float *)to + i, x);
    } else {
        half = vec_narrow(x);
        memcpy((uint16_t *)to + i, &half, sizeof half);
    }
}

/* The first n lanes, then zeros. */
static inline vec vec_first(vec x, int64_t n)
{
    vec_int lane;

    for (int i = 0; i < VEC; i++)
        lane[i] = i;
    return (vec)((vec_int)x & (lane < (int32_t)n));
}

/* The upper part of the first `n` lanes, moved down by half of them. */
static inline vec vec_upper_half(vec x, int n)
{
    vec_int from;

    for (int i = 0; i < VEC; i++)
        from[i] = (i + n / 2) % VEC;
    return __builtin_shuffle(x, from);
}

static inline float vec_sum(vec x)
{
#pragma GCC unroll 4
    for (int n = VEC; n > 1; n /= 2)
        x += vec_upper_half(x, n);
    return x[0];
}

/* NaN may be passed over. */
static inline float vec_largest(vec x)
{
#pragma GCC unroll 4
    for (int n = VEC; n > 1; n /= 2)
        x = vec_max(x, vec_upper_half(x, n));
    return x[0];
}

/* exp within 1.1 ulp, held between 1.2e-38 and 2.4e38: nobody here needs 0 and infinity
 * of it. With n = round(x / ln 2) and r = x - n ln 2: 2^n e^r, and e^r by Cephes'
 * polynomial. ln 2 is split so that n times its first part is exact. */
static inline vec vec_exp(vec x)
{
    const float magic = 0x1.8p23F; /* x + magic - magic rounds x to a whole number */
    vec inside = vec_max(vec_set(-87.33654F), vec_min(vec_set(88.37626F), x));
    vec shifted = vec_fma(inside, vec_set(1.44269504F), vec_set(magic));
    vec n = shifted - magic;
    vec r = vec_fma(n, vec_set(-0.693359375F), inside);
    vec p = vec_set(1.9875691500e-4F);
    const int32_t exponent_of_one = 127 - 0x4b400000; /* less the bits of magic */

    r = vec_fma(n, vec_set(2.12194440e-4F), r);
    p = vec_fma(p, r, vec_set(1.3981999507e-3F));
    p = vec_fma(p, r, vec_set(8.3334519073e-3F));
    p = vec_fma(p, r, vec_set(4.1665795894e-2F));
    p = vec_fma(p, r, vec_set(1.6666665459e-1F));
    p = vec_fma(p, r, vec_set(5.0000001201e-1F));
    p = vec_fma(p * r, r, r) + 1.0F;
    return p * (vec)(((vec_int)shifted + exponent_of_one) << 23);
}

/* x / (1 + exp(-x)). */
static inline vec vec_silu(vec x)
{
    return x / (vec_exp(-x) + 1.0F);
}

/* 0.5 x (1 + tanh(u)) = x / (1 + exp(-2u)), without the cancellation at negative x. */
static inline vec vec_gelu_tanh(vec x)
{
    vec u = vec_fma(x * x * x, vec_set(0.044715F), x) * 0.797884561F;

    return x / (vec_exp(-2.0F * u) + 1.0F);
}

#endif
