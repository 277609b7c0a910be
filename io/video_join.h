/* Films one behind another in one MP4 file, without encoding anew. Local.
 *
 * The parts are files of io/video.h with the same options and encoder; the joined film is
 * the bytes of their pictures, at a constant rate. Memory does not depend on how many
 * there are. Failures are logged with the path. */
#ifndef HR_IO_VIDEO_JOIN_H
#define HR_IO_VIDEO_JOIN_H

#include "base/status.h"

#include <stdint.h>

typedef struct hr_video_join hr_video_join;

/* `path` is copied; nothing is written yet. */
hr_status hr_video_join_begin(const char *path, double fps, hr_video_join **out);
/* The next part. HR_ERR_FORMAT when it is no film of n_frames that fits the first. */
hr_status hr_video_join_add(hr_video_join *join, const char *part, int64_t n_frames);
/* Behind at least one part. Ends the joining's life, also when it fails (then nothing is
 * left on the disk). */
hr_status hr_video_join_finish(hr_video_join *join);
/* Removes what was written; takes NULL. */
void hr_video_join_abandon(hr_video_join *join);

#endif
