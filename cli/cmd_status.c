#include "cli/cli.h"

#include "base/log.h"
#include "cli/job_runs.h"
#include "comm/process.h"
#include "io/status_file.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STALE_SECONDS = 600, HOSTS_SHOWN = 8, SHOWN_BYTES = 400 };

typedef struct status_options {
    const char *path;
    bool json;
} status_options;

/* What this host knows of the process that wrote the status. */
typedef enum process_state {
    PROCESS_ELSEWHERE = 0, /* on another host */
    PROCESS_ALIVE,
    PROCESS_GONE
} process_state;

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    status_options *options = state->input;

    if (key == 'j')
        options->json = true;
    else if (key == ARGP_KEY_ARG && options->path == NULL)
        options->path = value;
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "one RUN or JOBID only");
    else if (key == ARGP_KEY_END && options->path == NULL)
        argp_error(state, "status of what? give a run folder");
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static process_state look_for(const hr_run_report *report)
{
    char host[256] = "";

    if (report->host == NULL || report->pid <= 0 ||
        gethostname(host, sizeof host - 1) != 0 || strcmp(host, report->host) != 0)
        return PROCESS_ELSEWHERE;
    return hr_process_exists(report->pid) ? PROCESS_ALIVE : PROCESS_GONE;
}

static bool is_killed(const hr_run_report *report)
{
    return report->status.state == HR_RUN_RUNNING && look_for(report) == PROCESS_GONE;
}

static hr_status add_shown(hr_text *out, const char *text)
{
    return hr_text_add_shown(out, text, SHOWN_BYTES);
}

static hr_status add_state(const hr_run_report *report, const char *path, hr_text *out)
{
    const hr_run_status *s = &report->status;

    switch (s->state) {
    case HR_RUN_RUNNING:
        HR_TRY(hr_text_add(out, is_killed(report) ? "killed" : "running"));
        HR_TRY(hr_text_add(out, s->stage != NULL ? ": " : ""));
        HR_TRY(add_shown(out, s->stage != NULL ? s->stage : ""));
        break;
    case HR_RUN_DONE:
        HR_TRY(hr_text_add(out, s->result != NULL ? "done: " : "done"));
        HR_TRY(add_shown(out, s->result != NULL ? s->result : ""));
        break;
    case HR_RUN_STOPPED:
        HR_TRY(hr_text_add(out, s->error != NULL ? "stopped: " : "stopped on request"));
        HR_TRY(add_shown(out, s->error != NULL ? s->error : ""));
        break;
    case HR_RUN_FAILED:
        HR_TRY(hr_text_add(out, "failed: "));
        HR_TRY(add_shown(out, s->error != NULL ? s->error : "cause unknown"));
        HR_TRY(hr_text_printf(out, "; see %s/log/rank-0000.log", path));
        break;
    }
    return hr_text_add(out, "\n");
}

static hr_status add_progress(const hr_run_report *report, hr_text *out)
{
    const hr_run_status *s = &report->status;
    char time_left[24];

    HR_TRY(hr_text_printf(out, "step %" PRId64 "/%" PRId64, s->step, s->steps));
    if (s->windows > 1)
        HR_TRY(
            hr_text_printf(out, ", window %" PRId64 "/%" PRId64, s->window, s->windows));
    HR_TRY(hr_text_printf(out, ", frame %" PRId64 "/%" PRId64, s->frame, s->frames));
    if (s->step_seconds > 0)
        HR_TRY(hr_text_printf(out, ", %.3g s/step", s->step_seconds));
    if (s->state == HR_RUN_RUNNING && s->eta_seconds >= 0 && !is_killed(report))
        HR_TRY(hr_text_printf(out, ", ETA %s",
                              hr_format_duration(s->eta_seconds, time_left)));
    return hr_text_add(out, "\n");
}

