#include "draw.h"

int draw_below(uint64_t *state, int n)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (int)(*state % (uint64_t)n);
}

hr_windows draw_windows(uint64_t *state, int max_length)
{
    hr_windows w = {.length = 1 + draw_below(state, max_length)};

    w.n_frames = w.length + draw_below(state, 8) * draw_below(state, max_length);
    w.anchor = (hr_job_anchor)draw_below(state, 3);
    if (w.length == 1)
        w.anchor = HR_ANCHOR_NONE;
    w.overlap = draw_below(state, (int)w.length);
    if (w.overlap == 0 && w.anchor != HR_ANCHOR_NONE)
        w.overlap = 1;
    w.grid = (hr_job_grid)draw_below(state, 2);
    w.blend = (hr_job_blend)draw_below(state, 2);
    return w;
}
