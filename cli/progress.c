#include "cli/progress.h"

#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINE_EVERY_SECONDS = 15, STATUS_EVERY_SECONDS = 1, LINE_BYTES = 200 };

static const char *unit_name(hr_stage stage)
{
    static const char *const units[HR_STAGE_COUNT] = {[HR_STAGE_TEXT] = "text",
                                                      [HR_STAGE_DENOISE] = "step",
                                                      [HR_STAGE_DECODE] = "frame"};

    return units[stage];
}

/* "0:07", "12:34", "3:05:00" */
static void format_duration(double seconds, char out[24])
{
    long s = seconds < 0 ? 0 : (long)(seconds + 0.5);

    if (s >= 3600)
        snprintf(out, 24, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 24, "%ld:%02ld", s / 60, s % 60);
}

static double seconds_each(const hr_progress *p)
{
    return p->done > 0 ? p->work_seconds / (double)p->done : 0;
}

static void format_line(const hr_show_progress *show, const hr_progress *p,
                        char line[LINE_BYTES])
{
    const char *label = show->label != NULL ? show->label : "";
    char eta[24];
    int at = snprintf(line, LINE_BYTES, "%s%s%s  %s %" PRId64 "/%" PRId64, label,
                      *label != '\0' ? "  " : "", hr_stage_name(p->stage),
                      unit_name(p->stage), p->done, p->total);

    if (p->done == 0 || p->stage == HR_STAGE_TEXT || at < 0 || at >= LINE_BYTES)
        return;
    if (p->done == p->total) {
        snprintf(line + at, LINE_BYTES - (size_t)at, "  %.3g s/%s", seconds_each(p),
                 unit_name(p->stage));
        return;
    }
    format_duration(seconds_each(p) * (double)(p->total - p->done), eta);
    snprintf(line + at, LINE_BYTES - (size_t)at, "  %.3g s/%s  ETA %s", seconds_each(p),
             unit_name(p->stage), eta);
}

/* Not being able to write status.json is said once and stops nothing: the video matters.
 */
static void write_status(hr_show_progress *show)
{
    if (show->status_path != NULL &&
        hr_status_file_write(show->status_path, &show->status) != HR_OK)
        show->status_path = NULL;
}

static void update_status(hr_show_progress *show, const hr_progress *p)
{
    hr_run_status *status = &show->status;

    status->stage = hr_stage_name(p->stage);
    status->eta_seconds =
        p->done > 0 ? seconds_each(p) * (double)(p->total - p->done) : -1;
    if (p->stage == HR_STAGE_DENOISE) {
        status->step = p->done;
        status->step_seconds = seconds_each(p);
    } else if (p->stage == HR_STAGE_DECODE) {
        status->frame = p->done;
    }
}

/* Where a step takes too long to wait for, the process ends in it. */
static void write_stopped(void *user)
{
    hr_show_progress *show = user;

    show->status.state = HR_RUN_STOPPED;
    show->status.eta_seconds = -1;
    write_status(show);
}

hr_status hr_show_progress_begin(hr_show_progress *show, const hr_plan *plan)
{
    show->status = (hr_run_status){.state = HR_RUN_RUNNING,
                                   .steps = plan->n_steps,
                                   .frames = plan->frames,
                                   .eta_seconds = -1,
                                   .started = time(NULL)};
    show->last_line = hr_clock_seconds();
    HR_TRY(hr_status_file_write(show->status_path, &show->status));
    hr_signals_set_last_words(write_stopped, show);
    return HR_OK;
}

void hr_show_progress_update(void *user, const hr_progress *progress)
{
    hr_show_progress *show = user;
    double now = hr_clock_seconds();
    char line[LINE_BYTES];

    update_status(show, progress);
    if (now - show->last_status >= STATUS_EVERY_SECONDS) {
        show->last_status = now;
        write_status(show);
    }
    format_line(show, progress, line);
    hr_log_progress(progress->done < progress->total ? line : NULL);
    if (hr_log_is_terminal() || progress->done == 0 || progress->stage == HR_STAGE_TEXT)
        return;
    if (now - show->last_line >= LINE_EVERY_SECONDS ||
        progress->done == progress->total) {
        show->last_line = now;
        hr_info("%s", line);
    }
}

hr_status hr_show_progress_end(hr_show_progress *show, hr_status status,
                               const char *result)
{
    static const hr_run_state states[2] = {HR_RUN_FAILED, HR_RUN_STOPPED};

    hr_log_progress(NULL);
    hr_signals_set_last_words(NULL, NULL);
    show->status.state =
        status == HR_OK ? HR_RUN_DONE : states[status == HR_ERR_CANCELLED];
    show->status.result = status == HR_OK ? result : NULL;
    show->status.error =
        status == HR_OK || status == HR_ERR_CANCELLED ? NULL : hr_status_name(status);
    show->status.eta_seconds = status == HR_OK ? 0 : -1;
    write_status(show);
    return status;
}
