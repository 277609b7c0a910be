/* The configs of a model folder: model/config.h. The first byte says which of them the
 * rest is; the others are those of the demo model. */
#include "fuzz.h"

#include "base/text.h"
#include "model/config.h"

#include <stdbool.h>

static const char *const names[] = {
    "model_index.json",         "transformer/config.json",         "vae/config.json",
    "text_encoder/config.json", "scheduler/scheduler_config.json",
};
enum { N_NAMES = sizeof names / sizeof names[0] };

static void copy_demo(const char *name)
{
    hr_text from = {0};

    if (hr_text_printf(&from, "%s/demo/model/%s", HR_SOURCE_DIR, name) == HR_OK)
        hr_fuzz_copy(from.s, name);
    hr_text_free(&from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool is_ready;
    static size_t last;
    hr_model_config config;
    hr_status status;

    for (size_t i = 0; !is_ready && i < N_NAMES; i++)
        copy_demo(names[i]);
    is_ready = true;
    if (n == 0)
        return 0;
    if (data[0] % N_NAMES != last)
        copy_demo(names[last]);
    last = data[0] % N_NAMES;
    hr_fuzz_write(names[last], data + 1, n - 1);
    hr_fuzz_begin();
    status = hr_model_config_load(hr_fuzz_folder(), &config);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
