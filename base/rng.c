#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { MT_WORDS = 624, MT_SHIFT = 397, GROUP = 16 };

void hr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4], k[2] = {key[0], key[1]};
    uint64_t a, b;

    memcpy(c, counter, sizeof c);
    for (int round = 0; round < 10; round++) {
        a = 0xd2511f53ULL * c[0];
        b = 0xcd9e8d57ULL * c[2];
        c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k[0];
        c[1] = (uint32_t)b;
        c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k[1];
        c[3] = (uint32_t)a;
        k[0] += 0x9e3779b9U;
        k[1] += 0xbb67ae85U;
    }
    memcpy(out, c, sizeof c);
}

/* The logarithm of u in (0, 1] within 1e-15 (relative), by additions, products and one
 * quotient only: libm's last bit depends on the machine, these do not. ln m = 2 artanh s
 * = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1)/(m + 1), |s| < 0.172. */
static double portable_log(double u)
{
    int exponent;
    double m = frexp(u, &exponent), s, z, sum = 0;

    if (m < 0.7071067811865476) {
        m *= 2;
        exponent--;
    }
    s = (m - 1) / (m + 1);
    z = s * s;
    for (int i = 21; i >= 1; i -= 2)
        sum = sum * z + 1.0 / i;
    return exponent * 0.6931471805599453 + 2 * s * sum;
}

/* Cosine and sine of 2 pi u, u in [0, 1), within 1e-15, for the same reason. The nearest
 * quarter turn is taken off exactly; Taylor series for the rest, at most pi/4. */
static void portable_cos_sin(double u, double *cosine, double *sine)
{
    double turns = 4 * u, quarter = floor(turns + 0.5), c = 0, s = 0;
    double angle = (turns - quarter) * 1.5707963267948966, z = angle * angle;

    for (int i = 18; i >= 2; i -= 2) {
        c = (1 - c) * z / (i * (i - 1));
        s = (1 - s) * z / (i * (i + 1));
    }
    c = 1 - c;
    s = (1 - s) * angle;
    switch ((int)quarter & 3) {
    case 0:
        *cosine = c, *sine = s;
        break;
    case 1:
        *cosine = -s, *sine = c;
        break;
    case 2:
        *cosine = -c, *sine = -s;
        break;
    default:
        *cosine = s, *sine = -c;
        break;
    }
}

static double uniform53(uint32_t high, uint32_t low)
{
    uint64_t bits = (uint64_t)high << 32 | low;

    return (double)(bits & ((1ULL << 53) - 1)) * 0x1p-53;
}

void hr_rng_latent_frame(uint64_t seed, uint32_t base_frame, int64_t channels,
                         int64_t height, int64_t width, float *out)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4], counter[4] = {0, 0, 0, base_frame};
    double cosine, sine, radius;
    size_t i = 0;

    for (int64_t c = 0; c < channels; c++) {
        for (int64_t y = 0; y < height; y++) {
            for (int64_t x = 0; x < width; x++) {
                counter[0] = (uint32_t)x;
                counter[1] = (uint32_t)y;
                counter[2] = (uint32_t)c;
                hr_philox(counter, key, words);
                radius = sqrt(-2 * portable_log(1 - uniform53(words[0], words[1])));
                portable_cos_sin(uniform53(words[2], words[3]), &cosine, &sine);
                out[i++] = (float)(radius * cosine);
            }
        }
    }
}

/* The rest is PyTorch's CPU generator (aten/src/ATen: core/MT19937RNGEngine.h,
 * native/cpu/DistributionTemplates.h, native/cpu/avx_mathfun.h; wan-spec 5.8). */

void hr_torch_rng_seed(hr_torch_rng *rng, uint64_t seed)
{
    *rng = (hr_torch_rng){.next = MT_WORDS};
    rng->state[0] = (uint32_t)seed;
    for (uint32_t i = 1; i < MT_WORDS; i++)
        rng->state[i] = 1812433253U * (rng->state[i - 1] ^ (rng->state[i - 1] >> 30)) + i;
}

static void twist(hr_torch_rng *rng)
{
    uint32_t *s = rng->state, y;

    for (int i = 0; i < MT_WORDS; i++) {
        y = (s[i] & 0x80000000U) | (s[(i + 1) % MT_WORDS] & 0x7fffffffU);
        s[i] = s[(i + MT_SHIFT) % MT_WORDS] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908b0dfU : 0);
    }
    rng->next = 0;
}