static hr_status add_ranks(const hr_run_status *s, hr_text *out)
{
    HR_TRY(hr_text_printf(out, "%d ranks", s->n_ranks));
    for (int i = 0; i < s->n_hosts && i < HOSTS_SHOWN; i++) {
        HR_TRY(hr_text_add(out, i == 0 ? " on " : ", "));
        HR_TRY(add_shown(out, s->hosts[i]));
    }
    if (s->n_hosts > HOSTS_SHOWN)
        HR_TRY(hr_text_printf(out, " and %d more hosts", s->n_hosts - HOSTS_SHOWN));
    HR_TRY(hr_text_add(out, s->layout != NULL ? ": " : ""));
    HR_TRY(add_shown(out, s->layout != NULL ? s->layout : ""));
    HR_TRY(hr_text_add(out, "\n"));
    if (s->slowest_host == NULL || s->state != HR_RUN_RUNNING)
        return HR_OK;
    HR_TRY(hr_text_printf(out, "slowest: rank %d on ", s->slowest_rank));
    HR_TRY(add_shown(out, s->slowest_host));
    return hr_text_printf(out, ", %.2g times the median\n", s->slowest_factor);
}

/* What is there to go on from, and how. */
static hr_status add_checkpoint(const hr_run_status *s, const char *path, hr_text *out)
{
    bool has_ended = s->state == HR_RUN_STOPPED || s->state == HR_RUN_FAILED;
    char ago[24];

    if (s->checkpoint == NULL && has_ended)
        return hr_text_printf(out,
                              "no checkpoint; to start from the beginning: haloreel "
                              "resume %s\n",
                              path);
    if (s->checkpoint == NULL || s->state == HR_RUN_DONE)
        return HR_OK;
    HR_TRY(hr_text_add(out, "last checkpoint "));
    HR_TRY(add_shown(out, s->checkpoint));
    if (s->checkpointed != 0)
        HR_TRY(hr_text_printf(
            out, ", %s ago",
            hr_format_duration(difftime(time(NULL), s->checkpointed), ago)));
    if (has_ended)
        HR_TRY(hr_text_printf(out, "; to go on: haloreel resume %s", path));
    return hr_text_add(out, "\n");
}

static hr_status add_limit(const hr_run_status *s, hr_text *out)
{
    double left = difftime(s->ends, time(NULL));
    char text[24];

    if (s->ends == 0 || s->state != HR_RUN_RUNNING)
        return HR_OK;
    if (left < 0)
        return hr_text_add(out, "its time limit has passed\n");
    return hr_text_printf(out, "time limit in %s\n", hr_format_duration(left, text));
}

static hr_status add_news(const hr_run_report *report, const char *path, double age,
                          hr_text *out)
{
    bool running = report->status.state == HR_RUN_RUNNING;
    char ago[24];

    HR_TRY(hr_text_printf(out, "last news %s ago", hr_format_duration(age, ago)));
    if (report->host != NULL) {
        HR_TRY(hr_text_printf(out, " from process %" PRId64 " on ", report->pid));
        HR_TRY(add_shown(out, report->host));
    }
    if (is_killed(report))
        HR_TRY(hr_text_printf(
            out, ": it is gone, the run was killed; to %s: haloreel resume %s",
            report->status.checkpoint != NULL ? "go on" : "start from the beginning",
            path));
    else if (running && age >= STALE_SECONDS)
        HR_TRY(hr_text_printf(out, ": no news for %.0f min: is it still running?",
                              age / 60));
    return hr_text_add(out, "\n");
}

static hr_status add_lines(const hr_run_report *report, const char *path, double age,
                           hr_text *out)
{
    HR_TRY(add_state(report, path, out));
    HR_TRY(add_progress(report, out));
    if (report->status.n_ranks > 1)
        HR_TRY(add_ranks(&report->status, out));
    HR_TRY(add_checkpoint(&report->status, path, out));
    HR_TRY(add_limit(&report->status, out));
    return add_news(report, path, age, out);
}

