/* The film on its way to the disk, in closed segments: each has pictures that nobody has
 * to touch again, so an interrupted decode goes on behind the last one. At the end they
 * are joined without encoding anew: the film's bytes do not depend on interruptions.
 * Local; used by one thread at a time, on rank 0.
 *
 * FOLDER/0000.mp4 (or FOLDER/frames/frame-0001.png ..., or nothing) and FOLDER/0000.txt,
 * which is written last and seals it (docs/run-folder.md). Failures are logged with the
 * path; after one only closed segments are left. */
#ifndef HR_IO_SEGMENTS_H
#define HR_IO_SEGMENTS_H

#include "base/hash.h"
#include "base/status.h"
#include "io/job.h"

#include <stdbool.h>
#include <stdint.h>

/* A segment closes behind so many pictures, at the next that begins a latent frame. */
enum { HR_SEGMENT_PICTURES = 96 };

typedef struct hr_film {
    int64_t n_pictures, height, width;
    int64_t per_latent; /* pictures of a latent frame; the first has one */
    double fps;
    hr_job_video kind;
    hr_hash source; /* of all that decides about the pictures */
    bool must_try;  /* not to try costs as much as to fail: only a disk that is full ends
                       it, no estimate */
} hr_film;

/* Where segment i ends; n_pictures for the last and beyond. Pure. */
int64_t hr_film_segment_end(const hr_film *film, int64_t i);
/* Disk that is taken while the film is made: segments and joined film at once. An
 * estimate that only pictures of little but noise exceed. Pure. */
uint64_t hr_film_bytes(const hr_film *film);

typedef struct hr_segments_writer hr_segments_writer;

/* Told of each picture that is done already, in order. */
typedef void (*hr_segments_done_fn)(void *user, int64_t picture, hr_hash hash);

/* Takes over what is there of this film in `folder` (which is made): whole segments stay;
 * damaged ones, those of another film or encoder, and those behind them are named in a
 * warning and removed. HR_ERR_NOMEM when the disk has no room for the rest,
 * unless film->must_try. */
hr_status hr_segments_open(const char *folder, const hr_film *film,
                           hr_segments_done_fn done, void *user,
                           hr_segments_writer **out);
/* Pictures done: the next one to be appended. After opening it begins a latent frame, or
 * all are done. */
int64_t hr_segments_done(const hr_segments_writer *writer);
/* The next picture, [height, width, 3] in 0..1, and its hash. */
hr_status hr_segments_append(hr_segments_writer *writer, const float *rgb, hr_hash hash);
/* All pictures are there: joins them to `path` (a film, or a folder of pictures; NULL
 * where kind is none), which gets its name when it is whole, then removes the folder.
 * Ends the writer's life, also when it fails; the segments stay then. */
hr_status hr_segments_finish(hr_segments_writer *writer, const char *path);
/* Keeps closed segments, drops the open one; takes NULL. */
void hr_segments_close(hr_segments_writer *writer);

/* Removes all segments of whatever film, and the folder when nothing else is in it. */
hr_status hr_segments_drop(const char *folder);

#endif
