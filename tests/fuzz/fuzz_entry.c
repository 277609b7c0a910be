/* An entry of configs/models: io/job.h, hr_model_entry_load. */
#include "fuzz.h"

#include "io/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_model_entry entry = {0};
    hr_text prompt = {0};
    hr_status status;

    hr_fuzz_write("models/input.yaml", data, n);
    hr_fuzz_begin();
    status = hr_model_entry_load(hr_fuzz_folder(), "input", &entry);
    if (status == HR_OK && entry.style_phrase[HR_STYLE_ANIMATED] != NULL)
        status =
            hr_model_entry_style_prompt(&entry, HR_STYLE_ANIMATED, "A cat. ", &prompt);
    hr_text_free(&prompt);
    hr_model_entry_free(&entry);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
