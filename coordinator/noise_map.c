#include "coordinator/noise_map.h"

#include "base/assert.h"
#include "base/rng.h"

/* A whole number in 0..n-1 that depends on the seed and the draw alone. The bias of the
 * product is below n / 2^32. */
static uint32_t draw_below(uint32_t n, uint64_t seed, uint32_t draw)
{
    /* The last word keeps these apart from the blocks that make the noise itself. */
    const uint32_t counter[4] = {draw, 0, 0, 0x6d617021}; /* "map!" */
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t words[4];

    hr_philox(counter, key, words);
    return (uint32_t)(((uint64_t)words[0] * n) >> 32);
}

/* Fisher and Yates. */
static void shuffle(uint32_t *block, uint32_t n, uint64_t seed, uint32_t first_draw)
{
    uint32_t other, kept;

    for (uint32_t i = n - 1; i > 0; i--) {
        other = draw_below(i + 1, seed, first_draw + i);
        kept = block[i];
        block[i] = block[other];
        block[other] = kept;
    }
}

void hr_noise_map_fill(const hr_windows *w, hr_job_noise noise, uint64_t seed,
                       uint32_t *base)
{
    int64_t stride = w->length - w->overlap, own, n;

    HR_ASSERT(w->n_frames <= UINT32_MAX);
    own = noise == HR_NOISE_RESCHEDULED ? w->length : w->n_frames;
    for (int64_t f = 0; f < w->n_frames && f < own; f++)
        base[f] = (uint32_t)f;
    for (int64_t f = own; f < w->n_frames; f += stride) {
        n = w->n_frames - f < stride ? w->n_frames - f : stride;
        for (int64_t i = 0; i < n; i++)
            base[f + i] = base[f + i - w->length];
        shuffle(base + f, (uint32_t)n, seed, (uint32_t)f);
    }
}
