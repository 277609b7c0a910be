#include "cli/render_options.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/run_job.h"
#include "cli/seeds.h"
#include "cli/time_limit.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPT_PROMPTS = 256,
    OPT_SEED,
    OPT_SEEDS,
    OPT_LATENTS,
    OPT_LATENTS_OUT,
    OPT_FRAMES_OUT,
    OPT_STOP_AFTER_STEP,
    OPT_FORCE,
    OPT_FRESH,
    OPT_DECODE_ONLY,
    OPT_TIME_LIMIT,
    OPT_VERIFY,
    OPT_RANKS_PER_NODE,
    OPT_JSON,
    OPT_USAGE
};

#define HELP_OPTIONS                                                                     \
    {"help", '?', 0, 0, "give this help list", -1},                                      \
    {                                                                                    \
        "usage", OPT_USAGE, 0, 0, "give a short usage message", -1                       \
    }

#define TIME_LIMIT_OPTION                                                                \
    {                                                                                    \
        "time-limit", OPT_TIME_LIMIT, "TIME", 0,                                         \
            "stop with a checkpoint in time for it: 90min, 1:30:00, seconds", 0          \
    }
#define SIDE_FILE_OPTIONS                                                                \
    {"latents",                                                                          \
     OPT_LATENTS,                                                                        \
     "FILE",                                                                             \
     0,                                                                                  \
     "initial noise: safetensors, latents (1,C,F,h,w) F32",                              \
     4},                                                                                 \
        {"latents-out", OPT_LATENTS_OUT, "FILE", 0, "write the denoised latents", 4},    \
    {                                                                                    \
        "frames-out", OPT_FRAMES_OUT, "FILE", 0,                                         \
            "write the frames (F,H,W,3) F32 in 0..1", 4                                  \
    }
#define MESSAGE_OPTIONS                                                                  \
    {"quiet", 'q', 0, 0, "warnings and errors only", 5},                                 \
    {                                                                                    \
        "verbose", 'v', 0, 0, "more of what happens", 5                                  \
    }

static const struct argp_option render_list[] = {
    {"set", 's', "KEY=VALUE", 0, "set a key of the job file (below); any number of times",
     0},
    {"prompt", 'p', "TEXT", 0, "short for --set prompt=TEXT", 0},
    {"model", 'm', "NAME", 0, "short for --set model=NAME", 0},
    {"seed", OPT_SEED, "N", 0, "short for --set sampler.seed=N", 0},
    {"output", 'o', "FILE", 0,
     "put the video (.mp4) or still (.png) there and the run folder beside it", 0},
    TIME_LIMIT_OPTION,
    {0, 0, 0, 0, "Where the run folder holds a run of the same job it goes on; else:", 1},
    {"fresh", OPT_FRESH, 0, 0, "move that run aside, to RUN.old-1, and start over", 1},
    {"force", OPT_FORCE, 0, 0,
     "start over, and replace its video when the new one is there", 1},
    {0, 0, 0, 0, "Several videos in one call, the model is loaded once:", 2},
    {"prompts", OPT_PROMPTS, "FILE", 0,
     "one prompt a line; blank lines and # are skipped", 2},
    {"seeds", OPT_SEEDS, "A..B", 0, "these seeds for each prompt; also A,B,C", 2},
    {0, 0, 0, 0, "Parts of a render:", 3},
    {"stop-after-step", OPT_STOP_AFTER_STEP, "K", 0,
     "stop after K steps, with a checkpoint and a preview; haloreel resume goes on", 3},
    {"decode-only", OPT_DECODE_ONLY, "FILE", 0,
     "decode the latents.h5 of a run; the job is that of the file", 3},
    {0, 0, 0, 0, "For tests and research:", 4},
    SIDE_FILE_OPTIONS,
    {"verify", OPT_VERIFY, 0, 0,
     "render a tiny job on one rank and on all, and say whether the bits are the same",
     4},
    {0, 0, 0, 0, "Messages:", 5},
    MESSAGE_OPTIONS,
    HELP_OPTIONS,
    {0},
};

static const struct argp_option resume_list[] = {
    {"set", 's', "KEY=VALUE", 0,
     "set a key that does not change the video (device, layout.*, ...)", 0},
    {"output", 'o', "FILE", 0, "put the video (.mp4) or still (.png) there", 0},
    TIME_LIMIT_OPTION,
    {"stop-after-step", OPT_STOP_AFTER_STEP, "K", 0,
     "stop after K steps, with a checkpoint and a preview", 0},
    SIDE_FILE_OPTIONS,
    MESSAGE_OPTIONS,
    HELP_OPTIONS,
    {0},
};

