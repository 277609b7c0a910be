/* The command lines of `haloreel render`, `resume` and `plan`. */
#ifndef HR_CLI_RENDER_OPTIONS_H
#define HR_CLI_RENDER_OPTIONS_H

#include "base/log.h"
#include "base/status.h"
#include "io/job.h"

#include <stdbool.h>

typedef enum hr_call_kind {
    HR_CALL_RENDER = 0,
    HR_CALL_RESUME, /* the job is that of a run folder */
    HR_CALL_PLAN
} hr_call_kind;

typedef struct hr_render_options {
    hr_call_kind call;
    const char *job_file;    /* NULL: none */
    const char *resume;      /* the run folder to go on in; NULL: not that command */
    const char *decode_only; /* a file of denoised latents, whose job it is; NULL: none */
    hr_job job;              /* the keys of the file or run, and what the options set */
    const char *output_file; /* -o */
    const char *prompts_file;
    uint64_t *seeds; /* of --seeds; NULL when not given */
    size_t n_seeds;
    bool is_seed_given; /* by --seed or --set, not by the job file */
    const char *latents_in, *latents_out, *frames_out;
    int stop_after_step; /* 0: no */
    double time_limit;   /* seconds from the start of the process; 0: none */
    hr_log_level level;  /* of standard error */
    bool force;
    bool fresh;                /* what the run folder holds is moved aside */
    bool verify;               /* --verify: compare ranks with one rank, nothing else */
    int ranks, ranks_per_host; /* of a plan; ranks_per_host 0: all on one */
    bool json;                 /* of a plan */
    bool is_help;              /* help was asked for, and shown: nothing else to do */
} hr_render_options;

typedef struct hr_command_line {
    int argc;
    char **argv;
    hr_call_kind call;
    int n_ranks;    /* that are there; a plan's are an option */
    bool is_silent; /* another rank says what is wrong */
} hr_command_line;

/* Parses, reads the job file (or the job of the run) and applies the options over it; the
 * log level is set. Wrong usage is HR_ERR_ARG, said by argp. Caller frees. */
hr_status hr_render_options_parse(const hr_command_line *line, hr_render_options *out);
void hr_render_options_free(hr_render_options *options);

#endif
