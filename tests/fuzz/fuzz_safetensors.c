/* A safetensors file, header and data: io/safetensors.h. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/hash.h"
#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_safetensors *file = NULL;
    hr_status status;

    hr_fuzz_begin();
    status = hr_safetensors_open(hr_fuzz_file(0, data, n), &file);
    for (size_t i = 0; status == HR_OK && i < hr_safetensors_count(file); i++) {
        const hr_stored_tensor *tensor = hr_safetensors_at(file, i);

        HR_ASSERT(hr_safetensors_find(file, tensor->name) == tensor);
        (void)hr_hash_bytes(tensor->data, tensor->n_bytes);
        hr_safetensors_release(tensor);
    }
    hr_safetensors_close(file);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