static uint32_t draw(hr_torch_rng *rng)
{
    uint32_t y;

    if (rng->next == MT_WORDS)
        twist(rng);
    y = rng->state[rng->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680U;
    y ^= (y << 15) & 0xefc60000U;
    return y ^ (y >> 18);
}

static float uniform24(hr_torch_rng *rng)
{
    return (float)(draw(rng) & 0xffffffU) * 0x1p-24F;
}

static double draw53(hr_torch_rng *rng)
{
    uint32_t high = draw(rng);

    return uniform53(high, draw(rng));
}

/* cephes logf with fma where PyTorch's AVX2 code has it; x normal and positive. */
static float cephes_log(float x)
{
    static const float p[] = {7.0376836292e-2F,  -1.1514610310e-1F, 1.1676998740e-1F,
                              -1.2420140846e-1F, 1.4249322787e-1F,  -1.6668057665e-1F,
                              2.0000714765e-1F,  -2.4999993993e-1F, 3.3333331174e-1F};
    uint32_t bits;
    float m, e, y, z;

    memcpy(&bits, &x, sizeof bits);
    e = (float)((int)(bits >> 23) - 126);
    bits = (bits & 0x007fffffU) | 0x3f000000U;
    memcpy(&m, &bits, sizeof m);
    if (m < 0.707106781186547524F) {
        e -= 1.0F;
        m = (m - 1.0F) + m;
    } else {
        m -= 1.0F;
    }
    z = m * m;
    y = p[0];
    for (size_t i = 1; i < sizeof p / sizeof p[0]; i++)
        y = fmaf(y, m, p[i]);
    y = fmaf(y * m, z, e * -2.12194440e-4F);
    y -= 0.5F * z;
    return (m + y) + e * 0.693359375F;
}

/* cephes sincosf, the same way; x >= 0. */
static void cephes_sin_cos(float x, float *sine, float *cosine)
{
    int q = (int)(x * 1.27323954473516F);
    float turn, z, p, s;

    q = (q + 1) & ~1;
    turn = (float)q;
    x = fmaf(turn, -0.78515625F, x);
    x = fmaf(turn, -2.4187564849853515625e-4F, x);
    x = fmaf(turn, -3.77489497744594108e-8F, x);
    z = x * x;
    p = fmaf(2.443315711809948e-5F, z, -1.388731625493765e-3F);
    p = fmaf(p, z, 4.166664568298827e-2F) * z;
    p = fmaf(p, z, -0.5F * z) + 1.0F;
    s = fmaf(-1.9515295891e-4F, z, 8.3321608736e-3F);
    s = fmaf(s, z, -1.6666654611e-1F) * z;
    s = fmaf(s, x, x);
    *sine = (q & 2) == 0 ? s : p;
    *cosine = (q & 2) == 0 ? p : s;
    if ((q & 4) != 0)
        *sine = -*sine;
    if (((q - 2) & 4) == 0)
        *cosine = -*cosine;
}

/* Box-Muller in place: uniforms 0..7 give the radii, 8..15 the angles. */
static void transform_group(float group[GROUP])
{
    float radius, sine, cosine;

    for (int j = 0; j < GROUP / 2; j++) {
        radius = sqrtf(-2.0F * cephes_log(1.0F - group[j]));
        cephes_sin_cos(6.2831855F * group[j + GROUP / 2], &sine, &cosine);
        group[j] = radius * cosine;
        group[j + GROUP / 2] = radius * sine;
    }
}

/* Fewer than 16 numbers: pairs in double; the second waits for the next call. */
static float draw_single(hr_torch_rng *rng)
{
    double angle, radius, cosine;

    if (rng->has_cached) {
        rng->has_cached = 0;
        return (float)rng->cached;
    }
    angle = draw53(rng);
    radius = sqrt(-2 * portable_log(1 - draw53(rng)));
    portable_cos_sin(angle, &cosine, &rng->cached);
    rng->cached *= radius;
    rng->has_cached = 1;
    return (float)(radius * cosine);
}

void hr_torch_randn(hr_torch_rng *rng, float *out, size_t n)
{
    if (n < GROUP) {
        for (size_t i = 0; i < n; i++)
            out[i] = draw_single(rng);
        return;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = uniform24(rng);
    for (size_t i = 0; i + GROUP <= n; i += GROUP)
        transform_group(out + i);
    if (n % GROUP !=
        0) { /* the last 16 are drawn anew, over what the group before left */
        for (size_t i = n - GROUP; i < n; i++)
            out[i] = uniform24(rng);
        transform_group(out + n - GROUP);
    }
}
