/* A film as numbered pictures in a folder: FOLDER/frame-0001.png and so on. Local.
 * Failures are HR_ERR_IO, logged with the path. */
#ifndef HR_IO_FRAMES_H
#define HR_IO_FRAMES_H

#include "base/status.h"
#include "base/text.h"

#include <stdint.h>

/* The path of picture `i` (from 0: frame-0001.png), added to `out`. */
hr_status hr_frames_path(const char *folder, int64_t i, hr_text *out);
/* Writes it: [height, width, 3] in 0..1. The folder exists. */
hr_status hr_frames_write(const char *folder, int64_t i, const float *rgb, int64_t width,
                          int64_t height);
/* Gives the folder another place on the same disk, instead of an older folder with
 * nothing but numbered pictures; its new name is on the disk at the end. */
hr_status hr_frames_move(const char *from, const char *to);

/* Removes the pictures from `first` on (0: all), also half-written ones; of a folder that
 * is not there too. */
hr_status hr_frames_drop(const char *folder, int64_t first);
/* Removes PREFIX*.png from a folder; what does not exist or is no folder is fine. */
hr_status hr_frames_clear(const char *folder, const char *prefix);

#endif
