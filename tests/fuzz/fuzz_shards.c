/* The index of weights in several files: model/weight_files.h. Two files are there. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/safetensors.h"
#include "model/weight_files.h"

#include <stdbool.h>

static const float values[6] = {1, 2, 3, 4, 5, 6};

static void make_shard(const char *name, const char *first, const char *second)
{
    hr_stored_tensor tensors[2] = {
        {.name = first, .dtype = HR_F32, .n_dims = 2, .dim = {2, 3}, .data = values},
        {.name = second, .dtype = HR_F32, .n_dims = 1, .dim = {6}, .data = values},
    };
    hr_text path = {0};
    hr_status status = hr_text_printf(&path, "%s/%s", hr_fuzz_folder(), name);

    if (status == HR_OK)
        status = hr_safetensors_write(path.s, tensors, 2);
    HR_ASSERT(status == HR_OK);
    hr_text_free(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool is_ready;
    hr_weight_files files = {0};
    hr_status status;

    if (!is_ready) {
        make_shard("a.safetensors", "x", "y");
        make_shard("b.safetensors", "z", "blocks.0.weight");
    }
    is_ready = true;
    hr_fuzz_write("m.safetensors.index.json", data, n);
    hr_fuzz_begin();
    status = hr_weight_files_open(hr_fuzz_folder(), "m", &files);
    hr_weight_files_close(&files);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
