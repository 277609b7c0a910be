/* What the SentencePiece library does not check about a spiece.model. Local, pure. */
#ifndef HR_MODEL_SENTENCEPIECE_CHECK_H
#define HR_MODEL_SENTENCEPIECE_CHECK_H

#include "base/status.h"

#include <stddef.h>

/* HR_ERR_MODEL, logged with `path`: the file ends early (also between two fields, which
 * the library takes for a smaller vocabulary); it is no unigram model; its normalization
 * table points outside of itself, has longer ways down than the library has room for, or
 * a replacement of more than 128 bytes (the library follows and inserts them); it has
 * more than 64 KiB of samples (which the library encodes on opening), or user-defined
 * symbols of more than 64 lengths (the library has room for 64 at a place of a prompt,
 * and counts on). */
hr_status hr_sentencepiece_check(const char *path, const void *data, size_t n_bytes);

#endif
