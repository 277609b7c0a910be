/* haloreel submit: a render as a Slurm job. */
#include "cli/cli.h"

#include "base/log.h"
#include "cli/command.h"
#include "cli/submit.h"
#include "io/job_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SBATCH_SECONDS = 120 };

/* What sbatch says, in one line. */
static char *one_line(hr_text *says)
{
    while (says->length > 0 && says->s[says->length - 1] == '\n')
        says->s[--says->length] = '\0';
    for (size_t i = 0; i < says->length; i++)
        if (says->s[i] == '\n')
            says->s[i] = ';';
    return says->s != NULL ? says->s : "it does not say why";
}

static hr_status refuse(int code, hr_text *says)
{
    if (code == HR_COMMAND_MISSING)
        return hr_fail(
            HR_ERR_UNSUPPORTED,
            "there is no sbatch here; --dry-run writes the script for elsewhere");
    if (code == HR_COMMAND_LATE)
        return hr_fail(HR_ERR_TIMEOUT,
                       "sbatch: no answer in %d s; squeue says whether it has the job",
                       SBATCH_SECONDS);
    return hr_fail(HR_ERR_ARG, "sbatch ended with %d: %s", code, one_line(says));
}

/* `after`: the job that has to be done before, or 0. */
static hr_status send(const hr_submit_options *options, const char *script,
                      uint64_t after, uint64_t *job)
{
    bool is_array = options->seeds != NULL || options->many_jobs;
    const char *argv[6] = {"sbatch", "--parsable"};
    size_t n = 2;
    char dependency[64];
    hr_text answer = {0}, says = {0};
    int code;
    hr_status status;

    /* Each task after its own; one that can never start is not kept. */
    snprintf(dependency, sizeof dependency, "--dependency=%s:%" PRIu64,
             is_array ? "aftercorr" : "afterok", after);
    if (after > 0) {
        argv[n++] = dependency;
        argv[n++] = "--kill-on-invalid-dep=yes";
    }
    argv[n] = script;
    status = hr_command_read(argv, SBATCH_SECONDS, &answer, &says, &code);
    if (status == HR_OK && code != 0)
        status = refuse(code, &says);
    else if (status == HR_OK && says.length > 0)
        hr_warn("%s", one_line(&says));
    if (status == HR_OK)
        *job = answer.s != NULL ? strtoull(answer.s, NULL, 10) : 0; /* "12;cluster" */
    if (status == HR_OK && *job == 0)
        status = hr_fail(HR_ERR_INTERNAL, "sbatch says %s, which is no job",
                         answer.s != NULL ? answer.s : "nothing");
    hr_text_free(&answer);
    hr_text_free(&says);
    return status;
}

static void print_size(const hr_submit_runs *runs, bool is_decode)
{
    const hr_submit_size *size = &runs->size;

    if (runs->n > 1)
        printf("%zu tasks of ", runs->n);
    if (is_decode)
        printf("1 node");
    else if (size->least_nodes == size->most_nodes)
        printf("%d node%s", size->least_nodes, size->least_nodes > 1 ? "s" : "");
    else
        printf("%d to %d nodes", size->least_nodes, size->most_nodes);
    printf(" with %d rank%s", size->ranks_per_node,
           size->ranks_per_node > 1 ? "s each" : "");
}

static hr_status write_and_send(const hr_submit_options *options,
                                const hr_submit_runs *runs, hr_submit_kind kind,
                                uint64_t after, uint64_t *job)
{
    bool is_decode = kind == HR_SUBMIT_DECODE;
    hr_text script = {0};
    hr_status status = hr_submit_script_write(options, runs, kind, &script);

    if (status == HR_OK && !options->dry_run)
        status = send(options, script.s, after, job);
    if (status == HR_OK) {
        if (options->dry_run)
            printf("not submitted");
        else
            printf("job %" PRIu64, *job);
        printf(": ");
        print_size(runs, is_decode);
        printf("%s; %s\n", is_decode ? ", decodes when the other job is done" : "",
               script.s);
    }
    if (status == HR_OK && !options->dry_run)
        status = hr_job_folder_note(runs->slurm_folder, *job,
                                    (const char *const *)runs->folders, runs->n);
    hr_text_free(&script);
    return status;
}

static void print_next(const hr_submit_options *options, const hr_submit_runs *runs,
                       uint64_t job)
{
    bool is_array = options->seeds != NULL || options->many_jobs;

    printf("  haloreel status %" PRIu64 "    how far it is\n", job);
    printf("  tail -f %s/job-%" PRIu64 "%s.log\n", runs->slurm_folder, job,
           is_array ? "_1" : "");
    printf("  scancel %" PRIu64 "            stops it; to go on, submit again\n", job);
}

/* Nothing is left behind when nothing was handed in, as far as is known. */
static hr_status submit(const hr_submit_options *options, const hr_submit_runs *runs)
{
    uint64_t job = 0, decode = 0;
    hr_status status = write_and_send(
        options, runs, options->split_decode ? HR_SUBMIT_DENOISE : HR_SUBMIT_ALL, 0,
        &job);

    if (status == HR_OK && options->split_decode)
        status = write_and_send(options, runs, HR_SUBMIT_DECODE, job, &decode);
    if (status == HR_OK && !options->dry_run)
        print_next(options, runs, job);
    if (status != HR_OK && job != 0)
        hr_warn("job %" PRIu64 " is with Slurm: scancel %" PRIu64 " takes it back", job,
                job);
    else if (status != HR_OK && status != HR_ERR_TIMEOUT)
        hr_submit_runs_undo(runs);
    return status;
}

int hr_cmd_submit(int argc, char **argv)
{
    hr_submit_options options;
    hr_submit_runs runs = {0};
    hr_status status = hr_submit_options_parse(argc, argv, &options);

    if (status == HR_OK && !options.is_help) {
        status = hr_submit_runs_make(&options, &runs);
        if (status == HR_OK)
            status = submit(&options, &runs);
        else
            hr_submit_runs_undo(&runs);
    }
    hr_submit_runs_free(&runs);
    hr_submit_options_free(&options);
    return hr_exit_code(status);
}
