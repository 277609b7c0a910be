/* The film on its way to the disk, in closed segments: each has pictures that nobody has
 * to touch again, so an interrupted decode goes on behind the last one. At the end they
 * are joined without encoding anew. Local; used by one thread, on rank 0.
 *
 * FOLDER/0000.mp4 (or 0000/frame-0001.png ..., or nothing) and FOLDER/0000.txt, written
 * last: format, pictures, size and hash of the media, hash of each picture. */
#ifndef HR_IO_SEGMENTS_H
#define HR_IO_SEGMENTS_H

#include "base/hash.h"
#include "base/status.h"
#include "io/job.h"

#include <stdint.h>

/* A segment closes behind so many pictures, at the next that begins a latent frame. */
enum { HR_SEGMENT_PICTURES = 96 };

typedef struct hr_film {
    int64_t n_pictures, height, width;
    int64_t per_latent; /* pictures of a latent frame; the first has one */
    double fps;
    hr_job_video kind;
} hr_film;

/* Where segment i ends; n_pictures for the last. Pure. */
int64_t hr_film_segment_end(const hr_film *film, int64_t i);

typedef struct hr_segments_writer hr_segments_writer;

/* Takes over what is there of this film in `folder` (which is made): whole segments stay,
 * damaged ones and those behind them are named and removed; hashes[n_pictures] are filled
 * for the pictures that are done. */
hr_status hr_segments_open(const char *folder, const hr_film *film, hr_hash *hashes,
                           hr_segments_writer **out);
/* Pictures done: the next one to be appended. */
int64_t hr_segments_done(const hr_segments_writer *writer);
/* The next picture, [height, width, 3] in 0..1. */
hr_status hr_segments_append(hr_segments_writer *writer, const float *rgb, hr_hash hash);
/* All pictures are there: joins them to `path` (a film, or a folder of pictures; NULL
 * where kind is none), which gets its name when it is whole, then removes the folder.
 * Ends the writer's life, also when it fails. */
hr_status hr_segments_finish(hr_segments_writer *writer, const char *path);
/* Keeps closed segments, drops the open one; takes NULL. */
void hr_segments_close(hr_segments_writer *writer);

#endif
