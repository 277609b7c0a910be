/* What the SentencePiece library does not check about a spiece.model. Local, pure. */
#ifndef HR_MODEL_SENTENCEPIECE_CHECK_H
#define HR_MODEL_SENTENCEPIECE_CHECK_H

#include "base/status.h"

#include <stddef.h>

/* HR_ERR_MODEL, logged with `path`: the file ends early (also between two fields, which
 * the library takes for a smaller vocabulary), or its normalization table points outside
 * of itself (which the library follows). */
hr_status hr_sentencepiece_check(const char *path, const void *data, size_t n_bytes);

#endif
