#include "worker/pieces.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

hr_pieces hr_pieces_make(int64_t n_frames, int64_t length)
{
    hr_pieces s = {.n_frames = n_frames, .length = n_frames, .n_pieces = 1};
    int64_t spare = length - 2; /* beside frame 0 and one that is new */

    if (spare < 0 || n_frames <= length)
        return s;
    s.length = length;
    s.dropped = least(spare, HR_PIECE_DROPPED);
    s.blended = least(spare - s.dropped, HR_PIECE_BLENDED);
    s.stride = length - 1 - s.dropped - s.blended;
    s.n_pieces += (n_frames - length + s.stride - 1) / s.stride;
    return s;
}

hr_piece hr_pieces_at(const hr_pieces *s, int64_t i)
{
    int64_t done = s->length + (i - 1) * s->stride; /* by the pieces before */
    hr_piece piece = {.n = s->length};

    if (i > 0) {
        piece.dropped = s->dropped;
        piece.blended = s->blended;
        piece.first = done - s->dropped - s->blended;
        piece.n = least(done + s->stride, s->n_frames) - piece.first;
    }
    if (i + 1 < s->n_pieces)
        piece.held = s->blended;
    return piece;
}

int64_t hr_pieces_start(const hr_pieces *s, int64_t frame)
{
    int64_t i = 0;
    hr_piece piece = hr_pieces_at(s, 0);

    while (i + 1 < s->n_pieces && frame >= piece.first + piece.n - piece.held)
        piece = hr_pieces_at(s, ++i);
    return frame < piece.first + piece.dropped + piece.blended && i > 0 ? i - 1 : i;
}

float hr_pieces_weight(int64_t i, int64_t n)
{
    return (float)(i + 1) / (float)(n + 1);
}
