#include "io/latents.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/safetensors.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FRAMES = 0, CHANNELS, HEIGHT, WIDTH, SHAPE_BYTES = 200 };

/* (1, C, F, h, w) is how the reference stores what we hold frames first. */
static void stored_shape(const int64_t fchw[4], hr_stored_tensor *tensor)
{
    const int64_t dim[5] = {1, fchw[CHANNELS], fchw[FRAMES], fchw[HEIGHT], fchw[WIDTH]};

    tensor->name = "latents";
    tensor->dtype = HR_F32;
    tensor->dtype_name = hr_dtype_name(HR_F32);
    tensor->n_dims = 5;
    memcpy(tensor->dim, dim, sizeof dim);
}

static void describe(const hr_stored_tensor *tensor, char out[SHAPE_BYTES])
{
    size_t used = (size_t)snprintf(out, SHAPE_BYTES, "%.16s (", tensor->dtype_name);

    for (int i = 0; i < tensor->n_dims; i++)
        used += (size_t)snprintf(out + used, SHAPE_BYTES - used,
                                 i > 0 ? ", %lld" : "%lld", (long long)tensor->dim[i]);
    snprintf(out + used, SHAPE_BYTES - used, ")");
}

static hr_status check(const char *path, const hr_stored_tensor *found,
                       const hr_stored_tensor *wanted)
{
    char has[SHAPE_BYTES], needs[SHAPE_BYTES];
    bool same;

    describe(wanted, needs);
    if (found == NULL)
        return hr_fail(HR_ERR_ARG, "%s: no tensor named latents, expected one of %s",
                       path, needs);
    same = found->dtype == wanted->dtype && found->n_dims == wanted->n_dims &&
           memcmp(found->dim, wanted->dim, sizeof wanted->dim) == 0;
    describe(found, has);
    if (!same)
        return hr_fail(HR_ERR_ARG, "%s: latents: found %s, expected %s", path, has,
                       needs);
    return HR_OK;
}

struct hr_latents_reader {
    hr_safetensors *file;
    const hr_stored_tensor *tensor;
    int64_t shape[4];
};

static size_t plane_of(const int64_t shape[4])
{
    return (size_t)shape[HEIGHT] * (size_t)shape[WIDTH];
}

static hr_status open_reader(const char *path, hr_latents_reader *reader)
{
    hr_stored_tensor wanted = {0};

    stored_shape(reader->shape, &wanted);
    HR_TRY(hr_safetensors_open(path, &reader->file));
    reader->tensor = hr_safetensors_find(reader->file, wanted.name);
    return check(path, reader->tensor, &wanted);
}

hr_status hr_latents_open(const char *path, const int64_t shape[4],
                          hr_latents_reader **out)
{
    hr_latents_reader *reader;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *reader, path, &memory));
    reader = memory;
    memcpy(reader->shape, shape, sizeof reader->shape);
    status = open_reader(path, reader);
    if (status != HR_OK) {
        hr_latents_close(reader);
        return status;
    }
    *out = reader;
    return HR_OK;
}

void hr_latents_close(hr_latents_reader *reader)
{
    if (reader == NULL)
        return;
    hr_safetensors_close(reader->file);
    hr_free(reader);
}

hr_status hr_latents_read_frame(const hr_latents_reader *reader, int64_t frame,
                                float *out)
{
    size_t channels = (size_t)reader->shape[CHANNELS];
    size_t frames = (size_t)reader->shape[FRAMES], plane = plane_of(reader->shape), bad;
    const char *data = reader->tensor->data;

    HR_ASSERT(frame >= 0 && frame < reader->shape[FRAMES]);
    for (size_t c = 0; c < channels; c++)
        memcpy(out + c * plane, data + (c * frames + (size_t)frame) * plane * sizeof *out,
               plane * sizeof *out);
    hr_safetensors_release(reader->tensor); /* or the whole file would stay mapped in */
    bad = hr_dtype_first_not_finite(out, HR_F32, channels * plane);
    if (bad < channels * plane)
        return hr_fail(HR_ERR_ARG,
                       "%s: latents: found %g in frame %lld, channel %zu, expected "
                       "finite numbers",
                       hr_safetensors_path(reader->file), (double)out[bad],
                       (long long)frame, bad / plane);
    return HR_OK;
}

struct hr_latents_writer {
    hr_safetensors_writer *file;
    int64_t shape[4];
    bool *has_frame;
};

static hr_status begin_writer(const char *path, hr_latents_writer *writer)
{
    hr_stored_tensor tensor = {0};
    void *memory;

    HR_TRY(hr_alloc_or_fail((size_t)writer->shape[FRAMES] * sizeof *writer->has_frame,
                            path, &memory));
    writer->has_frame = memory;
    stored_shape(writer->shape, &tensor);
    return hr_safetensors_begin(path, &tensor, &writer->file);
}

static void destroy(hr_latents_writer *writer)
{
    hr_free(writer->has_frame);
    hr_free(writer);
}

hr_status hr_latents_begin(const char *path, const int64_t shape[4],
                           hr_latents_writer **out)
{
    hr_latents_writer *writer;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *writer, path, &memory));
    writer = memory;
    memcpy(writer->shape, shape, sizeof writer->shape);
    status = begin_writer(path, writer);
    if (status != HR_OK) {
        destroy(writer);
        return status;
    }
    *out = writer;
    return HR_OK;
}

hr_status hr_latents_write_frame(hr_latents_writer *writer, int64_t frame,
                                 const float *latent)
{
    size_t frames = (size_t)writer->shape[FRAMES], plane = plane_of(writer->shape);
    size_t bytes = plane * sizeof *latent;

    HR_ASSERT(frame >= 0 && frame < writer->shape[FRAMES]);
    HR_ASSERT(!writer->has_frame[frame]);
    writer->has_frame[frame] = true;
    for (size_t c = 0; c < (size_t)writer->shape[CHANNELS]; c++)
        HR_TRY(hr_safetensors_put(writer->file, (c * frames + (size_t)frame) * bytes,
                                  latent + c * plane, bytes));
    return HR_OK;
}

hr_status hr_latents_finish(hr_latents_writer *writer)
{
    hr_status status = hr_safetensors_finish(writer->file);

    destroy(writer);
    return status;
}

void hr_latents_abandon(hr_latents_writer *writer)
{
    if (writer == NULL)
        return;
    hr_safetensors_abandon(writer->file);
    destroy(writer);
}
