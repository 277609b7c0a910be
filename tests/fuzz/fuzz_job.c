/* The job file, and the same text as an argument of --set, --seeds and --time-limit:
 * io/job.h, cli/seeds.h, cli/time_limit.h. */
#include "fuzz.h"

#include "base/assert.h"
#include "base/memory.h"
#include "cli/seeds.h"
#include "cli/time_limit.h"
#include "io/job.h"
#include "io/job_folder.h"

#include <math.h>
#include <string.h>

/* A job that was read is written as a file that says the same. */
static void check_written(const hr_job *job)
{
    hr_text once = {0}, twice = {0};
    hr_job again;
    hr_status status;

    hr_job_init(&again);
    status = hr_job_write_yaml(job, &once);
    HR_ASSERT(status == HR_OK);
    if (once.length > 0) {
        status = hr_job_parse("written", once.s, once.length, &again);
        HR_ASSERT(status == HR_OK);
        status = hr_job_write_yaml(&again, &twice);
        HR_ASSERT(status == HR_OK);
        HR_ASSERT(strcmp(once.s, twice.s) == 0);
    }
    hr_job_free(&again);
    hr_text_free(&once);
    hr_text_free(&twice);
}

static void set_key(const char *text)
{
    hr_job job;
    hr_status status;

    hr_fuzz_begin();
    hr_job_init(&job);
    status = hr_job_set(&job, "--set", text);
    if (status == HR_OK)
        check_written(&job);
    hr_job_free(&job);
    hr_fuzz_end(status != HR_OK);
}

static void scan_options(const char *text)
{
    uint64_t *seeds = NULL;
    size_t n_seeds = 0;
    double seconds = 1;
    hr_job_id id;
    hr_status status;

    if (hr_time_scan(text, &seconds))
        HR_ASSERT(isfinite(seconds) && seconds > 0);
    (void)hr_job_id_scan(text, &id);
    hr_fuzz_begin();
    status = hr_seeds_parse(text, &seeds, &n_seeds);
    HR_ASSERT(status != HR_OK || (n_seeds > 0 && n_seeds <= HR_MAX_SEEDS));
    hr_free(seeds);
    hr_fuzz_end(status != HR_OK);
}

/* What a user may write on the command line. */
static void read_as_options(const uint8_t *data, size_t n)
{
    char *text = hr_strndup((const char *)data, n);

    HR_ASSERT(text != NULL);
    set_key(text);
    scan_options(text);
    hr_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hr_job job;
    hr_status status;

    hr_fuzz_begin();
    hr_job_init(&job);
    status = hr_job_parse("input", (const char *)data, n, &job);
    if (status == HR_OK)
        check_written(&job);
    if (status == HR_OK)
        status = hr_job_fill(&job);
    hr_job_free(&job);
    hr_fuzz_end(status != HR_OK);
    if (n < 200)
        read_as_options(data, n);
    return 0;
}
