#include "model_folder.h"

#include "fuzz.h"

#include "base/text.h"

#include <stdbool.h>
#include <string.h>

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

static void write_part(const uint8_t *data, size_t n, bool is_new[N_NAMES])
{
    size_t name = data[0] % N_NAMES;

    hr_fuzz_write(names[name], data + 1, n - 1);
    is_new[name] = true;
}

void hr_fuzz_model_folder(const uint8_t *data, size_t n)
{
    static bool is_demo[N_NAMES];
    bool is_new[N_NAMES] = {false};

    while (n > 0) {
        const uint8_t *zero = memchr(data, 0, n);
        size_t n_part = zero != NULL ? (size_t)(zero - data) : n;

        if (n_part > 0)
            write_part(data, n_part, is_new);
        n_part += zero != NULL;
        data += n_part;
        n -= n_part;
    }
    for (size_t i = 0; i < N_NAMES; i++) {
        if (!is_new[i] && !is_demo[i])
            copy_demo(names[i]);
        is_demo[i] = !is_new[i];
    }
}
