/* The writing half of io/safetensors.h. */
#include "io/safetensors.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/json.h"
#include "io/out_file.h"

#include <string.h>

enum { DATA_ALIGNMENT = 8 }; /* of the data's start, as the format's own writer does */

struct hr_safetensors_writer {
    hr_out_file *file;
    int64_t start;  /* of the tensor in the file */
    size_t n_bytes; /* of the tensor */
    size_t n_written;
};

static hr_status size_of(const hr_stored_tensor *tensor, size_t *bytes)
{
    size_t n = hr_dtype_size(tensor->dtype);

    HR_ASSERT(tensor->n_dims >= 0 && tensor->n_dims <= HR_SAFETENSORS_MAX_DIMS);
    for (int i = 0; i < tensor->n_dims; i++) {
        HR_ASSERT(tensor->dim[i] >= 0);
        HR_TRY(hr_size_mul(n, (size_t)tensor->dim[i], &n));
    }
    *bytes = n;
    return HR_OK;
}

static hr_status add_entry(hr_text *text, const hr_stored_tensor *tensor, size_t *offset)
{
    size_t bytes, end;

    HR_TRY(size_of(tensor, &bytes));
    HR_TRY(hr_size_add(*offset, bytes, &end));
    HR_TRY(hr_json_add_string(text, tensor->name));
    HR_TRY(hr_text_printf(text, ":{\"dtype\":\"%s\",\"shape\":[",
                          hr_dtype_name(tensor->dtype)));
    for (int i = 0; i < tensor->n_dims; i++)
        HR_TRY(hr_text_printf(text, i > 0 ? ",%lld" : "%lld", (long long)tensor->dim[i]));
    HR_TRY(hr_text_printf(text, "],\"data_offsets\":[%zu,%zu]}", *offset, end));
    *offset = end;
    return HR_OK;
}

static hr_status make_header(const hr_stored_tensor *tensors, size_t n, hr_text *text)
{
    size_t offset = 0;

    HR_TRY(hr_text_add(text, "{"));
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            HR_TRY(hr_text_add(text, ","));
        HR_TRY(add_entry(text, &tensors[i], &offset));
    }
    HR_TRY(hr_text_add(text, "}"));
    while (text->length % DATA_ALIGNMENT != 0)
        HR_TRY(hr_text_add(text, " "));
    return HR_OK;
}

/* Creates the file and writes all that comes before the data. */
static hr_status begin_file(const char *path, const hr_stored_tensor *tensors, size_t n,
                            hr_out_file **out)
{
    unsigned char length[8];
    hr_out_file *file = NULL;
    hr_text header = {0};
    hr_status status;

    HR_TRY_GOTO(make_header(tensors, n, &header), done);
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.length >> 8 * i);
    HR_TRY_GOTO(hr_out_file_create(path, &file), done);
    HR_TRY_GOTO(hr_out_file_write(file, length, sizeof length), done);
    HR_TRY_GOTO(hr_out_file_write(file, header.s, header.length), done);
    *out = file;
done:
    if (status != HR_OK)
        hr_out_file_abandon(file);
    hr_text_free(&header);
    return status;
}

hr_status hr_safetensors_write(const char *path, const hr_stored_tensor *tensors,
                               size_t n)
{
    hr_out_file *file;
    size_t bytes;

    HR_TRY(begin_file(path, tensors, n, &file));
    for (size_t i = 0; i < n && hr_out_file_status(file) == HR_OK; i++)
        if (size_of(&tensors[i], &bytes) == HR_OK)
            hr_out_file_write(file, tensors[i].data, bytes);
    return hr_out_file_commit(file);
}

hr_status hr_safetensors_begin(const char *path, const hr_stored_tensor *tensor,
                               hr_safetensors_writer **out)
{
    hr_safetensors_writer *writer;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *writer, path, &memory));
    writer = memory;
    status = size_of(tensor, &writer->n_bytes);
    if (status == HR_OK)
        status = begin_file(path, tensor, 1, &writer->file);
    if (status != HR_OK) {
        hr_free(writer);
        return status;
    }
    writer->start = hr_out_file_position(writer->file);
    *out = writer;
    return HR_OK;
}

hr_status hr_safetensors_put(hr_safetensors_writer *writer, size_t offset,
                             const void *data, size_t n_bytes)
{
    size_t room = offset < writer->n_bytes ? writer->n_bytes - offset : 0;

    if (n_bytes > room)
        return hr_fail(HR_ERR_INTERNAL, "%s: %zu bytes more than the tensor has room for",
                       hr_out_file_path(writer->file), n_bytes - room);
    writer->n_written += n_bytes;
    hr_out_file_seek(writer->file, writer->start + (int64_t)offset);
    return hr_out_file_write(writer->file, data, n_bytes);
}

hr_status hr_safetensors_append(hr_safetensors_writer *writer, const void *data,
                                size_t n_bytes)
{
    return hr_safetensors_put(writer, writer->n_written, data, n_bytes);
}

hr_status hr_safetensors_finish(hr_safetensors_writer *writer)
{
    hr_out_file *file = writer->file;
    hr_status status;

    if (writer->n_written != writer->n_bytes) {
        status = hr_out_file_status(file);
        if (status == HR_OK)
            status = hr_fail(HR_ERR_INTERNAL, "%s: %zu of the tensor's %zu bytes came",
                             hr_out_file_path(file), writer->n_written, writer->n_bytes);
        hr_safetensors_abandon(writer);
        return status;
    }
    hr_free(writer);
    return hr_out_file_commit(file);
}

void hr_safetensors_abandon(hr_safetensors_writer *writer)
{
    if (writer == NULL)
        return;
    hr_out_file_abandon(writer->file);
    hr_free(writer);
}