static hr_status add_json(const hr_run_report *report, double age, hr_text *out)
{
    static const char *const alive[] = {
        [PROCESS_ELSEWHERE] = "null",
        [PROCESS_ALIVE] = "true",
        [PROCESS_GONE] = "false",
    };

    HR_TRY(hr_text_printf(out, "{\n  \"age_seconds\": %.0f,\n  \"alive\": %s,\n", age,
                          alive[look_for(report)]));
    HR_TRY(hr_run_report_format(report, out));
    return hr_text_add(out, "}\n");
}

/* A run folder, or its status.json itself. */
static hr_status read_status(const char *path, hr_run_report *out)
{
    struct stat info;
    hr_text file = {0};
    hr_status status;

    if (stat(path, &info) != 0)
        return hr_fail(HR_ERR_ARG, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return hr_status_file_read(path, out);
    status = hr_text_printf(&file, "%s/status.json", path);
    if (status == HR_OK && stat(file.s, &info) != 0)
        status = hr_fail(HR_ERR_ARG, "folder %s: no status.json: not a run folder", path);
    if (status == HR_OK)
        status = hr_status_file_read(file.s, out);
    hr_text_free(&file);
    return status == HR_ERR_IO ? HR_ERR_ARG : status;
}

static hr_status print_run(const char *path, bool json)
{
    hr_run_report report;
    hr_text text = {0};
    hr_status status;
    double age;

    HR_TRY(read_status(path, &report));
    age = difftime(time(NULL), report.updated);
    if (json)
        status = add_json(&report, age, &text);
    else
        status = add_lines(&report, path, age, &text);
    if (status == HR_OK)
        fputs(text.s, stdout);
    hr_text_free(&text);
    hr_run_report_free(&report);
    return status;
}

/* A run that Slurm has not started has no status yet: that is no failure. */
static hr_status print_job_run(const char *path, bool json)
{
    hr_text file = {0}, shown = {0};
    hr_status status = hr_text_printf(&file, "%s/status.json", path);
    bool is_there = status == HR_OK && access(file.s, F_OK) == 0;

    if (status == HR_OK)
        status = add_shown(&shown, path);
    if (status == HR_OK && !json)
        puts(shown.s);
    hr_text_free(&shown);
    hr_text_free(&file);
    HR_TRY(status);
    if (is_there)
        return print_run(path, json);
    puts(json ? "null" : "not started yet");
    return HR_OK;
}

static hr_status print_job(const hr_job_id *id, bool json)
{
    hr_job_runs runs;
    hr_text says = {0};
    hr_status status = hr_job_runs_find(id, &runs, &says);

    if (status == HR_OK && !json && says.length > 0)
        printf("job %" PRIu64 " is %s\n", id->job, says.s);
    if (status == HR_OK && json && runs.n > 1)
        puts("[");
    for (size_t i = 0; i < runs.n && status == HR_OK; i++) {
        if (i > 0)
            puts(json ? "," : "");
        status = print_job_run(runs.paths[i], json);
    }
    if (status == HR_OK && json && runs.n > 1)
        puts("]");
    hr_text_free(&says);
    hr_job_runs_free(&runs);
    return status;
}

/* A folder wins over a job of that number. */
static hr_status print_status(const status_options *options)
{
    hr_job_id id;

    if (hr_job_id_scan(options->path, &id) && access(options->path, F_OK) != 0)
        return print_job(&id, options->json);
    return print_run(options->path, options->json);
}

int hr_cmd_status(int argc, char **argv)
{
    static const struct argp_option option_list[] = {
        {"json", 'j', 0, 0, "print JSON (docs/run-folder.md)", 0},
        {0},
    };
    static const struct argp argp = {
        option_list,
        parse_option,
        "RUN\nJOBID",
        "Says how far a render is, from the status.json in its run folder RUN, from any "
        "machine that sees it. JOBID is that of a job of haloreel submit: 12, or 12_3 "
        "for "
        "a task of an array.\v"
        "Exit codes: 0 said, whatever the state; 2 usage, or RUN has no status.json.",
        NULL,
        NULL,
        NULL};
    status_options options = {0};

    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return HR_EXIT_USAGE;
    return hr_exit_code(print_status(&options));
}
