/* SentencePiece unigram tokenizer of UMT5: ids as the reference's fast tokenizer gives
 * them. Local. */
#ifndef HR_MODEL_TOKENIZER_H
#define HR_MODEL_TOKENIZER_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hr_tokenizer hr_tokenizer;

/* Reads `folder`/spiece.model, and what tokenizer.json says about added tokens, unknown
 * id and normalisation. HR_ERR_MODEL (logged) when a file is missing or damaged. Caller
 * closes. */
hr_status hr_tokenizer_open(const char *folder, hr_tokenizer **out);
void hr_tokenizer_close(hr_tokenizer *tokenizer);

/* Largest id + 1 that the tokenizer can give. */
int64_t hr_tokenizer_vocab_size(const hr_tokenizer *tokenizer);

/* Ids of the cleaned `text`, the end-of-sequence id last, at most max_ids (content is cut
 * to max_ids - 1; *was_cut says so). `ids` has room for max_ids. */
hr_status hr_tokenizer_encode(const hr_tokenizer *tokenizer, const char *text,
                              size_t max_ids, int32_t *ids, size_t *n_ids, bool *was_cut);

#endif
