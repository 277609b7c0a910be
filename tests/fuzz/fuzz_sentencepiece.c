/* spiece.model: our check, the SentencePiece library behind it, and prompts that are
 * encoded with what it has read. */
#include "fuzz.h"

#include "base/assert.h"
#include "model/sentencepiece.h"
#include "model/sentencepiece_check.h"

#include <string.h>

static const char *const prompts[] = {
    "a cat",
    "",
    "   ",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "a",
    "A red cat walks over the Gr\xc3\xbc"
    "n, 9 frames! \xef\xbc\xa1\xef\xac\x81\xe2\x91\xa0",
    "\xe7\x8c\xab\xe3\x81\x8c \xe2\x96\x81 \xf0\x9f\x90\x88 </s> <pad>\t\n",
};

static hr_status encode_all(const hr_sentencepiece *pieces)
{
    enum { MAX_IDS = 16 };
    int32_t ids[MAX_IDS];
    size_t n;

    for (size_t i = 0; i < sizeof prompts / sizeof prompts[0]; i++) {
        HR_TRY(hr_sentencepiece_encode(pieces, prompts[i], strlen(prompts[i]), MAX_IDS,
                                       ids, &n));
        for (size_t k = 0; k < n && k < MAX_IDS; k++)
            HR_ASSERT(ids[k] >= 0 && ids[k] < hr_sentencepiece_n_pieces(pieces));
    }
    return HR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_sentencepiece *pieces = NULL;
    hr_status status;

    hr_fuzz_begin();
    status = hr_sentencepiece_check("input", data, n);
    if (status == HR_OK)
        status = hr_sentencepiece_open("input", data, n, &pieces);
    if (status == HR_OK)
        status = encode_all(pieces);
    hr_sentencepiece_close(pieces);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
