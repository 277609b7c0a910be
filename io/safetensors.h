/* Safetensors files: memory-mapped reading, and writing. All functions are local.
 *
 * Container: u64 little-endian N, N bytes of JSON, raw row-major little-endian data.
 * Opening checks the whole header: sizes inside the file, no overlap or gap trickery,
 * product of the shape times the element size = length, no duplicate names. Failures are
 * one logged line naming file and tensor: HR_ERR_FORMAT, or HR_ERR_IO when the file
 * cannot be read. */
#ifndef HR_IO_SAFETENSORS_H
#define HR_IO_SAFETENSORS_H

#include "base/dtype.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { HR_SAFETENSORS_MAX_DIMS = 8 };

typedef struct hr_safetensors hr_safetensors;

/* One tensor of a file. Borrowed from the file; data is the mapped memory, which need not
 * be aligned to the element size. dtype HR_DTYPE_COUNT: a type that haloreel does not
 * compute with (F8, BOOL, I8, ...), dtype_name says which. */
typedef struct hr_stored_tensor {
    const char *name;
    const char *dtype_name;
    hr_dtype dtype;
    int n_dims; /* 0 for a scalar */
    int64_t dim[HR_SAFETENSORS_MAX_DIMS];
    const void *data;
    size_t n_bytes;
    size_t n_elements;
} hr_stored_tensor;

/* Maps the file. Caller closes (NULL is fine); all borrowed things die with it. */
hr_status hr_safetensors_open(const char *path, hr_safetensors **out);
void hr_safetensors_close(hr_safetensors *file);
const char *hr_safetensors_path(const hr_safetensors *file);

/* In order of the data. */
size_t hr_safetensors_count(const hr_safetensors *file);
const hr_stored_tensor *hr_safetensors_at(const hr_safetensors *file, size_t i);
/* NULL when there is none. Not logged. */
const hr_stored_tensor *hr_safetensors_find(const hr_safetensors *file, const char *name);

/* Tells the kernel that this tensor's pages are not needed any more. */
void hr_safetensors_release(const hr_stored_tensor *tensor);

/* Writes one file holding `n` tensors (name, dtype, n_dims, dim and data are read; data
 * may be NULL for one tensor to be streamed, see below). Same input, same bytes. Written
 * under a temporary name in the same folder, flushed, then renamed to `path`. */
hr_status hr_safetensors_write(const char *path, const hr_stored_tensor *tensors,
                               size_t n);

/* Writer of one tensor of known shape, piece by piece: begin; append in order, or put
 * pieces at their byte offsets in the tensor, each once; when it is full finish
 * (renames), or abandon (removes). Both end the writer's life; abandon takes NULL. */
typedef struct hr_safetensors_writer hr_safetensors_writer;
hr_status hr_safetensors_begin(const char *path, const hr_stored_tensor *tensor,
                               hr_safetensors_writer **out);
hr_status hr_safetensors_append(hr_safetensors_writer *writer, const void *data,
                                size_t n_bytes);
hr_status hr_safetensors_put(hr_safetensors_writer *writer, size_t offset,
                             const void *data, size_t n_bytes);
hr_status hr_safetensors_finish(hr_safetensors_writer *writer);
void hr_safetensors_abandon(hr_safetensors_writer *writer);

#endif
