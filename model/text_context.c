#include "base/log.h"
#include "base/memory.h"
#include "model/transformer_parts.h"

#include <math.h>

void hr_text_context_destroy(hr_text_context *context)
{
    if (context == NULL)
        return;
    for (int64_t i = 0; context->k != NULL && i < context->n_layers; i++) {
        hr_tensor_free(&context->k[i]);
        hr_tensor_free(&context->v[i]);
    }
    hr_free(context->k);
    hr_tensor_free(&context->key_bias);
    hr_free(context);
}

/* Room for keys and values of `n_rows` rows in every layer. */
static hr_status make_room(hr_text_context *context, const hr_transformer *transformer,
                           hr_stream *stream, int64_t n_rows)
{
    int64_t n_layers = transformer->part.n_layers;
    int64_t n_heads = hr_block_n_heads(&transformer->blocks[0]);
    int64_t head_dim = transformer->config.head_dim;
    hr_device *device = hr_stream_device(stream);
    void *memory;

    context->n_layers = n_layers;
    HR_TRY(hr_alloc_or_fail(2 * (size_t)n_layers * sizeof(hr_tensor),
                            "the table of text keys", &memory));
    context->k = memory;
    context->v = context->k + n_layers;
    for (int64_t i = 0; i < n_layers; i++) {
        HR_TRY(hr_tensor_create(device, transformer->matrix,
                                HR_DIMS(n_rows, n_heads, head_dim), &context->k[i]));
        HR_TRY(hr_tensor_create(device, transformer->matrix,
                                HR_DIMS(n_rows, n_heads, head_dim), &context->v[i]));
    }
    return HR_OK;
}

/* The zero-padded rows of the text are equal, so are their keys and values: n_pad of them
 * weigh as one whose score is larger by log(n_pad). */
static hr_status make_key_bias(hr_text_context *context, hr_stream *stream,
                               int64_t n_rows, int64_t n_pad)
{
    hr_tensor last;
    hr_fill_args fill = {.value = 0.0F};

    if (n_pad < 2)
        return HR_OK;
    HR_TRY(hr_tensor_create(hr_stream_device(stream), HR_F32, HR_DIMS(n_rows),
                            &context->key_bias));
    fill.out = context->key_bias;
    HR_TRY(hr_op_fill(stream, &fill));
    last = hr_tensor_slice(&context->key_bias, n_rows - 1, 1);
    return hr_op_fill(stream,
                      &(hr_fill_args){.out = last, .value = (float)log((double)n_pad)});
}

/* linear_2(gelu(linear_1(text))) of the valid rows and, where there is padding, one zero
 * row. */
static hr_status project_text(const hr_transformer *transformer, hr_stream *stream,
                              hr_arena *arena, const hr_tensor *embeds,
                              const hr_tensor *out)
{
    int64_t n = embeds->dim[0], n_rows = out->dim[0];
    hr_tensor padded, valid, zero, hidden;

    HR_TRY(hr_arena_tensor(arena, transformer->matrix,
                           HR_DIMS(n_rows, transformer->config.text_dim), &padded));
    HR_TRY(hr_arena_tensor(arena, transformer->matrix, 2, out->dim, &hidden));
    valid = hr_tensor_slice(&padded, 0, n);
    HR_TRY(hr_op_activate(stream, &(hr_activate_args){.x = *embeds, .out = valid}));
    if (n_rows > n) {
        zero = hr_tensor_slice(&padded, n, 1);
        HR_TRY(hr_op_fill(stream, &(hr_fill_args){.out = zero, .value = 0.0F}));
    }
    HR_TRY(
        hr_linear_run(&transformer->text_1, stream, &padded, &hidden, HR_ACT_GELU_TANH));
    return hr_linear_run(&transformer->text_2, stream, &hidden, out, HR_ACT_NONE);
}

static hr_status fill_context(hr_text_context *context, const hr_transformer *transformer,
                              hr_stream *stream, hr_arena *arena,
                              const hr_text_rows *rows)
{
    int64_t n_rows = context->k[0].dim[0];
    hr_tensor text;

    HR_TRY(hr_arena_tensor(arena, transformer->matrix,
                           HR_DIMS(n_rows, hr_transformer_width(&transformer->config)),
                           &text));
    HR_TRY(project_text(transformer, stream, arena, &rows->embeds, &text));
    HR_TRY(hr_trace_tensor(rows->trace, stream, "text_proj", &text));
    for (int64_t i = 0; i < context->n_layers; i++)
        HR_TRY(hr_block_text_keys(&transformer->blocks[i], stream, arena, &text,
                                  &context->k[i], &context->v[i]));
    return HR_OK;
}

hr_status hr_text_context_create(const hr_transformer *transformer, hr_stream *stream,
                                 hr_arena *arena, const hr_text_rows *rows,
                                 hr_text_context **out)
{
    hr_arena_mark mark = hr_arena_get_mark(arena);
    int64_t n = rows->embeds.dim[0], n_pad = rows->text_length - n;
    int64_t n_rows = n + (n_pad > 0 ? 1 : 0);
    hr_text_context *context;
    void *memory;
    hr_status status;

    if (rows->embeds.n_dims != 2 || n_pad < 0)
        return hr_fail(HR_ERR_INTERNAL,
                       "text context: found %lld rows, expected 1 to %lld", (long long)n,
                       (long long)rows->text_length);
    HR_TRY(hr_alloc_or_fail(sizeof *context, "text keys", &memory));
    context = memory;
    HR_TRY_GOTO(make_room(context, transformer, stream, n_rows), cleanup);
    HR_TRY_GOTO(make_key_bias(context, stream, n_rows, n_pad), cleanup);
    HR_TRY_GOTO(fill_context(context, transformer, stream, arena, rows), cleanup);
cleanup:
    hr_arena_rewind(arena, mark);
    if (status == HR_OK) {
        *out = context;
        return HR_OK;
    }
    hr_stream_sync(stream); /* what was enqueued may still use the memory */
    hr_text_context_destroy(context);
    return status;
}
