/* MP4 files: H.264, yuv420p, BT.709 tagged, index in front. Local.
 *
 * The bytes depend on the frames and the options only: no date, no library version, a
 * fixed number of encoder threads. Written under a temporary name in the folder of
 * `path`, renamed at the end. Failures are HR_ERR_IO (disk full, ...) or
 * HR_ERR_UNSUPPORTED (this libav has no H.264 encoder), logged with the path. */
#ifndef HR_IO_VIDEO_H
#define HR_IO_VIDEO_H

#include "base/hash.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hr_video_writer hr_video_writer;

typedef struct hr_video_options {
    int64_t width, height; /* even */
    double fps;            /* whole or a ratio such as 23.976 */
} hr_video_options;

hr_status hr_video_begin(const char *path, const hr_video_options *options,
                         hr_video_writer **out);
/* The next frame, [height, width, 3] in 0..1. */
hr_status hr_video_append(hr_video_writer *writer, const float *rgb);
/* Ends the writer's life, also when it fails (then nothing is left on the disk). */
hr_status hr_video_finish(hr_video_writer *writer);
/* Removes what was written; takes NULL. */
void hr_video_abandon(hr_video_writer *writer);

/* What a film of these options depends on beside its frames: the encoder's version and
 * its head of every film, hashed. Films of equal ones can be joined (io/video_join.h).
 * `path` is for a failure's message. */
hr_status hr_video_encoder(const char *path, const hr_video_options *options,
                           hr_hash *out);

/* Whether this libav can write H.264; `name` gets the encoder's name ("libx264"). For
 * doctor. */
bool hr_video_can_encode(const char **name);

#endif
