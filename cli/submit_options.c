#include "cli/submit.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/seeds.h"
#include "cli/time_limit.h"

#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPT_RANKS_PER_NODE = 256,
    OPT_CPUS_PER_RANK,
    OPT_TEMPLATE,
    OPT_SEEDS,
    OPT_JOBS,
    OPT_SPLIT_DECODE,
    OPT_DECODE_SBATCH,
    OPT_REQUEUE_LIMIT,
    OPT_SIGNAL_BEFORE,
    OPT_DRY_RUN,
    OPT_USAGE
};

enum { MAX_NODES = 65536, DEFAULT_FAILURES = 3, DEFAULT_SIGNAL_SECONDS = 120 };

static const struct argp_option option_list[] = {
    {"set", 's', "KEY=VALUE", 0, "set a key of the job file; any number of times", 0},
    {"nodes", 'N', "N", 0,
     "nodes, or from N to M of them: N-M (the fewest that the plan finds enough)", 1},
    {"ranks-per-node", OPT_RANKS_PER_NODE, "M", 0, "ranks on each node (1)", 1},
    {"cpus-per-rank", OPT_CPUS_PER_RANK, "C", 0,
     "cores for each rank (the job's threads, else all of the node)", 1},
    {"time", 't', "T", 0, "time limit: minutes, 90min, 8h, H:MM:SS, D-HH:MM:SS", 2},
    {"partition", 'p', "P", 0, "partition", 2},
    {"account", 'A', "A", 0, "account", 2},
    {"signal-before", OPT_SIGNAL_BEFORE, "S", 0,
     "ask for a checkpoint S seconds before the time limit (120)", 2},
    {"requeue-limit", OPT_REQUEUE_LIMIT, "N", 0,
     "after so many failed attempts the job ends (3)", 2},
    {"seeds", OPT_SEEDS, "A..B", 0, "an array: a task for each seed; also A,B,C", 3},
    {"jobs", OPT_JOBS, 0, 0, "an array: a task for each of several job files", 3},
    {"split-decode", OPT_SPLIT_DECODE, 0, 0,
     "denoise in one job, decode in a second one on one node", 4},
    {"decode-sbatch", OPT_DECODE_SBATCH, "OPTION", 0,
     "an sbatch option of the second job; any number of times. It gets none of those "
     "after --",
     4},
    {"template", OPT_TEMPLATE, "FILE", 0, "template of the script (slurm/job.sbatch)", 5},
    {"dry-run", OPT_DRY_RUN, 0, 0, "write the script, do not call sbatch", 5},
    {"help", '?', 0, 0, "give this help list", -1},
    {"usage", OPT_USAGE, 0, 0, "give a short usage message", -1},
    {0},
};

typedef struct raw_options {
    hr_submit_options *out;
    const char *nodes, *ranks_per_node, *cpus_per_rank, *requeue_limit, *signal_before;
    const char *seeds, *time;
} raw_options;

/* Where an option's text goes; NULL: it has none, or is one of several. */
static const char **text_of(int key, raw_options *raw)
{
    switch (key) {
    case 'N':
        return &raw->nodes;
    case 't':
        return &raw->time;
    case 'p':
        return &raw->out->partition;
    case 'A':
        return &raw->out->account;
    case OPT_RANKS_PER_NODE:
        return &raw->ranks_per_node;
    case OPT_CPUS_PER_RANK:
        return &raw->cpus_per_rank;
    case OPT_REQUEUE_LIMIT:
        return &raw->requeue_limit;
    case OPT_SIGNAL_BEFORE:
        return &raw->signal_before;
    case OPT_SEEDS:
        return &raw->seeds;
    case OPT_TEMPLATE:
        return &raw->out->template_file;
    default:
        return NULL;
    }
}

static bool *flag_of(int key, hr_submit_options *out)
{
    return key == OPT_JOBS           ? &out->many_jobs
           : key == OPT_SPLIT_DECODE ? &out->split_decode
           : key == OPT_DRY_RUN      ? &out->dry_run
                                     : NULL;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    raw_options *raw = state->input;
    hr_submit_options *out = raw->out;
    const char **text = text_of(key, raw);
    bool *flag = flag_of(key, out);

    if (text != NULL)
        *text = value;
    else if (flag != NULL)
        *flag = true;
    else if (key == 's')
        out->sets[out->n_sets++] = value;
    else if (key == OPT_DECODE_SBATCH)
        out->decode_sbatch[out->n_decode_sbatch++] = value;
    else if (key == ARGP_KEY_ARG)
        out->job_files[out->n_job_files++] = value;
    else if (key == '?' || key == OPT_USAGE) {
        out->is_help = true;
        argp_state_help(state, stdout, key == '?' ? ARGP_HELP_STD_HELP : ARGP_HELP_USAGE);
    } else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* A whole number in least..most; NULL leaves *out as it is. */
static hr_status scan_number(const char *option, const char *text, int least, int *out)
{
    char *end;
    long value;

    if (text == NULL)
        return HR_OK;
    errno = 0;
    value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < least || value > MAX_NODES)
        return hr_fail(HR_ERR_ARG, "%s: %s is not in %d..%d", option, text, least,
                       MAX_NODES);
    *out = (int)value;
    return HR_OK;
}

/* "4" or "1-4" */
static hr_status scan_nodes(const char *text, hr_submit_options *out)
{
    char *dash;
    hr_text least = {0};
    hr_status status;

    if (text == NULL)
        return HR_OK;
    dash = strchr(text, '-');
    status =
        hr_text_append(&least, text, dash != NULL ? (size_t)(dash - text) : strlen(text));
    if (status == HR_OK)
        status = scan_number("--nodes", least.s, 1, &out->least_nodes);
    hr_text_free(&least);
    HR_TRY(status);
    out->most_nodes = out->least_nodes;
    if (dash != NULL)
        HR_TRY(scan_number("--nodes", dash + 1, 1, &out->most_nodes));
    if (out->most_nodes < out->least_nodes)
        return hr_fail(HR_ERR_ARG, "--nodes: %s: the second number is the smaller one",
                       text);
    return HR_OK;
}

