/* Random numbers that do not depend on who draws them. Local, pure. */
#ifndef HR_BASE_RNG_H
#define HR_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
 * the four words of block `counter` under `key`. Equal to Random123's known answers. */
void hr_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Normal noise of one latent frame, by key (seed, base_frame, channel, y, x): element
 * out[(c * height + y) * width + x]. The value at a place depends on its key only, never
 * on the sizes: Box-Muller on a Philox block, in float64, rounded once. */
void hr_rng_latent_frame(uint64_t seed, uint32_t base_frame, int64_t channels,
                         int64_t height, int64_t width, float *out);

/* What torch.randn gives on the CPU for n values drawn in one call from a generator
 * seeded with `seed` (PyTorch 2.x with AVX2; wan-spec: MT19937, 16-blocks, cephes
 * log/sincos with fma). The fma is exact whatever the machine: same bits everywhere. */
typedef struct hr_torch_rng {
    uint32_t state[624];
    int next;
    double cached;
    int has_cached;
} hr_torch_rng;

void hr_torch_rng_seed(hr_torch_rng *rng, uint64_t seed);
void hr_torch_randn(hr_torch_rng *rng, float *out, size_t n);

#endif
