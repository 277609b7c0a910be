#include "cli/progress.h"

#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LINE_EVERY_SECONDS = 15,
    STATUS_EVERY_SECONDS = 1,
    STATUS_AGAIN_SECONDS = 60,
    LINE_BYTES = 200
};

#define LEAST_FACTOR 1.2 /* of a rank that is worth a word */

static const char *unit_name(hr_stage stage)
{
    static const char *const units[HR_STAGE_COUNT] = {[HR_STAGE_TEXT] = "text",
                                                      [HR_STAGE_DENOISE] = "step",
                                                      [HR_STAGE_DECODE] = "frame"};

    return units[stage];
}

/* Whole steps or frames, counted by their units where these are known. */
static double parts_done(const hr_progress *p)
{
    if (p->n_units > 0)
        return (double)p->units_done / (double)p->n_units * (double)p->total;
    return (double)p->done;
}

/* Of this run: an earlier one may have done some. 0 before a whole one is done: windows
 * on their way would count for nothing. */
static double seconds_each(const hr_show_progress *show, const hr_progress *p)
{
    double done = parts_done(p) - show->before[p->stage] * (double)p->total;

    return done >= 1 || (done > 0 && p->done == p->total) ? p->work_seconds / done : 0;
}

/* Negative when unknown. */
static double seconds_left(const hr_show_progress *show, const hr_progress *p)
{
    double each = seconds_each(show, p);

    return each > 0 ? each * ((double)p->total - parts_done(p)) : -1;
}

static void remember_before(hr_show_progress *show, const hr_progress *p)
{
    if (p->units_before > 0 && p->n_units > 0)
        show->before[p->stage] = (double)p->units_before / (double)p->n_units;
}

