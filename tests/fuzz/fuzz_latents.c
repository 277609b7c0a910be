/* A latents file, all frames: io/latents.h. */
#include "fuzz.h"

#include "io/latents.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const int64_t shape[4] = {2, 3, 2, 2};
    hr_latents_reader *reader = NULL;
    float frame[3 * 2 * 2];
    hr_status status;

    hr_fuzz_begin();
    status = hr_latents_open(hr_fuzz_file(0, data, n), shape, &reader);
    for (int64_t i = 0; status == HR_OK && i < shape[0]; i++)
        status = hr_latents_read_frame(reader, i, frame);
    hr_latents_close(reader);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
