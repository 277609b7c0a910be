/* Inside worker/ only: from prompts to text embeddings. */
#ifndef HR_WORKER_TEXT_H
#define HR_WORKER_TEXT_H

#include "worker/parts.h"

/* Collective over the worker's group. Encodes the texts of a video that are not encoded
 * yet, the prompt and, with guidance, the negative prompt, on rank 0 for all. HR_ERR_ARG
 * for text that is not UTF-8. */
hr_status hr_text_stage(hr_worker *worker, const hr_render *render);

/* Local: takes a copy of the embeddings of a text, [n, width] of `like`, in place of
 * encoding it. Does nothing where they are known. */
hr_status hr_text_put(hr_worker *worker, const char *text, const hr_embeds *like,
                      const float *data);

/* The embeddings of a text that has been encoded with this length. Lent by the worker
 * until the next hr_text_stage. */
const hr_embeds *hr_text_find(const hr_worker *worker, const char *text,
                              int64_t text_length);

#endif
