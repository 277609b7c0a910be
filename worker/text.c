#include "worker/text.h"

#include "base/log.h"
#include "base/memory.h"
#include "model/prompt.h"

#include <inttypes.h>
#include <string.h>

const hr_embeds *hr_text_find(const hr_worker *worker, const char *text,
                              int64_t text_length)
{
    for (size_t i = 0; i < worker->n_embeds; i++)
        if (worker->embeds[i].text_length == text_length &&
            strcmp(worker->embeds[i].text, text) == 0)
            return &worker->embeds[i];
    return NULL;
}

static bool is_first_rank(const hr_worker *worker)
{
    return hr_group_rank(worker->group) == 0;
}

static hr_status run_encoder(hr_worker *worker, const int32_t *ids, hr_embeds *embeds)
{
    const hr_text_encoder *encoder;
    hr_arena_mark mark;
    hr_tensor out;
    hr_status status, after;

    HR_TRY(hr_parts_text_encoder(worker, &encoder));
    mark = hr_arena_get_mark(worker->arena);
    HR_TRY_GOTO(
        hr_arena_tensor(worker->arena, HR_F32, HR_DIMS(embeds->n, embeds->width), &out),
        rewind);
    HR_TRY_GOTO(
        hr_text_encoder_run(encoder, worker->stream, worker->arena, ids, &out, NULL),
        rewind);
    status = hr_copy_to_host(worker->stream, embeds->data, &out);
rewind:
    after = hr_stream_sync(worker->stream); /* ids and embeds may be freed now */
    hr_arena_rewind(worker->arena, mark);
    return status != HR_OK ? status : after;
}

/* Cleans and tokenizes; *ids is the caller's to free. */
static hr_status make_ids(const hr_worker *worker, const char *text, int64_t text_length,
                          int32_t **ids, size_t *n_ids)
{
    hr_text clean = {0};
    void *memory = NULL;
    bool was_cut;
    hr_status status;

    HR_TRY_GOTO(hr_prompt_clean(text, &clean), done);
    HR_TRY_GOTO(
        hr_alloc_or_fail((size_t)text_length * sizeof(int32_t), "token ids", &memory),
        done);
    HR_TRY_GOTO(hr_tokenizer_encode(hr_model_get_tokenizer(worker->model),
                                    clean.s == NULL ? "" : clean.s, (size_t)text_length,
                                    memory, n_ids, &was_cut),
                done);
    if (was_cut && is_first_rank(worker) && !hr_device_is_dry(worker->device))
        hr_warn("the prompt has more than %" PRId64
                " tokens: the model reads the first %" PRId64 " only",
                text_length, text_length - 1);
    *ids = memory;
    memory = NULL;
done:
    hr_free(memory);
    hr_text_free(&clean);
    return status;
}

static hr_status grow_list(hr_worker *worker)
{
    hr_embeds *list =
        hr_realloc(worker->embeds, (worker->n_embeds + 1) * sizeof *worker->embeds);

    if (list == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: text embeddings");
    worker->embeds = list;
    return HR_OK;
}

/* The data become the worker's. */
static hr_status append(hr_worker *worker, const char *text, hr_embeds *embeds)
{
    HR_TRY(grow_list(worker));
    embeds->text = hr_strdup(text);
    if (embeds->text == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a prompt");
    worker->embeds[worker->n_embeds++] = *embeds;
    return HR_OK;
}

static hr_status make_room(hr_embeds *embeds, size_t *bytes)
{
    HR_TRY(hr_size_mul((size_t)embeds->n, (size_t)embeds->width * sizeof(float), bytes));
    return hr_alloc_or_fail(*bytes, "text embeddings", (void **)&embeds->data);
}

/* All ranks know the tokens; the first alone has the encoder. */
static hr_status encode(hr_worker *worker, const char *text, int64_t text_length)
{
    hr_embeds embeds = {.text_length = text_length,
                        .width = hr_model_get_config(worker->model)->text.d_model};
    int32_t *ids = NULL;
    size_t n_ids, bytes;
    hr_status status;

    if (hr_text_find(worker, text, text_length) != NULL)
        return HR_OK;
    HR_TRY_GOTO(make_ids(worker, text, text_length, &ids, &n_ids), fail);
    embeds.n = (int64_t)n_ids;
    HR_TRY_GOTO(make_room(&embeds, &bytes), fail);
    if (is_first_rank(worker))
        HR_TRY_GOTO(run_encoder(worker, ids, &embeds), fail);
    HR_TRY_GOTO(hr_group_broadcast(worker->group, 0, embeds.data, bytes), fail);
    HR_TRY_GOTO(append(worker, text, &embeds), fail);
    hr_free(ids);
    return HR_OK;
fail:
    hr_free(embeds.data);
    hr_free(ids);
    return status;
}

hr_status hr_text_put(hr_worker *worker, const char *text, const hr_embeds *like,
                      const float *data)
{
    hr_embeds embeds = *like;
    size_t bytes;
    hr_status status;

    if (hr_text_find(worker, text, like->text_length) != NULL)
        return HR_OK;
    HR_TRY(make_room(&embeds, &bytes));
    memcpy(embeds.data, data, bytes);
    status = append(worker, text, &embeds);
    if (status != HR_OK)
        hr_free(embeds.data);
    return status;
}

hr_status hr_text_stage(hr_worker *worker, const hr_render *render)
{
    HR_TRY(encode(worker, render->prompt, render->job->text_length));
    if (!render->plan->use_guidance)
        return HR_OK;
    return encode(worker, render->negative_prompt, render->job->text_length);
}
