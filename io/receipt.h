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

void hr_receipt_sizes(const hr_receipt *receipt, int64_t *n_steps,
                      int64_t *n_latent_frames, int64_t *n_frames);

/* A line of its head: job key, weight fingerprint, program, device, layout, ... In
 * groups: "job", "model", "machine"; key and value are copied; a key that is there gets
 * the new value. What stands in "machine" does not count in a comparison. */
hr_status hr_receipt_set(hr_receipt *receipt, const char *group, const char *key,
                         const char *value);
/* step from 0: the frame after that step. Latents: F32 [C, h, w]; frames: F32 [h, w, 3]
 * before encoding. Each entry is its own memory, so threads may set different ones. */
void hr_receipt_set_latent(hr_receipt *receipt, int64_t step, int64_t latent_frame,
                           hr_hash hash);
void hr_receipt_set_frame(hr_receipt *receipt, int64_t frame, hr_hash hash);

/* Appends the lines of a group, "KEY<tab>VALUE", without tabs and line breaks in them. */
hr_status hr_receipt_add_lines(const hr_receipt *receipt, const char *group,
                               hr_text *out);

hr_status hr_receipt_write(const hr_receipt *receipt, const char *path);
/* HR_ERR_FORMAT, logged, for a file that is no receipt; HR_ERR_IO when it cannot be read.
 */
hr_status hr_receipt_read(const char *path, hr_receipt **out);

/* Whether both are the same video; `difference` is cleared, or says in one line what
 * differs first: the sizes, or step (from 1) and latent frame (from 0), or frame (from
 * 0); and the first key of the head that differs, which may be all. It holds no control
 * characters, whatever the files do. */
hr_status hr_receipt_compare(const hr_receipt *a, const hr_receipt *b,
                             hr_text *difference);

#endif
