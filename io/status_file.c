#include "io/status_file.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/out_file.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 1 << 20, HOST_BYTES = 256 };

static const char *const states[] = {
    [HR_RUN_RUNNING] = "running",
    [HR_RUN_DONE] = "done",
    [HR_RUN_STOPPED] = "stopped",
    [HR_RUN_FAILED] = "failed",
};
enum { N_STATES = sizeof states / sizeof states[0] };

static const char time_format[] = "%Y-%m-%dT%H:%M:%SZ";

static hr_status add_string(hr_text *out, const char *name, const char *value)
{
    HR_TRY(hr_text_printf(out, "  \"%s\": ", name));
    HR_TRY(hr_json_add_string(out, value));
    return hr_text_add(out, ",\n");
}

static hr_status add_whole(hr_text *out, const char *name, int64_t value)
{
    return hr_text_printf(out, "  \"%s\": %" PRId64 ",\n", name, value);
}

static hr_status add_number(hr_text *out, const char *name, double value, bool is_known)
{
    if (!is_known || !isfinite(value))
        return hr_text_printf(out, "  \"%s\": null,\n", name);
    return hr_text_printf(out, "  \"%s\": %.3f,\n", name, value);
}

static hr_status add_time(hr_text *out, const char *name, time_t value)
{
    struct tm utc;
    char stamp[32];

    if (value == 0 || gmtime_r(&value, &utc) == NULL ||
        strftime(stamp, sizeof stamp, time_format, &utc) == 0)
        return add_string(out, name, NULL);
    return add_string(out, name, stamp);
}

static hr_status add_hosts(hr_text *out, const hr_run_status *status)
{
    HR_TRY(hr_text_add(out, "  \"hosts\": ["));
    for (int i = 0; i < status->n_hosts; i++) {
        HR_TRY(hr_text_add(out, i > 0 ? ", " : ""));
        HR_TRY(hr_json_add_string(out, status->hosts[i]));
    }
    return hr_text_add(out, "],\n");
}

static hr_status add_progress(const hr_run_status *status, hr_text *out)
{
    HR_TRY(add_string(out, "state", states[status->state]));
    HR_TRY(add_string(out, "stage", status->stage));
    HR_TRY(add_whole(out, "step", status->step));
    HR_TRY(add_whole(out, "steps", status->steps));
    HR_TRY(add_whole(out, "window", status->window));
    HR_TRY(add_whole(out, "windows", status->windows));
    HR_TRY(add_whole(out, "unit", status->unit));
    HR_TRY(add_whole(out, "units", status->units));
    HR_TRY(add_whole(out, "frame", status->frame));
    HR_TRY(add_whole(out, "frames", status->frames));
    HR_TRY(
        add_number(out, "step_seconds", status->step_seconds, status->step_seconds > 0));
    return add_number(out, "eta_seconds", status->eta_seconds, status->eta_seconds >= 0);
}

static hr_status add_ranks(const hr_run_status *status, hr_text *out)
{
    bool has_slowest = status->slowest_host != NULL;

    HR_TRY(add_whole(out, "ranks", status->n_ranks > 0 ? status->n_ranks : 1));
    HR_TRY(add_string(out, "layout", status->layout));
    HR_TRY(add_hosts(out, status));
    if (has_slowest)
        HR_TRY(add_whole(out, "slowest_rank", status->slowest_rank));
    else
        HR_TRY(add_string(out, "slowest_rank", NULL));
    HR_TRY(add_string(out, "slowest_host", status->slowest_host));
    return add_number(out, "slowest_factor", status->slowest_factor, has_slowest);
}

hr_status hr_run_report_format(const hr_run_report *report, hr_text *out)
{
    const hr_run_status *status = &report->status;

    HR_TRY(add_progress(status, out));
    HR_TRY(add_ranks(status, out));
    HR_TRY(add_time(out, "started", status->started));
    HR_TRY(add_time(out, "updated", report->updated));
    HR_TRY(add_time(out, "ends", status->ends));
    HR_TRY(add_string(out, "checkpoint", status->checkpoint));
    HR_TRY(add_time(out, "checkpointed", status->checkpointed));
    HR_TRY(add_string(out, "output", status->output));
    HR_TRY(add_string(out, "result", status->result));
    HR_TRY(add_string(out, "error", status->error));
    HR_TRY(add_string(out, "host", report->host));
    return hr_text_printf(out, "  \"pid\": %" PRId64 "\n", report->pid);
}

hr_status hr_status_file_write(const char *path, const hr_run_status *status)
{
    char host[HOST_BYTES] = "";
    const hr_run_report report = {
        .status = *status, .updated = time(NULL), .host = host, .pid = getpid()};
    hr_text text = {0};
    hr_status result = hr_text_add(&text, "{\n");

    gethostname(host, sizeof host - 1); /* stays empty when it fails */
    if (result == HR_OK)
        result = hr_run_report_format(&report, &text);
    if (result == HR_OK)
        result = hr_text_add(&text, "}\n");
    if (result == HR_OK)
        result = hr_out_file_save(path, text.s, text.length);
    hr_text_free(&text);
    return result;
}

