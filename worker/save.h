/* Where decoded frames go: a film in closed segments, a picture, raw frames. They are
 * encoded and written on a thread of the saver's own. Local; a saver is used by one
 * thread. */
#ifndef HR_WORKER_SAVE_H
#define HR_WORKER_SAVE_H

#include "base/hash.h"
#include "io/segments.h"

#include <stdint.h>

/* NULL paths are left out; at most one of the first three is set. */
typedef struct hr_save_options {
    const char *video;         /* MP4 */
    const char *picture;       /* PNG of the only frame */
    const char *frames_folder; /* PNG sequence: frame-0001.png, ... */
    const char *frames_file; /* safetensors `frames` (n, height, width, 3), F32 in 0..1 */
} hr_save_options;

typedef struct hr_saver_film {
    int64_t n_frames, height, width;
    int64_t per_latent; /* frames of a latent frame; the first has one */
    double fps;
    hr_hash source; /* of all that decides about the frames */
    bool must_try;  /* see hr_film */
    /* Frames that are there in closed segments stay there when the saver fails or is
     * abandoned, and need not be made again. NULL: nothing is kept, segments are made
     * beside the result. With a file of raw frames all are to be made again. */
    const char *segments_folder;
    hr_segments_done_fn done; /* told of each frame that need not be made again */
    void *user;
} hr_saver_film;

typedef struct hr_saver hr_saver;

hr_status hr_saver_open(const hr_save_options *options, const hr_saver_film *film,
                        hr_saver **out);
/* Frames that need not be made again: the next one. The first of a latent frame. */
int64_t hr_saver_done(const hr_saver *saver);
/* The next frame: [height, width, 3] in 0..1, and its hash. Copies it and returns; waits
 * only while HR_SAVER_QUEUE frames are still to be written. What went wrong with earlier
 * ones comes back here or at the end. */
enum { HR_SAVER_QUEUE = 8 };
hr_status hr_saver_frame(hr_saver *saver, const float *rgb, hr_hash hash);
/* Waits for the frames and puts the files under their final names. Ends the saver's life,
 * also when it fails. */
hr_status hr_saver_finish(hr_saver *saver);
/* Drops what is still to be written and leaves nothing behind but closed segments in
 * segments_folder; takes NULL. */
void hr_saver_abandon(hr_saver *saver);

#endif
