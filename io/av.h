/* What picture and video share of libav. Local. */
#ifndef HR_IO_AV_H
#define HR_IO_AV_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Sends libav's own messages to hr_debug instead of standard error. To be called before
 * any use; the first call does it. */
void hr_av_quiet(void);

/* Logs "cannot DOING PATH: cause" for an error code of libav; HR_ERR_NOMEM or HR_ERR_IO.
 */
hr_status hr_av_fail(const char *path, const char *doing, int code);

/* out[i] = in[i] in 0..1 as 0..255, rounded half to even as numpy's round in the
 * reference's pictures; what is outside is clamped, NaN is 0. */
void hr_av_to_bytes(const float *in, size_t n, uint8_t *out);

#endif