static const struct argp_option plan_list[] = {
    {"set", 's', "KEY=VALUE", 0, "set a key of the job file; any number of times", 0},
    {"prompt", 'p', "TEXT", 0, "short for --set prompt=TEXT", 0},
    {"model", 'm', "NAME", 0, "short for --set model=NAME", 0},
    {"seed", OPT_SEED, "N", 0, "short for --set sampler.seed=N", 0},
    {"ranks", 'n', "N", 0, "ranks that would render (1)", 0},
    {"ranks-per-node", OPT_RANKS_PER_NODE, "M", 0, "ranks on one host (all)", 0},
    {"json", OPT_JSON, 0, 0, "one JSON object in place of text", 0},
    MESSAGE_OPTIONS,
    HELP_OPTIONS,
    {0},
};

enum { MAX_RANKS = 65536 };

/* What the options say before the job file is read: they hold over it. */
typedef struct raw_options {
    hr_render_options *out;
    const char *sets[1024]; /* "key=value" of --set, in order */
    size_t n_sets;
    const char *prompt, *model, *seed, *seeds, *stop_after_step, *time_limit;
    const char *ranks, *ranks_per_node;
    hr_log_level level;
    int n_ranks;
} raw_options;

static error_t parse_output(int key, char *value, raw_options *raw)
{
    switch (key) {
    case 'o':
        raw->out->output_file = value;
        return 0;
    case OPT_FORCE:
        raw->out->force = true;
        return 0;
    case OPT_FRESH:
        raw->out->fresh = true;
        return 0;
    case OPT_DECODE_ONLY:
        raw->out->decode_only = value;
        return 0;
    case OPT_PROMPTS:
        raw->out->prompts_file = value;
        return 0;
    case OPT_LATENTS:
        raw->out->latents_in = value;
        return 0;
    case OPT_LATENTS_OUT:
        raw->out->latents_out = value;
        return 0;
    case OPT_FRAMES_OUT:
        raw->out->frames_out = value;
        return 0;
    case OPT_VERIFY:
        raw->out->verify = true;
        return 0;
    case 'q':
        raw->level = HR_LOG_WARN;
        return 0;
    case 'v':
        raw->level = HR_LOG_DEBUG;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_plan(int key, char *value, raw_options *raw)
{
    switch (key) {
    case 'n':
        raw->ranks = value;
        return 0;
    case OPT_RANKS_PER_NODE:
        raw->ranks_per_node = value;
        return 0;
    case OPT_JSON:
        raw->out->json = true;
        return 0;
    default:
        return parse_output(key, value, raw);
    }
}

static error_t show_help(struct argp_state *state, raw_options *raw, unsigned flags)
{
    raw->out->is_help = true;
    argp_state_help(state, stdout, flags);
    return 0;
}

static error_t take_argument(char *value, struct argp_state *state, raw_options *raw)
{
    bool is_resume = raw->out->call == HR_CALL_RESUME;
    const char **place = is_resume ? &raw->out->resume : &raw->out->job_file;

    if (*place != NULL) {
        argp_error(state, "one %s only: %s is the second",
                   is_resume ? "run folder" : "job file", value);
        return EINVAL;
    }
    *place = value;
    return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    raw_options *raw = state->input;

    switch (key) {
    case '?':
        return show_help(state, raw, ARGP_HELP_STD_HELP);
    case OPT_USAGE:
        return show_help(state, raw, ARGP_HELP_USAGE);
    case 's':
        if (raw->n_sets == sizeof raw->sets / sizeof raw->sets[0]) {
            argp_error(state, "more than %zu --set", raw->n_sets);
            return EINVAL;
        }
        raw->sets[raw->n_sets++] = value;
        return 0;
    case 'p':
        raw->prompt = value;
        return 0;
    case 'm':
        raw->model = value;
        return 0;
    case OPT_SEED:
        raw->seed = value;
        return 0;
    case OPT_SEEDS:
        raw->seeds = value;
        return 0;
    case OPT_STOP_AFTER_STEP:
        raw->stop_after_step = value;
        return 0;
    case OPT_TIME_LIMIT:
        raw->time_limit = value;
        return 0;
    case ARGP_KEY_ARG:
        return take_argument(value, state, raw);
    case ARGP_KEY_END:
        if (raw->out->call == HR_CALL_RESUME && raw->out->resume == NULL &&
            !raw->out->is_help) {
            argp_error(state, "resume what? give a run folder");
            return EINVAL;
        }
        return 0;
    default:
        return parse_plan(key, value, raw);
    }
}

static hr_status set_key(hr_job *job, const char *origin, const char *key,
                         const char *value)
{
    hr_text assignment = {0};
    hr_status status;

    if (value == NULL)
        return HR_OK;
    status = hr_text_printf(&assignment, "%s=%s", key, value);
    if (status == HR_OK)
        status = hr_job_set(job, origin, assignment.s);
    hr_text_free(&assignment);
    return status;
}

/* A whole number in 1..max; NULL leaves *out as it is. */
static hr_status parse_number(const char *option, const char *text, long max, int *out)
{
    char *end;
    long value;

    if (text == NULL)
        return HR_OK;
    value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || value < 1 || value > max)
        return hr_fail(HR_ERR_ARG, "%s: %s is not in 1..%ld", option, text, max);
    *out = (int)value;
    return HR_OK;
}

static hr_status parse_time_limit(const char *text, double *out)
{
    if (text == NULL || hr_time_scan(text, out))
        return HR_OK;
    return hr_fail(HR_ERR_ARG, "--time-limit: %s is not like 90min, 1:30:00 or 5400",
                   text);
}

static hr_status apply(const raw_options *raw, hr_render_options *out)
{
    if (out->job_file != NULL && out->decode_only != NULL)
        return hr_fail(HR_ERR_ARG,
                       "--decode-only: the job is that of the file: %s is "
                       "one too many",
                       out->job_file);
    if (out->job_file != NULL)
        HR_TRY(hr_job_load(out->job_file, &out->job));
    out->is_seed_given = raw->seed != NULL;
    for (size_t i = 0; i < raw->n_sets; i++) {
        HR_TRY(hr_job_set(&out->job, "--set", raw->sets[i]));
        if (strncmp(raw->sets[i], "sampler.seed=", strlen("sampler.seed=")) == 0)
            out->is_seed_given = true;
    }
    HR_TRY(set_key(&out->job, "--prompt", "prompt", raw->prompt));
    HR_TRY(set_key(&out->job, "--model", "model", raw->model));
    HR_TRY(set_key(&out->job, "--seed", "sampler.seed", raw->seed));
    HR_TRY(hr_seeds_parse(raw->seeds, &out->seeds, &out->n_seeds));
    HR_TRY(parse_number("--ranks", raw->ranks, MAX_RANKS, &out->ranks));
    HR_TRY(parse_number("--ranks-per-node", raw->ranks_per_node, MAX_RANKS,
                        &out->ranks_per_host));
    HR_TRY(parse_number("--stop-after-step", raw->stop_after_step, 100000,
                        &out->stop_after_step));
    HR_TRY(parse_time_limit(raw->time_limit, &out->time_limit));
    return out->resume != NULL || out->decode_only != NULL
               ? hr_run_job_take(out, raw->n_ranks)
               : HR_OK;
}

/* The keys of the job file go below the options. */
static char *help_filter(int key, const char *text, void *input)
{
    hr_text help = {0};
    char *copy;

    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    if (hr_text_add(&help, "Keys of the job file, and their defaults:\n\n") != HR_OK ||
        hr_job_describe_keys(false, &help) != HR_OK)
        return (char *)(uintptr_t)text;
    copy = strdup(help.s); /* argp frees it */
    hr_text_free(&help);
    return copy;
}

hr_status hr_render_options_parse(const hr_command_line *line, hr_render_options *out)
{
    static const struct argp render_argp = {
        render_list,
        parse_option,
        "[JOB.yaml]",
        "Renders the video of a job file, or of a prompt with the model's defaults "
        "(model demo unless set). Writes the run folder OUT (runs/NAME) with video.mp4 "
        "in it. On several ranks: mpirun -n N haloreel render ...\v ",
        NULL,
        help_filter,
        NULL};
    static const struct argp plan_argp = {
        plan_list,
        parse_option,
        "[JOB.yaml]",
        "Says what a render of the job would take on some ranks: windows, layout, memory "
        "per rank, traffic, time on this machine. Renders nothing, and reads no weights.",
        NULL,
        NULL,
        NULL};
    static const struct argp resume_argp = {
        resume_list,
        parse_option,
        "RUN",
        "Goes on with the run in the folder RUN, which was stopped or lost its machine: "
        "from its newest whole checkpoint or its latents, on any number of ranks, to the "
        "same bits. A run that is done says so.",
        NULL,
        NULL,
        NULL};
    static const struct argp *const argps[] = {[HR_CALL_RENDER] = &render_argp,
                                               [HR_CALL_RESUME] = &resume_argp,
                                               [HR_CALL_PLAN] = &plan_argp};
    raw_options raw = {.out = out, .level = HR_LOG_INFO, .n_ranks = line->n_ranks};
    unsigned flags = ARGP_NO_EXIT | ARGP_NO_HELP | (line->is_silent ? ARGP_NO_ERRS : 0U);
    hr_status status = HR_OK;

    *out = (hr_render_options){.call = line->call, .ranks = 1};
    hr_job_init(&out->job);
    if (argp_parse(argps[line->call], line->argc, line->argv, flags, NULL, &raw) != 0)
        status = HR_ERR_ARG;
    hr_log_set_level(raw.level);
    out->level = raw.level;
    if (status == HR_OK && !out->is_help)
        status = apply(&raw, out);
    if (status != HR_OK)
        hr_render_options_free(out);
    return status;
}

void hr_render_options_free(hr_render_options *options)
{
    hr_job_free(&options->job);
    hr_free(options->seeds);
    options->seeds = NULL;
}
