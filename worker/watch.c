#include "worker/watch.h"

#include "base/clock.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Times the work of the median rank from which a rank is called slow. */
static const double slow_factor = 1.25;

enum { N_LATE = 8 }; /* rounds among which the longest is looked for */

struct hr_watch {
    const hr_run *run;
    hr_stage_clock *clock;
    bool is_first_rank;   /* which alone shows anything */
    int64_t units_before; /* of all ranks, before they went on */
    int64_t units_done;   /* of this rank */
    double began, waited_before;
    double *work;            /* of each rank, for the median; on rank 0 */
    int64_t *windows_before; /* [steps + 1], windows of all steps before */

    int64_t n_rounds; /* of this rank */
    double rounds_seconds, late[N_LATE];
    double round_began, saved, save_seconds; /* when; how long the last one took */
    int steps_saved;
};

static void sum_windows(const hr_schedule *s, int64_t *before)
{
    for (int step = 0; step < s->n_steps; step++)
        before[step + 1] = before[step] + hr_windows_count(&s->windows, step);
}

hr_status hr_watch_open(const hr_run *run, hr_stage_clock *clock, hr_watch **out)
{
    const hr_figures now = hr_figures_now(run->worker);
    size_t n_ranks = (size_t)hr_group_size(run->worker->group);
    size_t n_steps = (size_t)run->schedule.n_steps;
    hr_watch *watch;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *watch, "the watch", &memory));
    watch = memory;
    *watch = (hr_watch){.run = run,
                        .clock = clock,
                        .is_first_rank = hr_group_rank(run->worker->group) == 0,
                        .began = hr_clock_seconds(),
                        .waited_before = hr_figures_wait_seconds(&now)};
    HR_TRY_GOTO(
        hr_alloc_or_fail(n_ranks * sizeof *watch->work, "times of ranks", &memory), fail);
    watch->work = memory;
    HR_TRY_GOTO(hr_alloc_or_fail((n_steps + 1) * sizeof *watch->windows_before,
                                 "windows of steps", &memory),
                fail);
    watch->windows_before = memory;
    sum_windows(&run->schedule, watch->windows_before);
    *out = watch;
    return HR_OK;
fail:
    hr_watch_close(watch);
    return status;
}

void hr_watch_close(hr_watch *watch)
{
    if (watch == NULL)
        return;
    hr_free(watch->work);
    hr_free(watch->windows_before);
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

void hr_watch_begin(hr_watch *watch, const hr_unit *unit)
{
    tell(watch, unit);
}

/* What the rank told last of this denoising; of rank 0 what is true now. */
static bool report_of(const hr_watch *watch, int rank, hr_report *out)
{
    double age;

    if (rank > 0)
        return hr_world_latest_report(watch->run->worker->world, rank, out, &age) &&
               hr_clock_seconds() - age > watch->began;
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

int64_t hr_watch_units(const hr_watch *watch)
{
    return units_of_all(watch);
}

/* Whole steps that so many units are, and windows of the next one. */
static int count_steps(const hr_watch *watch, int64_t units, int64_t *windows)
{
    const hr_schedule *s = &watch->run->schedule;
    int64_t n = units / s->n_branches;
    int step = 0, last = s->n_steps;

    while (step < last) { /* the last step that begins by then */
        int middle = (step + last + 1) / 2;

        if (watch->windows_before[middle] <= n)
            step = middle;
        else
            last = middle - 1;
    }
    *windows = n - watch->windows_before[step];
    return step;
}

static int steps_of_all(const hr_watch *watch)
{
    int64_t windows;

    return count_steps(watch, watch->units_before + units_of_all(watch), &windows);
}

void hr_watch_start(hr_watch *watch, int64_t units_before)
{
    double now = hr_clock_seconds();
    int64_t windows;

    watch->units_before = units_before;
    watch->round_began = watch->saved = now;
    hr_stage_work(watch->clock);
    if (watch->is_first_rank)
        watch->steps_saved = count_steps(watch, units_before, &windows);
}

static void show(const hr_watch *watch)
{
    const hr_schedule *s = &watch->run->schedule;
    hr_progress progress = {.n_units = watch->windows_before[s->n_steps] * s->n_branches,
                            .units_before = watch->units_before,
                            .slowest_rank = -1};
    int64_t windows;

    progress.units_done = watch->units_before + units_of_all(watch);
    progress.done = count_steps(watch, progress.units_done, &windows);
    if (progress.done < s->n_steps) {
        progress.n_windows = hr_windows_count(&s->windows, (int)progress.done);
        progress.windows_done = windows;
    }
    find_slowest(watch, &progress);
    hr_stage_show(watch->clock, &progress);
}

/* A round goes through the stages one after the other, while this one is at the next. */
static void note_round(hr_watch *watch)
{
    const hr_schedule *s = &watch->run->schedule;
    double now = hr_clock_seconds(), seconds = now - watch->round_began;
    int n_units = s->n_branches / s->layout.cfg;

    if (n_units < 1)
        n_units = 1;
    seconds *= (double)(n_units + s->layout.stages - 1) / n_units;
    watch->late[watch->n_rounds++ % N_LATE] = seconds;
    watch->rounds_seconds += seconds;
    watch->round_began = now;
}

hr_status hr_watch_done(hr_watch *watch, const hr_unit *unit)
{
    const hr_schedule *s = &watch->run->schedule;

    watch->units_done++;
    if (!watch->is_first_rank)
        return HR_OK;
    if (unit->branch + s->layout.cfg >= s->n_branches)
        note_round(watch);
    show(watch);
    return hr_world_check_silence(watch->run->worker->world);
}

void hr_watch_pace(const hr_watch *watch, hr_pace *out)
{
    *out = (hr_pace){.steps_done = steps_of_all(watch),
                     .save_seconds = watch->save_seconds,
                     .since_save_seconds = hr_clock_seconds() - watch->saved};
    out->steps_since_save = out->steps_done - watch->steps_saved;
    if (watch->n_rounds > 0)
        out->round_seconds = watch->rounds_seconds / (double)watch->n_rounds;
    for (int i = 0; i < N_LATE; i++)
        if (watch->late[i] > out->late_round_seconds)
            out->late_round_seconds = watch->late[i];
}

static void tell_phase(const hr_watch *watch, const char *phase)
{
    hr_report report = report_now(watch);

    report.step = watch->run->schedule.n_steps;
    snprintf(report.phase, sizeof report.phase, "denoise: %s", phase);
    hr_world_report(watch->run->worker->world, &report);
}

void hr_watch_meet(hr_watch *watch)
{
    tell_phase(watch, "checkpoint");
}

void hr_watch_met(hr_watch *watch, double save_seconds)
{
    watch->round_began = hr_clock_seconds();
    if (save_seconds <= 0)
        return;
    watch->save_seconds = save_seconds;
    watch->saved = watch->round_began;
    if (watch->is_first_rank)
        watch->steps_saved = steps_of_all(watch);
}

void hr_watch_end(hr_watch *watch)
{
    tell_phase(watch, "done");
}
