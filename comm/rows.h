/* Pictures cut into bands of rows, one band per rank of a group, in the order of ranks.
 *
 * Maps are [T, rows, W, C], F32, on any device: what travels goes by way of host memory
 * that the object keeps. A rank's band of a map k times as high as the height that was
 * shared out has k times as many rows; neighbours and halos are the same for all. */
#ifndef HR_COMM_ROWS_H
#define HR_COMM_ROWS_H

#include "comm/group.h"
#include "compute/device.h"

typedef struct hr_rows hr_rows;

typedef struct hr_band {
    int64_t first, n; /* rows */
} hr_band;

/* Rows of rank `rank` of `size` <= height: contiguous, ascending, as even as can be, at
 * least one. Pure. */
hr_band hr_rows_band(int64_t height, int rank, int size);

/* Local. Shares `height` rows out over the group, which has no more ranks than rows. NULL
 * is a rank alone: it has all rows, and nothing travels. Borrows the group. Caller closes
 * (NULL is fine). */
hr_status hr_rows_open(hr_group *group, int64_t height, hr_rows **out);
void hr_rows_close(hr_rows *rows);

int64_t hr_rows_height(const hr_rows *rows);
hr_band hr_rows_mine(const hr_rows *rows);
/* How many halo rows the band has on that side: 1, or 0 at the picture's edge. */
int hr_rows_above(const hr_rows *rows);
int hr_rows_below(const hr_rows *rows);

/* Collective. x: [T, above + rows + below, W, C], the band and its halos: fills the halo
 * rows of all T frames, in one message per neighbour. Waits for the stream. */
hr_status hr_rows_exchange(hr_rows *rows, hr_stream *stream, const hr_tensor *x);

/* Collective. mine: [rows, W, C], the band of one frame; all: [every row, W, C] becomes
 * the whole map, on each rank. Waits for the stream. */
hr_status hr_rows_gather(hr_rows *rows, hr_stream *stream, const hr_tensor *mine,
                         const hr_tensor *all);

#endif
