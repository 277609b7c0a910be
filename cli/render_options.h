/* The command lines of `haloreel render` and `haloreel plan`. */
#ifndef HR_CLI_RENDER_OPTIONS_H
#define HR_CLI_RENDER_OPTIONS_H

#include "base/status.h"
#include "io/job.h"

#include <stdbool.h>

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
    bool verify;               /* --verify: compare ranks with one rank, nothing else */
    int ranks, ranks_per_host; /* of a plan; ranks_per_host 0: all on one */
    bool json;                 /* of a plan */
    bool is_help;              /* help was asked for, and shown: nothing else to do */
} hr_render_options;

typedef struct hr_command_line {
    int argc;
    char **argv;
    bool is_plan;   /* haloreel plan */
    bool is_silent; /* another rank says what is wrong */
} hr_command_line;

/* Parses, reads the job file and applies the options over it; the log level is set. Wrong
 * usage is HR_ERR_ARG, said by argp. Caller frees. */
hr_status hr_render_options_parse(const hr_command_line *line, hr_render_options *out);
void hr_render_options_free(hr_render_options *options);

#endif
