/* Which noise each frame starts from. Pure; local. */
#ifndef HR_COORDINATOR_NOISE_MAP_H
#define HR_COORDINATOR_NOISE_MAP_H

#include "coordinator/windows.h"

/* Fills base[0 .. n_frames-1]: the frame whose noise frame f gets. Independent: itself.
 * Rescheduled: frames of the first window themselves, later ones a permutation, keyed by
 * the seed, of the frames one window before them, block by block of a stride. Source:
 * FreeNoise (Qiu et al., ICLR 2024), noise rescheduling. */
void hr_noise_map_fill(const hr_windows *w, hr_job_noise noise, uint64_t seed,
                       uint32_t *base);

#endif
