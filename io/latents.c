#include "io/latents.h"

#include "base/log.h"
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

static hr_status copy_planes(const char *path, const hr_stored_tensor *found,
                             const int64_t fchw[4], float *out)
{
    size_t frames = (size_t)fchw[FRAMES], channels = (size_t)fchw[CHANNELS];
    size_t plane = (size_t)fchw[HEIGHT] * (size_t)fchw[WIDTH], bad;
    const char *data = found->data;

    for (size_t f = 0; f < frames; f++)
        for (size_t c = 0; c < channels; c++)
            memcpy(out + (f * channels + c) * plane,
                   data + (c * frames + f) * plane * sizeof *out, plane * sizeof *out);
    bad = hr_dtype_first_not_finite(out, HR_F32, found->n_elements);
    if (bad < found->n_elements)
        return hr_fail(HR_ERR_ARG,
                       "%s: latents: found %g in frame %zu, channel %zu, expected finite "
                       "numbers",
                       path, (double)out[bad], bad / plane / channels,
                       bad / plane % channels);
    return HR_OK;
}

hr_status hr_latents_read(const char *path, const int64_t shape_fchw[4], float *out)
{
    hr_stored_tensor wanted = {0};
    const hr_stored_tensor *found;
    hr_safetensors *file;
    hr_status status;

    stored_shape(shape_fchw, &wanted);
    HR_TRY(hr_safetensors_open(path, &file));
    found = hr_safetensors_find(file, wanted.name);
    status = check(path, found, &wanted);
    if (status == HR_OK)
        status = copy_planes(path, found, shape_fchw, out);
    hr_safetensors_close(file);
    return status;
}

hr_status hr_latents_write(const char *path, const int64_t shape_fchw[4],
                           const float *data)
{
    size_t frames = (size_t)shape_fchw[FRAMES], channels = (size_t)shape_fchw[CHANNELS];
    size_t plane = (size_t)shape_fchw[HEIGHT] * (size_t)shape_fchw[WIDTH];
    hr_stored_tensor tensor = {0};
    hr_safetensors_writer *writer;
    hr_status status = HR_OK;

    stored_shape(shape_fchw, &tensor);
    HR_TRY(hr_safetensors_begin(path, &tensor, &writer));
    for (size_t i = 0; i < channels * frames && status == HR_OK; i++) {
        size_t c = i / frames, f = i % frames;
        status = hr_safetensors_append(writer, data + (f * channels + c) * plane,
                                       plane * sizeof *data);
    }
    if (status == HR_OK)
        return hr_safetensors_finish(writer);
    hr_safetensors_abandon(writer);
    return status;
}
