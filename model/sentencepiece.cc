#include "model/sentencepiece.h"

extern "C" {
#include "base/fault.h"
#include "base/log.h"
}

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <sentencepiece_processor.h>
#include <string>
#include <vector>

/* In the library, not in its installed header; weak, so that a version without it links.
 */
namespace sentencepiece::logging
{
void SetMinLogLevel(int level) __attribute__((weak));
}

struct hr_sentencepiece {
    sentencepiece::SentencePieceProcessor processor;
};

/* Runs `work` and turns what it throws into a status. */
template <typename Work> static hr_status guarded(const char *what, Work work) noexcept
{
    try {
        if (hr_fault("sentencepiece.call"))
            throw std::bad_alloc();
        return work();
    } catch (const std::bad_alloc &) {
        return hr_fail(HR_ERR_NOMEM, "%s: out of memory", what);
    } catch (const std::exception &e) {
        return hr_fail(HR_ERR_MODEL, "%s: SentencePiece: %s", what, e.what());
    } catch (...) {
        return hr_fail(HR_ERR_MODEL, "%s: SentencePiece failed", what);
    }
}

hr_status hr_sentencepiece_open(const char *path, const void *data, size_t n_bytes,
                                hr_sentencepiece **out)
{
    return guarded(path, [&]() -> hr_status {
        const int no_log = 4; /* above "fatal" */
        auto model = std::make_unique<hr_sentencepiece>();

        if (sentencepiece::logging::SetMinLogLevel != nullptr)
            sentencepiece::logging::SetMinLogLevel(no_log);
        const auto status = model->processor.LoadFromSerializedProto(
            {static_cast<const char *>(data), n_bytes});
        if (!status.ok())
            return hr_fail(HR_ERR_MODEL, "%s: refused by SentencePiece: %s", path,
                           status.message());
        *out = model.release();
        return HR_OK;
    });
}

void hr_sentencepiece_close(hr_sentencepiece *model)
{
    delete model;
}

int64_t hr_sentencepiece_n_pieces(const hr_sentencepiece *model)
{
    return model->processor.GetPieceSize();
}

int32_t hr_sentencepiece_unknown_id(const hr_sentencepiece *model)
{
    return model->processor.unk_id();
}

int32_t hr_sentencepiece_end_id(const hr_sentencepiece *model)
{
    return model->processor.eos_id();
}

hr_status hr_sentencepiece_encode(const hr_sentencepiece *model, const char *text,
                                  size_t n, size_t max_ids, int32_t *ids, size_t *n_ids)
{
    return guarded("prompt", [&]() -> hr_status {
        std::vector<int> pieces;
        const auto status = model->processor.Encode({text, n}, &pieces);

        if (!status.ok())
            return hr_fail(HR_ERR_MODEL, "prompt: SentencePiece: %s", status.message());
        std::copy_n(pieces.begin(), std::min(max_ids, pieces.size()), ids);
        *n_ids = pieces.size();
        return HR_OK;
    });
}
