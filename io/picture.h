/* Still pictures. Local. */
#ifndef HR_IO_PICTURE_H
#define HR_IO_PICTURE_H

#include "base/status.h"

#include <stdint.h>

/* Writes an 8-bit RGB PNG of [height, width, 3] in 0..1, rounded half to even like the
 * reference's PIL route. Same picture, same bytes. Under a temporary name in the same
 * folder, then renamed. HR_ERR_IO is logged with the path and the cause (disk full, ...).
 */
hr_status hr_picture_write_png(const char *path, const float *rgb, int64_t width,
                               int64_t height);

#endif
