#include "io/status_file.h"

#include "base/text.h"
#include "io/json.h"
#include "io/out_file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

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

static hr_status add_seconds(hr_text *out, const char *name, double value, int is_known)
{
    if (!is_known || !isfinite(value))
        return hr_text_printf(out, "  \"%s\": null,\n", name);
    return hr_text_printf(out, "  \"%s\": %.3f,\n", name, value);
}

static hr_status add_time(hr_text *out, const char *name, time_t value)
{
    struct tm utc;
    char stamp[32];

    if (gmtime_r(&value, &utc) == NULL ||
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return add_string(out, name, NULL);
    return add_string(out, name, stamp);
}

static hr_status add_fields(const hr_run_status *status, hr_text *out)
{
    static const char *const states[] = {
        [HR_RUN_RUNNING] = "running",
        [HR_RUN_DONE] = "done",
        [HR_RUN_STOPPED] = "stopped",
        [HR_RUN_FAILED] = "failed",
    };
    char host[256] = "";

    gethostname(host, sizeof host - 1); /* stays empty when it fails */
    HR_TRY(add_string(out, "state", states[status->state]));
    HR_TRY(add_string(out, "stage", status->stage));
    HR_TRY(add_whole(out, "step", status->step));
    HR_TRY(add_whole(out, "steps", status->steps));
    HR_TRY(add_whole(out, "frame", status->frame));
    HR_TRY(add_whole(out, "frames", status->frames));
    HR_TRY(
        add_seconds(out, "step_seconds", status->step_seconds, status->step_seconds > 0));
    HR_TRY(
        add_seconds(out, "eta_seconds", status->eta_seconds, status->eta_seconds >= 0));
    HR_TRY(add_time(out, "started", status->started));
    HR_TRY(add_time(out, "updated", time(NULL)));
    HR_TRY(add_string(out, "result", status->result));
    HR_TRY(add_string(out, "error", status->error));
    HR_TRY(add_string(out, "host", host));
    return hr_text_printf(out, "  \"pid\": %ld\n", (long)getpid());
}

hr_status hr_status_file_write(const char *path, const hr_run_status *status)
{
    hr_text text = {0};
    hr_status result = hr_text_add(&text, "{\n");

    if (result == HR_OK)
        result = add_fields(status, &text);
    if (result == HR_OK)
        result = hr_text_add(&text, "}\n");
    if (result == HR_OK)
        result = hr_out_file_save(path, text.s, text.length);
    hr_text_free(&text);
    return result;
}
