#include "model/tokenizer.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/sentencepiece.h"
#include "model/sentencepiece_check.h"
#include "model/tokenizer_json.h"

#include <string.h>
#include <unistd.h>

enum { SPIECE_MAX_BYTES = 1 << 28 };

struct hr_tokenizer {
    hr_sentencepiece *pieces;
    hr_tokenizer_json json;
    bool starts_added[256]; /* whether an added token starts with this byte */
    int32_t end_id;
    int64_t vocab_size;
};

static hr_status open_pieces(const char *folder, hr_sentencepiece **out)
{
    hr_text path = {0};
    char *data = NULL;
    hr_status status;
    size_t n;

    HR_TRY_GOTO(hr_text_printf(&path, "%s/spiece.model", folder), end);
    HR_TRY_GOTO(hr_read_file(path.s, SPIECE_MAX_BYTES, &data, &n), end);
    HR_TRY_GOTO(hr_sentencepiece_check(path.s, data, n), end);
    status = hr_sentencepiece_open(path.s, data, n, out);
end:
    hr_free(data);
    hr_text_free(&path);
    return status == HR_ERR_FORMAT || status == HR_ERR_IO ? HR_ERR_MODEL : status;
}

static hr_status read_json(const char *folder, hr_tokenizer_json *out)
{
    hr_text path = {0};
    hr_status status;

    HR_TRY_GOTO(hr_text_printf(&path, "%s/tokenizer.json", folder), end);
    if (access(path.s, F_OK) == 0) {
        status = hr_tokenizer_json_read(path.s, out);
    } else {
        hr_warn(
            "%s: not there: special tokens written in a prompt are read as plain text",
            path.s);
        *out = (hr_tokenizer_json){.unknown_id = -1, .n_vocab = -1};
    }
end:
    hr_text_free(&path);
    return status;
}

/* Both files hold the vocabulary; tokenizer.json may count the added tokens behind the
 * pieces. */
static hr_status check_sizes(const char *folder, const hr_tokenizer *t)
{
    int64_t n_pieces = hr_sentencepiece_n_pieces(t->pieces), n_behind = 0;

    for (size_t i = 0; i < t->json.n_added; i++)
        n_behind += t->json.added[i].id >= n_pieces;
    if (t->json.n_vocab < 0 || t->json.n_vocab == n_pieces ||
        t->json.n_vocab == n_pieces + n_behind)
        return HR_OK;
    return hr_fail(
        HR_ERR_MODEL,
        "%s: spiece.model has %lld pieces, tokenizer.json %lld and %lld added tokens "
        "behind the pieces: they are not of one tokenizer",
        folder, (long long)n_pieces, (long long)t->json.n_vocab, (long long)n_behind);
}

static hr_status set_ids(const char *folder, hr_tokenizer *t)
{
    t->end_id = hr_sentencepiece_end_id(t->pieces);
    t->vocab_size = hr_sentencepiece_n_pieces(t->pieces);
    if (t->json.unknown_id >= t->vocab_size)
        t->vocab_size = (int64_t)t->json.unknown_id + 1;
    for (size_t i = 0; i < t->json.n_added; i++) {
        const hr_added_token *added = &t->json.added[i];

        t->starts_added[(unsigned char)added->text[0]] = true;
        if (added->id >= t->vocab_size)
            t->vocab_size = (int64_t)added->id + 1;
        if (t->end_id < 0 && strcmp(added->text, "</s>") == 0)
            t->end_id = added->id;
    }
    if (t->end_id < 0)
        return hr_fail(HR_ERR_MODEL,
                       "%s: the tokenizer has no end-of-sequence token </s>", folder);
    return HR_OK;
}

hr_status hr_tokenizer_open(const char *folder, hr_tokenizer **out)
{
    hr_tokenizer *tokenizer;
    hr_status status;
    void *memory;

    HR_TRY(hr_alloc_or_fail(sizeof *tokenizer, "the tokenizer", &memory));
    tokenizer = memory;
    HR_TRY_GOTO(open_pieces(folder, &tokenizer->pieces), fail);
    HR_TRY_GOTO(read_json(folder, &tokenizer->json), fail);
    HR_TRY_GOTO(check_sizes(folder, tokenizer), fail);
    HR_TRY_GOTO(set_ids(folder, tokenizer), fail);
    *out = tokenizer;
    return HR_OK;
fail:
    hr_tokenizer_close(tokenizer);
    return status;
}

void hr_tokenizer_close(hr_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    hr_sentencepiece_close(tokenizer->pieces);
    hr_tokenizer_json_free(&tokenizer->json);
    hr_free(tokenizer);
}

int64_t hr_tokenizer_vocab_size(const hr_tokenizer *tokenizer)
{
    return tokenizer->vocab_size;
}

/* The longest added token at the start of `text`, or NULL. */
static const hr_added_token *find_added(const hr_tokenizer *t, const char *text)
{
    const hr_added_token *best = NULL;

    if (!t->starts_added[(unsigned char)*text])
        return NULL;
    for (size_t i = 0; i < t->json.n_added; i++) {
        const hr_added_token *added = &t->json.added[i];

        if (strncmp(text, added->text, added->length) == 0 &&
            (best == NULL || added->length > best->length))
            best = added;
    }
    return best;
}

/* Ids that are written up to `room`, and counted beyond. */
typedef struct id_list {
    int32_t *ids;
    size_t room, n;
} id_list;

static hr_status add_plain(const hr_tokenizer *t, const char *text, size_t n,
                           id_list *list)
{
    size_t room = list->n < list->room ? list->room - list->n : 0, count;
    int32_t *ids = list->ids + (list->room - room);
    int32_t library_unknown = hr_sentencepiece_unknown_id(t->pieces);

    if (n == 0)
        return HR_OK;
    HR_TRY(hr_sentencepiece_encode(t->pieces, text, n, room, ids, &count));
    if (t->json.unknown_id >= 0)
        for (size_t i = 0; i < count && i < room; i++)
            if (ids[i] == library_unknown)
                ids[i] = t->json.unknown_id;
    list->n += count;
    return HR_OK;
}

hr_status hr_tokenizer_encode(const hr_tokenizer *tokenizer, const char *text,
                              size_t max_ids, int32_t *ids, size_t *n_ids, bool *was_cut)
{
    const hr_added_token *added;
    const char *plain = text;
    id_list list = {ids, max_ids - 1, 0};

    HR_ASSERT(max_ids > 0);
    /* Added tokens are cut out first, as written; only the rest is normalized and split.
     */
    for (const char *at = text; *at != '\0';) {
        added = find_added(tokenizer, at);
        if (added == NULL) {
            at++;
            continue;
        }
        HR_TRY(add_plain(tokenizer, plain, (size_t)(at - plain), &list));
        if (list.n < list.room)
            ids[list.n] = added->id;
        list.n++;
        at += added->length;
        plain = at;
    }
    HR_TRY(add_plain(tokenizer, plain, strlen(plain), &list));
    *was_cut = list.n > list.room;
    *n_ids = (*was_cut ? list.room : list.n) + 1;
    ids[*n_ids - 1] = tokenizer->end_id;
    return HR_OK;
}
