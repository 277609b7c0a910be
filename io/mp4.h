/* Inside io/ only: an MP4 file with one film, from packets that are encoded already, its
 * index in front. Local. Written under a temporary name, see io/out_file.h; failures are
 * logged with the path. */
#ifndef HR_IO_MP4_H
#define HR_IO_MP4_H

#include "base/status.h"

#include <libavcodec/codec_par.h>
#include <libavcodec/packet.h>
#include <libavutil/rational.h>

/* Frames a second: the rates of NTSC are written with few digits but mean n * 1000/1001.
 */
AVRational hr_mp4_rate(double fps);

typedef struct hr_mp4 hr_mp4;

hr_status hr_mp4_begin(const char *path, const AVCodecParameters *parameters,
                       AVRational rate, hr_mp4 **out);
/* The next packet in the order of decoding; pts and dts count frames. Its content is
 * taken. */
hr_status hr_mp4_write(hr_mp4 *mp4, AVPacket *packet);
/* Ends its life, also when it fails (then nothing is left on the disk). */
hr_status hr_mp4_finish(hr_mp4 *mp4);
/* Removes what was written; takes NULL. */
void hr_mp4_abandon(hr_mp4 *mp4);

#endif
