/* Which frames each window covers, at each step, and with which weights. Pure functions
 * of numbers; local. All frames here are latent frames.
 *
 * At each step the windows are a grid of stride length - overlap, moved by the
 * bit-reversed step (grid moving) or not (fixed), clamped so that every window has
 * exactly `length` frames inside the video, without repeats: starts ascend, the first is
 * 0, the last ends with the video. A video that is no longer than a window is one window.
 * Source: docs/long-video.md; co-denoising after MultiDiffusion (Bar-Tal et al. 2023). */
#ifndef HR_COORDINATOR_WINDOWS_H
#define HR_COORDINATOR_WINDOWS_H

#include "io/job.h"

typedef struct hr_windows {
    int64_t n_frames;     /* of the video */
    int64_t length;       /* of a window, <= n_frames */
    int64_t overlap;      /* 0 .. length-1; at least 1 with an anchor */
    hr_job_grid grid;     /* moving or fixed */
    hr_job_blend blend;   /* ramp or triangle */
    hr_job_anchor anchor; /* none, previous, first */
} hr_windows;

typedef struct hr_range {
    int64_t first, n;
} hr_range;

static inline bool hr_range_has(hr_range range, int64_t i)
{
    return i >= range.first && i < range.first + range.n;
}

/* The shortest range with all of both; what both have. */
static inline hr_range hr_range_join(hr_range a, hr_range b)
{
    int64_t first = a.first < b.first ? a.first : b.first;
    int64_t end = a.first + a.n > b.first + b.n ? a.first + a.n : b.first + b.n;

    if (a.n == 0 || b.n == 0)
        return a.n == 0 ? b : a;
    return (hr_range){first, end - first};
}

static inline hr_range hr_range_cut(hr_range a, hr_range b)
{
    int64_t first = a.first > b.first ? a.first : b.first;
    int64_t end = a.first + a.n < b.first + b.n ? a.first + a.n : b.first + b.n;

    return end > first ? (hr_range){first, end - first} : (hr_range){0, 0};
}

/* The step's bits mirrored at the binary point, times n, rounded down: the van der Corput
 * sequence in base 2. Any few steps in a row spread evenly over 0 .. n-1. The grid moves
 * by it. */
int64_t hr_windows_spread(int step, int64_t n);

int64_t hr_windows_count(const hr_windows *w, int step);
int64_t hr_windows_start(const hr_windows *w, int step, int64_t window);

/* Whether local position 0 of the window is an anchor: context only, its prediction has
 * weight 0. So it is for every window that starts after frame 0 when there is an anchor.
 */
bool hr_windows_is_anchored(const hr_windows *w, int step, int64_t window);
/* The frame that the window sees at local position 0..length-1: start + position, but
 * frame 0 at position 0 with anchor `first`. */
int64_t hr_windows_shown(const hr_windows *w, int step, int64_t window, int64_t position);

/* The weight of the window's prediction for `frame`: > 0 for the windows of
 * hr_windows_predicting, 0 for others. The weights of a frame add up to 1 (to rounding);
 * where one window predicts it, it is exactly 1. */
float hr_windows_weight(const hr_windows *w, int step, int64_t window, int64_t frame);
/* The windows that predict a frame; at least one. */
hr_range hr_windows_predicting(const hr_windows *w, int step, int64_t frame);
/* The windows that see a frame. */
hr_range hr_windows_seeing(const hr_windows *w, int step, int64_t frame);

#endif
