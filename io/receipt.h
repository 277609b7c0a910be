/* The receipt of a run: what it can be held to (docs/run-folder.md). Equal receipts: the
 * same video. Local; rank 0 alone has one. */
#ifndef HR_IO_RECEIPT_H
#define HR_IO_RECEIPT_H

#include "base/hash.h"
#include "base/status.h"
#include "base/text.h"

#include <stdint.h>

typedef struct hr_receipt hr_receipt;

/* Room for the hashes of n_latent_frames after each of n_steps, and of n_frames. Caller
 * frees (NULL is fine). */
hr_status hr_receipt_create(int64_t n_steps, int64_t n_latent_frames, int64_t n_frames,
                            hr_receipt **out);
void hr_receipt_free(hr_receipt *receipt);

/* A line of its head: program, job key, weight fingerprint, device, layout, ... In
 * groups: "job", "model", "machine"; values are copied. What stands in "machine" does not
 * count in a comparison. */
hr_status hr_receipt_set(hr_receipt *receipt, const char *group, const char *key,
                         const char *value);
/* step from 0: the frame after that step. Latents: F32 [C, h, w]; frames: F32 [h, w, 3]
 * before encoding. */
void hr_receipt_set_latent(hr_receipt *receipt, int64_t step, int64_t latent_frame,
                           hr_hash hash);
void hr_receipt_set_frame(hr_receipt *receipt, int64_t frame, hr_hash hash);

hr_status hr_receipt_write(const hr_receipt *receipt, const char *path);
/* HR_ERR_FORMAT, logged, for a file that is no receipt. */
hr_status hr_receipt_read(const char *path, hr_receipt **out);

/* Whether both are the same video; `difference` is cleared, or says in one line what
 * differs first: step and latent frame, or frame, or the head's keys. */
hr_status hr_receipt_compare(const hr_receipt *a, const hr_receipt *b,
                             hr_text *difference);

#endif
