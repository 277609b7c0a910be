/* The C face of the SentencePiece library. Local; encoding is thread-safe. No exception
 * leaves it, and the library's own log is silent. */
#ifndef HR_MODEL_SENTENCEPIECE_H
#define HR_MODEL_SENTENCEPIECE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct hr_sentencepiece hr_sentencepiece;

/* From the bytes of a spiece.model, which are copied; `path` is used in messages.
 * HR_ERR_MODEL, logged, when the library refuses them. Caller closes (NULL is fine). */
hr_status hr_sentencepiece_open(const char *path, const void *data, size_t n_bytes,
                                hr_sentencepiece **out);
void hr_sentencepiece_close(hr_sentencepiece *model);

int64_t hr_sentencepiece_n_pieces(const hr_sentencepiece *model);
/* -1 where the model has none. */
int32_t hr_sentencepiece_unknown_id(const hr_sentencepiece *model);
int32_t hr_sentencepiece_end_id(const hr_sentencepiece *model);

/* The pieces of the n bytes of `text`, nothing added. Writes the first max_ids of them
 * and sets *n_ids to how many there are in all. */
hr_status hr_sentencepiece_encode(const hr_sentencepiece *model, const char *text,
                                  size_t n, size_t max_ids, int32_t *ids, size_t *n_ids);

#ifdef __cplusplus
}
#endif

#endif
