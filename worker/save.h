/* Where decoded frames go: video, pictures, raw frames; any number of them at once. They
 * are encoded and written on a thread of the saver's own. Local; a saver is used by one
 * thread. */
#ifndef HR_WORKER_SAVE_H
#define HR_WORKER_SAVE_H

#include "base/status.h"

#include <stdint.h>

/* NULL paths are left out. */
typedef struct hr_save_options {
    const char *video;         /* MP4 */
    const char *picture;       /* PNG of the only frame */
    const char *frames_folder; /* PNG sequence: frame-0001.png, ... */
    const char *frames_file; /* safetensors `frames` (n, height, width, 3), F32 in 0..1 */
} hr_save_options;

typedef struct hr_saver hr_saver;

hr_status hr_saver_open(const hr_save_options *options, const int64_t n_frames_h_w[3],
                        double fps, hr_saver **out);
/* The next frame: [height, width, 3] in 0..1. Copies it and returns; waits only while
 * HR_SAVER_QUEUE frames are still to be written. What went wrong with earlier ones comes
 * back here or at the end. */
enum { HR_SAVER_QUEUE = 8 };
hr_status hr_saver_frame(hr_saver *saver, const float *rgb);
/* Waits for the frames and puts the files under their final names. Ends the saver's life,
 * also when it fails. */
hr_status hr_saver_finish(hr_saver *saver);
/* Drops what is still to be written and leaves nothing behind; takes NULL. */
void hr_saver_abandon(hr_saver *saver);

#endif