/* Appends to the line; what is too much is cut. */
static void add(char line[LINE_BYTES], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add(char line[LINE_BYTES], const char *format, ...)
{
    size_t at = strlen(line);
    va_list args;

    va_start(args, format);
    vsnprintf(line + at, LINE_BYTES - at, format, args);
    va_end(args);
}

static void add_slowest(const hr_show_progress *show, const hr_progress *p,
                        char line[LINE_BYTES])
{
    char name[HR_RANK_TEXT_BYTES];

    if (p->slowest_rank >= 0 && p->slowest_factor >= LEAST_FACTOR)
        add(line, "  slowest %s %.1fx", hr_ranks_name(show->ranks, p->slowest_rank, name),
            p->slowest_factor);
}

static void format_line(const hr_show_progress *show, const hr_progress *p,
                        char line[LINE_BYTES])
{
    const char *unit = unit_name(p->stage);
    char eta[24];

    line[0] = '\0';
    if (show->label != NULL)
        add(line, "%s  ", show->label);
    add(line, "%s  %s %" PRId64 "/%" PRId64, hr_stage_name(p->stage), unit, p->done,
        p->total);
    if (p->n_windows > 1 && p->done < p->total)
        add(line, "  window %" PRId64 "/%" PRId64, p->windows_done, p->n_windows);
    if (p->stage == HR_STAGE_TEXT || seconds_each(show, p) <= 0)
        return;
    add(line, "  %.3g s/%s", seconds_each(show, p), unit);
    if (p->done < p->total)
        add(line, "  ETA %s", hr_format_duration(seconds_left(show, p), eta));
    add_slowest(show, p, line);
}

/* Not being able to write status.json stops nothing: the video matters. It is tried
 * again, but not each time, as each is said. */
static void write_status(hr_show_progress *show)
{
    double pause = STATUS_EVERY_SECONDS;

    if (hr_status_file_write(show->status_path, &show->status) != HR_OK)
        pause = STATUS_AGAIN_SECONDS;
    show->next_status = hr_clock_seconds() + pause;
}

static void update_status(hr_show_progress *show, const hr_progress *p)
{
    hr_run_status *status = &show->status;

    status->stage = hr_stage_name(p->stage);
    status->window = p->windows_done;
    status->windows = p->n_windows;
    status->unit = p->units_done;
    status->units = p->n_units;
    status->eta_seconds = seconds_left(show, p);
    status->slowest_host = NULL;
    if (p->slowest_rank >= 0 && p->slowest_factor >= LEAST_FACTOR) {
        status->slowest_rank = p->slowest_rank;
        status->slowest_factor = p->slowest_factor;
        status->slowest_host =
            hr_world_rank_info(show->ranks->world, p->slowest_rank)->host;
    }
    if (p->stage == HR_STAGE_DENOISE) {
        status->step = p->done;
        status->step_seconds = seconds_each(show, p);
    } else if (p->stage == HR_STAGE_DECODE) {
        status->frame = p->done;
    }
}

/* What the log says of the failure, or at least its kind. `said` outlives the status. */
static const char *explain(hr_status why, char said[HR_LOG_LINE_BYTES])
{
    if (why == HR_OK || why == HR_ERR_CANCELLED)
        return NULL;
    return hr_log_last_failure(said)[0] != '\0' ? said : hr_status_name(why);
}

void hr_show_progress_stopped(const hr_show_progress *show, bool is_saved)
{
    int n = (int)(strrchr(show->status_path, '/') - show->status_path);

    if (show->again != NULL)
        hr_warn("stopped; to go on with the batch: %s", show->again);
    else if (!is_saved)
        hr_warn("stopped; nothing was saved yet");
    else if (show->label == NULL)
        hr_warn("stopped; to go on: haloreel resume %.*s", n, show->status_path);
    else
        hr_warn("stopped; to go on with this video: haloreel resume %.*s (the seeds of "
                "the others were drawn, and would be drawn anew)",
                n, show->status_path);
}

/* Where a step takes too long to wait for, the process ends in it. */
static void write_last(void *user, hr_status why)
{
    hr_show_progress *show = user;
    char said[HR_LOG_LINE_BYTES];

    show->status.state = why == HR_ERR_CANCELLED ? HR_RUN_STOPPED : HR_RUN_FAILED;
    show->status.error = explain(why, said);
    show->status.eta_seconds = -1;
    write_status(show);
    if (why == HR_ERR_CANCELLED)
        hr_lock_drop(show->lock);
    if (why == HR_ERR_CANCELLED &&
        (show->again != NULL || show->status.checkpoint != NULL))
        hr_show_progress_stopped(show, true);
}

static hr_status name_hosts(hr_show_progress *show)
{
    const hr_world *world = show->ranks->world;
    int n = hr_world_n_hosts(world);
    void *memory;

    HR_TRY(
        hr_alloc_or_fail((size_t)n * sizeof *show->hosts, "the names of hosts", &memory));
    show->hosts = memory;
    for (int r = show->ranks->n - 1; r >= 0; r--) {
        const hr_rank_info *info = hr_world_rank_info(world, r);

        show->hosts[info->host_index] = info->host;
    }
    show->status.hosts = show->hosts;
    show->status.n_hosts = n;
    return HR_OK;
}

hr_status hr_show_progress_begin(hr_show_progress *show, const hr_plan *plan,
                                 const hr_layout *layout)
{
    hr_status status;

    show->status = (hr_run_status){.state = HR_RUN_RUNNING,
                                   .steps = plan->n_steps,
                                   .frames = plan->frames,
                                   .eta_seconds = -1,
                                   .n_ranks = show->ranks->n,
                                   .layout = hr_layout_text(layout, show->layout),
                                   .output = show->output,
                                   .started = time(NULL)};
    if (show->ends > 0)
        show->status.ends = time(NULL) + (time_t)(show->ends - hr_clock_seconds());
    show->last_line = hr_clock_seconds();
    show->has_begun = true;
    HR_TRY(name_hosts(show));
    status = hr_status_file_write(show->status_path, &show->status);
    if (status != HR_OK) { /* the end would fail at it and say it again */
        hr_free(show->hosts);
        show->hosts = NULL;
        show->has_begun = false;
        return status;
    }
    hr_signals_set_last_words(write_last, show);
    return HR_OK;
}

void hr_show_progress_update(void *user, const hr_progress *progress)
{
    hr_show_progress *show = user;
    bool is_done = progress->done == progress->total;
    double now = hr_clock_seconds();
    char line[LINE_BYTES];

    remember_before(show, progress);
    update_status(show, progress);
    if (now >= show->next_status)
        write_status(show);
    format_line(show, progress, line);
    hr_log_progress(is_done ? NULL : line);
    if (hr_log_is_terminal() || seconds_each(show, progress) <= 0 ||
        progress->stage == HR_STAGE_TEXT || show->has_ended[progress->stage])
        return;
    if (now - show->last_line >= LINE_EVERY_SECONDS || is_done) {
        show->last_line = now;
        show->has_ended[progress->stage] = is_done;
        hr_info("%s", line);
    }
}

void hr_show_progress_saved(hr_show_progress *show, const char *path)
{
    char *copy = hr_strdup(path);
    struct stat info;

    if (copy == NULL)
        return; /* only the status does not tell */
    show->status.checkpoint = copy;
    hr_free(show->checkpoints[1]);
    show->checkpoints[1] = show->checkpoints[0];
    show->checkpoints[0] = copy;
    show->status.checkpointed = stat(path, &info) == 0 ? info.st_mtime : time(NULL);
    if (hr_clock_seconds() >= show->next_status - STATUS_EVERY_SECONDS)
        write_status(show);
}

hr_status hr_show_progress_end(hr_show_progress *show, hr_status status,
                               const char *result)
{
    static const hr_run_state states[2] = {HR_RUN_FAILED, HR_RUN_STOPPED};
    char said[HR_LOG_LINE_BYTES];

    hr_log_progress(NULL);
    hr_signals_set_last_words(NULL, NULL);
    show->status.state = status == HR_OK && !show->is_part
                             ? HR_RUN_DONE
                             : states[status == HR_OK || status == HR_ERR_CANCELLED];
    show->status.result = status == HR_OK && !show->is_part ? result : NULL;
    show->status.error =
        show->status.state == HR_RUN_STOPPED ? show->reason : explain(status, said);
    show->status.eta_seconds = status == HR_OK ? 0 : -1;
    write_status(show);
    show->status.error = NULL; /* `said` ends here */
    hr_free(show->hosts);
    show->hosts = NULL;
    show->status.checkpoint = NULL;
    for (int i = 0; i < 2; i++) {
        hr_free(show->checkpoints[i]);
        show->checkpoints[i] = NULL;
    }
    return status;
}
