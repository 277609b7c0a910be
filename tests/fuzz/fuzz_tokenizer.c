/* tokenizer.json: model/tokenizer_json.h. */
#include "fuzz.h"

#include "model/tokenizer_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_tokenizer_json json = {0};
    hr_status status;

    hr_fuzz_begin();
    status = hr_tokenizer_json_read(hr_fuzz_file(0, data, n), &json);
    hr_tokenizer_json_free(&json);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