/* What is longer than minutes alone is as for --time-limit; sbatch has minutes. */
static hr_status scan_time(const char *text, hr_submit_options *out)
{
    hr_text minutes = {0};
    double seconds;
    bool is_minutes;
    hr_status status;

    if (text == NULL)
        return HR_OK;
    is_minutes = text[strspn(text, "0123456789")] == '\0';
    if (!hr_time_scan(text, &seconds))
        return hr_fail(HR_ERR_ARG,
                       "--time: %s is not like 480, 90min, 8h, 8:00:00 or 2-12:00:00",
                       text);
    out->time_seconds = is_minutes ? 60 * seconds : seconds;
    status = hr_text_printf(&minutes, "%.0f", ceil(out->time_seconds / 60));
    if (status == HR_OK) {
        out->time = hr_strdup(minutes.s);
        if (out->time == NULL)
            status = hr_fail(HR_ERR_NOMEM, "out of memory: an option");
    }
    hr_text_free(&minutes);
    return status;
}

static hr_status check(const hr_submit_options *o)
{
    if (o->n_job_files == 0)
        return hr_fail(HR_ERR_ARG, "submit what? give a job file");
    if (o->n_job_files > 1 && !o->many_jobs)
        return hr_fail(HR_ERR_ARG, "%zu job files: --jobs makes a task of each",
                       o->n_job_files);
    if (o->many_jobs && o->seeds != NULL)
        return hr_fail(HR_ERR_ARG, "--jobs and --seeds are both given: which?");
    if (o->n_decode_sbatch > 0 && !o->split_decode)
        return hr_fail(HR_ERR_ARG, "--decode-sbatch goes with --split-decode");
    if (o->time_seconds > 0 && o->time_seconds <= o->signal_seconds)
        hr_warn(
            "--signal-before %d: with a time limit of %s min the job is asked to stop "
            "as soon as it starts",
            o->signal_seconds, o->time);
    return HR_OK;
}

static hr_status apply(const raw_options *raw, hr_submit_options *out)
{
    HR_TRY(scan_nodes(raw->nodes, out));
    HR_TRY(scan_number("--ranks-per-node", raw->ranks_per_node, 1, &out->ranks_per_node));
    HR_TRY(scan_number("--cpus-per-rank", raw->cpus_per_rank, 1, &out->cpus_per_rank));
    HR_TRY(scan_number("--requeue-limit", raw->requeue_limit, 0, &out->max_failures));
    HR_TRY(scan_number("--signal-before", raw->signal_before, 1, &out->signal_seconds));
    HR_TRY(scan_time(raw->time, out));
    HR_TRY(hr_seeds_parse(raw->seeds, &out->seeds, &out->n_seeds));
    return check(out);
}

/* Room for as many words as the command line has. */
static hr_status make_lists(int argc, hr_submit_options *out)
{
    size_t bytes = (size_t)argc * sizeof(char *);

    HR_TRY(hr_alloc_or_fail(bytes, "options", (void **)&out->job_files));
    HR_TRY(hr_alloc_or_fail(bytes, "options", (void **)&out->sets));
    return hr_alloc_or_fail(bytes, "options", (void **)&out->decode_sbatch);
}

/* What comes after -- is for sbatch: its options, or their values. */
static int cut_sbatch_options(int argc, char **argv, hr_submit_options *out)
{
    int n = 1;

    while (n < argc && strcmp(argv[n], "--") != 0)
        n++;
    if (n < argc) {
        out->sbatch = (const char **)(uintptr_t)&argv[n + 1];
        out->n_sbatch = (size_t)(argc - n - 1);
    }
    return n;
}

hr_status hr_submit_options_parse(int argc, char **argv, hr_submit_options *out)
{
    static const struct argp argp = {
        option_list,
        parse_option,
        "JOB.yaml [-- SBATCH OPTION...]\n--jobs JOB.yaml... [-- SBATCH OPTION...]",
        "Submits the render of a job file to Slurm. The script is RUN/slurm/job.sbatch: "
        "it "
        "goes on in the run folder whenever it is started again, and requeues itself at "
        "the time limit and after a failure.\vWhat comes after -- goes to sbatch: -- "
        "--gpus-per-node=4 --qos=long. More in docs/slurm.md.",
        NULL,
        NULL,
        NULL};
    raw_options raw = {.out = out};
    int n;
    hr_status status;

    *out = (hr_submit_options){.ranks_per_node = 1,
                               .max_failures = DEFAULT_FAILURES,
                               .signal_seconds = DEFAULT_SIGNAL_SECONDS};
    n = cut_sbatch_options(argc, argv, out);
    hr_log_set_level(HR_LOG_INFO);
    status = make_lists(argc, out);
    if (status == HR_OK &&
        argp_parse(&argp, n, argv, ARGP_NO_EXIT | ARGP_NO_HELP, NULL, &raw) != 0)
        status = HR_ERR_ARG;
    if (status == HR_OK && !out->is_help)
        status = apply(&raw, out);
    if (status != HR_OK)
        hr_submit_options_free(out);
    return status;
}

void hr_submit_options_free(hr_submit_options *options)
{
    hr_free(options->job_files);
    hr_free(options->sets);
    hr_free(options->decode_sbatch);
    hr_free(options->seeds);
    hr_free(options->time);
    *options = (hr_submit_options){0};
}
