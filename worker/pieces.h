/* Inside worker/ only: in which pieces the latent frames of a video are decoded. Pure;
 * local.
 *
 * Streamed: one piece. Windowed: the first piece is as long as the window that the
 * decoder was trained on; each later one starts the decoder anew on latent frame 0, whose
 * pictures are dropped, and decodes as many frames as still make a window. It begins some
 * frames before the end of the piece before: those right behind frame 0 are dropped (they
 * still look like it), those after them are blended. docs/vae.md has the figures. */
#ifndef HR_WORKER_PIECES_H
#define HR_WORKER_PIECES_H

#include <stdint.h>

enum { HR_PIECE_DROPPED = 1, HR_PIECE_BLENDED = 1 };

typedef struct hr_pieces {
    int64_t n_frames;         /* of the video */
    int64_t length;           /* of a piece, with frame 0 in front */
    int64_t dropped, blended; /* frames of a later piece, at its beginning */
    int64_t stride, n_pieces; /* frames by which a later piece is further on */
} hr_pieces;

typedef struct hr_piece {
    int64_t first, n; /* frames decoded, those of the anchor aside */
    int64_t dropped;  /* the first of them: not used */
    int64_t blended;  /* the next: with those of the piece before */
    int64_t held;     /* the last: to be blended with those of the piece behind */
} hr_piece;

/* length: of a window; 0 for one piece. Windows that are too short for a piece of their
 * own (1 frame) are one piece too; short ones do without blending, then dropping. */
hr_pieces hr_pieces_make(int64_t n_frames, int64_t length);
hr_piece hr_pieces_at(const hr_pieces *pieces, int64_t i);
/* The first piece that has to be decoded so that the pictures of `frame` can be made,
 * with the piece before where they are blended with it; pictures of frames behind it
 * follow. */
int64_t hr_pieces_start(const hr_pieces *pieces, int64_t frame);

/* Weight of the later piece for picture `i` of `n` that are blended. */
float hr_pieces_weight(int64_t i, int64_t n);

#endif
