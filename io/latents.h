/* Latents files: safetensors with one F32 tensor `latents` (1, C, F, h, w), as diffusers
 * has them; here frame by frame, [C, h, w]. Local. */
#ifndef HR_IO_LATENTS_H
#define HR_IO_LATENTS_H

#include "base/status.h"

#include <stdint.h>

/* shape: {F, C, h, w}. A file of another shape or type, or that is no safetensors:
 * HR_ERR_ARG with found and expected; values that are not finite: HR_ERR_ARG when their
 * frame is read. Caller closes (NULL is fine). */
typedef struct hr_latents_reader hr_latents_reader;
hr_status hr_latents_open(const char *path, const int64_t shape[4],
                          hr_latents_reader **out);
hr_status hr_latents_read_frame(const hr_latents_reader *reader, int64_t frame,
                                float *out);
void hr_latents_close(hr_latents_reader *reader);

/* Writes a file frame by frame, in any order, each once; it gets its name when finished.
 * Finishing and abandoning (NULL is fine) end the writer's life. */
typedef struct hr_latents_writer hr_latents_writer;
hr_status hr_latents_begin(const char *path, const int64_t shape[4],
                           hr_latents_writer **out);
hr_status hr_latents_write_frame(hr_latents_writer *writer, int64_t frame,
                                 const float *latent);
hr_status hr_latents_finish(hr_latents_writer *writer);
void hr_latents_abandon(hr_latents_writer *writer);

#endif