static hr_status read_state(const hr_json *json, hr_run_state *out)
{
    const char *found = NULL;

    HR_TRY(hr_json_read_string(json, hr_json_root(json), "state", &found));
    for (int i = 0; found != NULL && i < N_STATES; i++)
        if (strcmp(found, states[i]) == 0) {
            *out = (hr_run_state)i;
            return HR_OK;
        }
    return hr_fail(HR_ERR_FORMAT,
                   "%s: state: found %.60s, expected running, done, "
                   "stopped or failed",
                   hr_json_name(json), found != NULL ? found : "none");
}

/* An absent time stays 0. */
static hr_status read_time(const hr_json *json, const char *name, time_t *out)
{
    const char *found = NULL, *end;
    struct tm utc = {0};

    HR_TRY(hr_json_read_string(json, hr_json_root(json), name, &found));
    if (found == NULL)
        return HR_OK;
    end = strptime(found, time_format, &utc);
    if (end == NULL || *end != '\0')
        return hr_fail(HR_ERR_FORMAT,
                       "%s: %s: found %.60s, expected a time as 2026-01-31T12:00:00Z",
                       hr_json_name(json), name, found);
    *out = timegm(&utc);
    return HR_OK;
}

static hr_status read_int(const hr_json *json, const char *name, int *out)
{
    int64_t value = *out;

    HR_TRY(hr_json_read_i64(json, hr_json_root(json), name, 0, INT_MAX, &value));
    *out = (int)value;
    return HR_OK;
}

static hr_status read_hosts(const hr_json *json, hr_run_report *report)
{
    const hr_json_node *list = hr_json_get(hr_json_root(json), "hosts");
    size_t n = hr_json_is_array(list) ? hr_json_size(list) : 0;
    void *memory;

    HR_TRY(hr_alloc_or_fail(n * sizeof *report->hosts, "names of hosts", &memory));
    report->hosts = memory;
    report->status.hosts = report->hosts;
    if (n == 0)
        return HR_OK;
    for (const hr_json_node *x = hr_json_first(list); x != NULL; x = hr_json_next(x)) {
        if (hr_json_string(x) == NULL)
            return hr_fail(HR_ERR_FORMAT, "%s: hosts[%d]: not a string",
                           hr_json_name(json), report->status.n_hosts);
        report->hosts[report->status.n_hosts++] = hr_json_string(x);
    }
    return HR_OK;
}

static hr_status read_counts(const hr_json *json, hr_run_status *status)
{
    const struct {
        const char *name;
        int64_t *value;
    } counts[] = {
        {"step", &status->step},     {"steps", &status->steps},
        {"window", &status->window}, {"windows", &status->windows},
        {"unit", &status->unit},     {"units", &status->units},
        {"frame", &status->frame},   {"frames", &status->frames},
    };

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        HR_TRY(hr_json_read_i64(json, hr_json_root(json), counts[i].name, 0, INT64_MAX,
                                counts[i].value));
    return HR_OK;
}

static hr_status read_report(const hr_json *json, hr_run_report *report)
{
    hr_run_status *status = &report->status;
    const hr_json_node *root = hr_json_root(json);

    status->eta_seconds = -1;
    HR_TRY(read_state(json, &status->state));
    HR_TRY(read_counts(json, status));
    HR_TRY(hr_json_read_string(json, root, "stage", &status->stage));
    HR_TRY(hr_json_read_f64(json, root, "step_seconds", &status->step_seconds));
    HR_TRY(hr_json_read_f64(json, root, "eta_seconds", &status->eta_seconds));
    HR_TRY(read_int(json, "ranks", &status->n_ranks));
    HR_TRY(hr_json_read_string(json, root, "layout", &status->layout));
    HR_TRY(read_hosts(json, report));
    HR_TRY(read_int(json, "slowest_rank", &status->slowest_rank));
    HR_TRY(hr_json_read_string(json, root, "slowest_host", &status->slowest_host));
    HR_TRY(hr_json_read_f64(json, root, "slowest_factor", &status->slowest_factor));
    HR_TRY(read_time(json, "started", &status->started));
    HR_TRY(read_time(json, "updated", &report->updated));
    HR_TRY(read_time(json, "ends", &status->ends));
    HR_TRY(hr_json_read_string(json, root, "checkpoint", &status->checkpoint));
    HR_TRY(read_time(json, "checkpointed", &status->checkpointed));
    HR_TRY(hr_json_read_string(json, root, "output", &status->output));
    HR_TRY(hr_json_read_string(json, root, "result", &status->result));
    HR_TRY(hr_json_read_string(json, root, "error", &status->error));
    HR_TRY(hr_json_read_string(json, root, "host", &report->host));
    return hr_json_read_i64(json, root, "pid", 0, INT_MAX, &report->pid);
}

hr_status hr_status_file_read(const char *path, hr_run_report *out)
{
    hr_run_report report = {0};
    hr_status status;

    HR_TRY(hr_json_open(path, MAX_FILE_BYTES, &report.document));
    status = read_report(report.document, &report);
    if (status != HR_OK) {
        hr_run_report_free(&report);
        return status;
    }
    *out = report;
    return HR_OK;
}

void hr_run_report_free(hr_run_report *report)
{
    hr_json_close(report->document);
    hr_free(report->hosts);
    *report = (hr_run_report){0};
}
