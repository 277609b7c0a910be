/* The file of --prompts, and each prompt on its way to the text encoder: cli/batch.h,
 * model/prompt.h, model/tokenizer.h. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/text.h"
#include "cli/batch.h"
#include "model/prompt.h"
#include "model/tokenizer.h"

#include <string.h>

enum { MAX_IDS = 64, MAX_ENCODED = 8 };

static const hr_tokenizer *demo_tokenizer(void)
{
    static hr_tokenizer *tokenizer;

    if (tokenizer == NULL) {
        hr_status status =
            hr_tokenizer_open(HR_SOURCE_DIR "/demo/model/tokenizer", &tokenizer);
        HR_ASSERT(status == HR_OK);
    }
    return tokenizer;
}

/* Folders are below the one for results, whatever the prompts say. */
static void check_name(const hr_video *video)
{
    const char *folder = video->job.output_folder;

    HR_ASSERT(strncmp(folder, "out/", 4) == 0);
    HR_ASSERT(folder[4] != '\0' && folder[4] != '.');
    HR_ASSERT(strchr(folder + 4, '/') == NULL);
}

static hr_status encode(const char *prompt)
{
    int32_t ids[MAX_IDS];
    hr_text clean = {0};
    bool was_cut;
    size_t n;
    hr_status status = hr_prompt_clean(prompt, &clean);

    if (status == HR_OK) {
        HR_ASSERT(hr_utf8_check(clean.s, clean.length) == clean.length);
        status =
            hr_tokenizer_encode(demo_tokenizer(), clean.s, MAX_IDS, ids, &n, &was_cut);
    }
    hr_text_free(&clean);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_render_options options = {.prompts_file = hr_fuzz_file(0, data, n)};
    hr_model_entry entry = {.folder = "demo"};
    hr_batch batch = {0};
    size_t n_failures = 0;
    hr_job job;
    hr_status status;

    (void)demo_tokenizer();
    hr_fuzz_begin();
    hr_job_init(&job);
    status = hr_job_set(&job, "fuzz", "output.folder=out");
    HR_ASSERT(status == HR_OK);
    status = hr_batch_make(&options, &entry, &job, 7, &batch);
    n_failures += status != HR_OK;
    for (size_t i = 0; i < batch.n; i++) {
        const hr_video *video = &batch.videos[i];

        check_name(video);
        n_failures += video->status != HR_OK;
        if (video->status == HR_OK && i < MAX_ENCODED)
            n_failures += encode(video->prompt) != HR_OK;
    }
    hr_batch_free(&batch);
    hr_job_free(&job);
    hr_fuzz_end(n_failures);
    return 0;
}
