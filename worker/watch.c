#include "worker/watch.h"

#include "base/clock.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Times the work of the median rank from which a rank is called slow. */
static const double slow_factor = 1.25;

struct hr_watch {
    const hr_run *run;
    hr_stage_clock *clock;
    bool is_first_rank; /* which alone shows anything */
    int64_t units_done; /* of this rank */
    double began, waited_before;
    double *work; /* of each rank, for the median; on rank 0 */
};

hr_status hr_watch_open(const hr_run *run, hr_stage_clock *clock, hr_watch **out)
{
    const hr_figures now = hr_figures_now(run->worker);
    size_t n_ranks = (size_t)hr_group_size(run->worker->group);
    hr_watch *watch;
    void *memory, *work;

    HR_TRY(hr_alloc_or_fail(sizeof *watch, "the watch", &memory));
    watch = memory;
    *watch = (hr_watch){.run = run,
                        .clock = clock,
                        .is_first_rank = hr_group_rank(run->worker->group) == 0,
                        .began = hr_clock_seconds(),
                        .waited_before = hr_figures_wait_seconds(&now)};
    if (hr_alloc_or_fail(n_ranks * sizeof *watch->work, "times of ranks", &work) !=
        HR_OK) {
        hr_free(watch);
        return HR_ERR_NOMEM;
    }
    watch->work = work;
    *out = watch;
    return HR_OK;
}

void hr_watch_close(hr_watch *watch)
{
    if (watch == NULL)
        return;
    hr_free(watch->work);
    hr_free(watch);
}

static hr_report report_now(const hr_watch *watch)
{
    const hr_figures now = hr_figures_now(watch->run->worker);
    hr_report report = {.units_done = watch->units_done,
                        .wait_seconds =
                            hr_figures_wait_seconds(&now) - watch->waited_before};

    report.work_seconds = hr_clock_seconds() - watch->began - report.wait_seconds;
    return report;
}

static void tell(const hr_watch *watch, const hr_unit *unit)
{
    hr_report report = report_now(watch);

    report.step = unit->step;
    snprintf(report.phase, sizeof report.phase, "denoise step %d window %" PRId64,
             unit->step + 1, unit->window + 1);
    hr_world_report(watch->run->worker->world, &report);
}

hr_status hr_watch_begin(hr_watch *watch, const hr_unit *unit)
{
    HR_TRY(hr_stage_next(watch->clock));
    tell(watch, unit);
    return HR_OK;
}

/* What the rank told last; of rank 0 what is true now. */
static bool report_of(const hr_watch *watch, int rank, hr_report *out)
{
    double age;

    if (rank > 0)
        return hr_world_latest_report(watch->run->worker->world, rank, out, &age);
    *out = report_now(watch);
    return true;
}

/* A unit is done when the last stage has done it. */
static int64_t units_of_all(const hr_watch *watch)
{
    const hr_layout *layout = &watch->run->schedule.layout;
    hr_place place = {.stage = layout->stages - 1};
    hr_report report;
    int64_t n = 0;

    for (place.windows = 0; place.windows < layout->windows; place.windows++)
        for (place.cfg = 0; place.cfg < layout->cfg; place.cfg++)
            if (report_of(watch, hr_layout_rank(layout, &place), &report))
                n += report.units_done;
    return n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The rank that worked longest for as many units, if it stands out. */
static void find_slowest(const hr_watch *watch, hr_progress *progress)
{
    int n = hr_layout_size(&watch->run->schedule.layout);
    double most = 0, median;
    hr_report report;

    for (int rank = 0; rank < n; rank++) {
        if (!report_of(watch, rank, &report) || report.units_done == 0)
            return;
        watch->work[rank] = report.work_seconds / (double)report.units_done;
        if (watch->work[rank] > most) {
            most = watch->work[rank];
            progress->slowest_rank = rank;
        }
    }
    qsort(watch->work, (size_t)n, sizeof *watch->work, compare);
    median = watch->work[n / 2];
    progress->slowest_factor = median > 0 ? most / median : 1;
    if (n < 2 || progress->slowest_factor < slow_factor)
        progress->slowest_rank = -1;
}

static void show(const hr_watch *watch)
{
    const hr_schedule *s = &watch->run->schedule;
    hr_progress progress = {.n_units = hr_schedule_n_units(s),
                            .units_done = units_of_all(watch),
                            .slowest_rank = -1};
    int64_t left = progress.units_done / s->n_branches;

    while (progress.done < s->n_steps &&
           left >= hr_windows_count(&s->windows, (int)progress.done))
        left -= hr_windows_count(&s->windows, (int)progress.done++);
    if (progress.done < s->n_steps) {
        progress.n_windows = hr_windows_count(&s->windows, (int)progress.done);
        progress.windows_done = left;
    }
    find_slowest(watch, &progress);
    hr_stage_show(watch->clock, &progress);
}

hr_status hr_watch_done(hr_watch *watch)
{
    watch->units_done++;
    if (!watch->is_first_rank)
        return HR_OK;
    show(watch);
    return hr_world_check_silence(watch->run->worker->world);
}

void hr_watch_end(hr_watch *watch)
{
    hr_report report = report_now(watch);

    report.step = watch->run->schedule.n_steps;
    snprintf(report.phase, sizeof report.phase, "denoise: done");
    hr_world_report(watch->run->worker->world, &report);
}
