#include "worker/segments.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

hr_segments hr_segments_make(int64_t n_frames, int64_t length)
{
    hr_segments s = {.n_frames = n_frames, .length = n_frames, .n_segments = 1};
    int64_t spare = length - 2; /* beside frame 0 and one that is new */

    if (spare < 0 || n_frames <= length)
        return s;
    s.length = length;
    s.dropped = least(spare, HR_SEGMENT_DROPPED);
    s.blended = least(spare - s.dropped, HR_SEGMENT_BLENDED);
    s.stride = length - 1 - s.dropped - s.blended;
    s.n_segments += (n_frames - length + s.stride - 1) / s.stride;
    return s;
}

hr_segment hr_segments_at(const hr_segments *s, int64_t i)
{
    int64_t done = s->length + (i - 1) * s->stride; /* by the pieces before */
    hr_segment segment = {.n = s->length};

    if (i > 0) {
        segment.dropped = s->dropped;
        segment.blended = s->blended;
        segment.first = done - s->dropped - s->blended;
        segment.n = least(done + s->stride, s->n_frames) - segment.first;
    }
    if (i + 1 < s->n_segments)
        segment.held = s->blended;
    return segment;
}

float hr_segments_weight(int64_t i, int64_t n)
{
    return (float)(i + 1) / (float)(n + 1);
}
