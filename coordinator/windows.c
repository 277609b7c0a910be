#include "coordinator/windows.h"

#include "base/assert.h"

/* The windows of one step: starts 0, middle, middle + stride, ..., last. */
typedef struct grid_at {
    int64_t stride, middle, last;
    int64_t count;
} grid_at;

/* clamp(offset - stride + j * stride, 0, last) without repeats. */
static grid_at grid_of(const hr_windows *w, int step)
{
    grid_at g = {.stride = w->length - w->overlap, .last = w->n_frames - w->length};
    int64_t offset = w->grid == HR_GRID_MOVING ? hr_windows_spread(step, g.stride) : 0;

    HR_ASSERT(w->length >= 1 && w->overlap >= 0 && g.stride >= 1 && g.last >= 0);
    g.middle = offset > 0 ? offset : g.stride;
    g.count = g.last == 0 ? 1 : 2;
    if (g.last > g.middle)
        g.count += (g.last - g.middle - 1) / g.stride + 1;
    return g;
}

static int64_t start_of(const grid_at *g, int64_t window)
{
    HR_ASSERT(window >= 0 && window < g->count);
    if (window == 0)
        return 0;
    return window == g->count - 1 ? g->last : g->middle + (window - 1) * g->stride;
}

/* How many windows start at `frame` or before it. */
static int64_t starting_by(const grid_at *g, int64_t frame)
{
    if (frame < 0)
        return 0;
    if (frame >= g->last)
        return g->count;
    return frame < g->middle ? 1 : (frame - g->middle) / g->stride + 2;
}

/* 1 where position 0 of windows after the first is not predicted. */
static int64_t dropped(const hr_windows *w)
{
    return w->anchor != HR_ANCHOR_NONE;
}

/* The windows that have `frame` at a position from `from` on; the first window has all
 * its positions. */
static hr_range holding(const hr_windows *w, const grid_at *g, int64_t frame,
                        int64_t from)
{
    int64_t first = starting_by(g, frame - w->length);
    int64_t end = starting_by(g, frame - from);

    if (end == 0) /* frame 0: the first window */
        end = 1;
    return (hr_range){first, end - first};
}

int64_t hr_windows_spread(int step, int64_t n)
{
    uint32_t bits = __builtin_bswap32((uint32_t)step);

    bits = (bits & 0x0f0f0f0fU) << 4 | (bits >> 4 & 0x0f0f0f0fU);
    bits = (bits & 0x33333333U) << 2 | (bits >> 2 & 0x33333333U);
    bits = (bits & 0x55555555U) << 1 | (bits >> 1 & 0x55555555U);
    return (int64_t)(((uint64_t)bits * (uint64_t)n) >> 32);
}

int64_t hr_windows_count(const hr_windows *w, int step)
{
    return grid_of(w, step).count;
}

int64_t hr_windows_start(const hr_windows *w, int step, int64_t window)
{
    grid_at g = grid_of(w, step);

    return start_of(&g, window);
}

bool hr_windows_is_anchored(const hr_windows *w, int step, int64_t window)
{
    return w->anchor != HR_ANCHOR_NONE && hr_windows_start(w, step, window) > 0;
}

int64_t hr_windows_shown(const hr_windows *w, int step, int64_t window, int64_t position)
{
    HR_ASSERT(position >= 0 && position < w->length);
    if (position == 0 && w->anchor == HR_ANCHOR_FIRST)
        return 0;
    return hr_windows_start(w, step, window) + position;
}

hr_range hr_windows_predicting(const hr_windows *w, int step, int64_t frame)
{
    grid_at g = grid_of(w, step);

    HR_ASSERT(frame >= 0 && frame < w->n_frames);
    return holding(w, &g, frame, dropped(w));
}

hr_range hr_windows_seeing(const hr_windows *w, int step, int64_t frame)
{
    grid_at g = grid_of(w, step);

    HR_ASSERT(frame >= 0 && frame < w->n_frames);
    if (w->anchor == HR_ANCHOR_FIRST && frame == 0)
        return (hr_range){0, g.count};
    return holding(w, &g, frame, w->anchor == HR_ANCHOR_FIRST);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* Before normalising. Ramp: rises over the frames shared with the neighbour on either
 * side, 1 between. Triangle: the distance to the nearer end. */
static double raw_weight(const hr_windows *w, const grid_at *g, int64_t window,
                         int64_t frame)
{
    int64_t start = start_of(g, window), end = start + w->length;
    int64_t left = frame - start - (window > 0 ? dropped(w) : 0) + 1, right = end - frame;
    int64_t shared;
    double weight = 1;

    if (w->blend == HR_BLEND_TRIANGLE)
        return least((double)left, (double)right);
    if (window > 0) {
        shared = start_of(g, window - 1) + w->length - start - dropped(w);
        weight = least(weight, (double)left / (double)(shared + 1));
    }
    if (window < g->count - 1) {
        shared = end - start_of(g, window + 1) - dropped(w);
        weight = least(weight, (double)right / (double)(shared + 1));
    }
    return weight;
}

float hr_windows_weight(const hr_windows *w, int step, int64_t window, int64_t frame)
{
    grid_at g = grid_of(w, step);
    hr_range who;
    double sum = 0;

    HR_ASSERT(frame >= 0 && frame < w->n_frames);
    who = holding(w, &g, frame, dropped(w));
    if (!hr_range_has(who, window))
        return 0;
    for (int64_t i = who.first; i < who.first + who.n; i++)
        sum += raw_weight(w, &g, i, frame);
    return (float)(raw_weight(w, &g, window, frame) / sum);
}
