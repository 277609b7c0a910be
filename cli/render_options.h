/* The command line of `haloreel render`. */
#ifndef HR_CLI_RENDER_OPTIONS_H
#define HR_CLI_RENDER_OPTIONS_H

#include "base/status.h"
#include "io/job.h"

#include <stdbool.h>

enum { HR_MAX_SEEDS = 10000 };

typedef struct hr_render_options {
    const char *job_file;    /* NULL: none */
    hr_job job;              /* the file's keys and what the options set */
    const char *output_file; /* -o */
    const char *prompts_file;
    uint64_t *seeds; /* of --seeds; NULL when not given */
    size_t n_seeds;
    const char *latents_in, *latents_out, *frames_out;
    int stop_after_step; /* 0: no */
    bool force;
} hr_render_options;

/* Parses, reads the job file and applies the options over it; the log level is set. Wrong
 * usage exits with HR_EXIT_USAGE like --help exits with 0 (argp). Caller frees. */
hr_status hr_render_options_parse(int argc, char **argv, hr_render_options *out);
void hr_render_options_free(hr_render_options *options);

#endif
