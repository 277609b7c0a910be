/* A film as numbered pictures in a folder: FOLDER/frame-0001.png and so on. Local.
 *
 * They are written into ".NAME.part" beside the folder, which gets its name when all are
 * there. Failures are HR_ERR_IO, logged with the path. */
#ifndef HR_IO_FRAMES_H
#define HR_IO_FRAMES_H

#include "base/status.h"

#include <stdint.h>

typedef struct hr_frames_writer hr_frames_writer;

/* The parent of `folder` exists. What an earlier, killed writer left in the part folder
 * is removed. `folder` is copied. */
hr_status hr_frames_begin(const char *folder, int64_t width, int64_t height,
                          hr_frames_writer **out);
/* The next frame, [height, width, 3] in 0..1. */
hr_status hr_frames_append(hr_frames_writer *writer, const float *rgb);
/* Puts the folder in its place, instead of an older one's numbered pictures. Ends the
 * writer's life, also when it fails (then nothing new is left on the disk). */
hr_status hr_frames_finish(hr_frames_writer *writer);
/* Removes what was written; takes NULL. */
void hr_frames_abandon(hr_frames_writer *writer);

/* Removes PREFIX*.png from a folder; what does not exist or is no folder is fine. */
hr_status hr_frames_clear(const char *folder, const char *prefix);

#endif
