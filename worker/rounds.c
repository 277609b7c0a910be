#include "worker/rounds.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct hr_rounds {
    const hr_schedule *schedule;
    int steps_before; /* all of whose rounds were done before */
    hr_round *before; /* those of later steps, ascending */
    int64_t n_before;
    int last_step_before;
    hr_unit *last; /* of each group */
};

hr_status hr_rounds_open(const hr_schedule *schedule, hr_rounds **out)
{
    size_t n_groups = (size_t)schedule->layout.windows;
    hr_rounds *rounds;
    void *memory, *last;

    HR_TRY(hr_alloc_or_fail(sizeof *rounds, "the rounds", &memory));
    rounds = memory;
    rounds->schedule = schedule;
    rounds->last_step_before = -1;
    if (hr_alloc_or_fail(n_groups * sizeof *rounds->last, "the rounds", &last) != HR_OK) {
        hr_free(rounds);
        return HR_ERR_NOMEM;
    }
    rounds->last = last;
    for (size_t i = 0; i < n_groups; i++)
        rounds->last[i].step = -1;
    *out = rounds;
    return HR_OK;
}

void hr_rounds_close(hr_rounds *rounds)
{
    if (rounds == NULL)
        return;
    hr_free(rounds->before);
    hr_free(rounds->last);
    hr_free(rounds);
}

static int compare(const void *a, const void *b)
{
    const hr_round *x = a, *y = b;

    if (x->step != y->step)
        return (x->step > y->step) - (x->step < y->step);
    return (x->window > y->window) - (x->window < y->window);
}

hr_status hr_rounds_begin(hr_rounds *rounds, int steps_done, const hr_round *list,
                          int64_t n)
{
    void *memory;

    rounds->steps_before = steps_done;
    rounds->last_step_before = steps_done - 1;
    if (n == 0)
        return HR_OK;
    HR_TRY(hr_alloc_or_fail((size_t)n * sizeof *list, "the rounds", &memory));
    rounds->before = memory;
    rounds->n_before = n;
    memcpy(rounds->before, list, (size_t)n * sizeof *list);
    qsort(rounds->before, (size_t)n, sizeof *list, compare);
    if (rounds->before[n - 1].step > rounds->last_step_before)
        rounds->last_step_before = rounds->before[n - 1].step;
    return HR_OK;
}

int64_t hr_rounds_of_steps(const hr_schedule *schedule, int n_steps)
{
    int64_t n = 0;

    for (int k = 0; k < n_steps; k++)
        n += hr_windows_count(&schedule->windows, k);
    return n;
}

int64_t hr_rounds_n_before(const hr_rounds *rounds)
{
    return hr_rounds_of_steps(rounds->schedule, rounds->steps_before) + rounds->n_before;
}

static bool was_done(const hr_rounds *rounds, int step, int64_t window)
{
    const hr_round key = {.step = step, .window = (int32_t)window};

    if (step < rounds->steps_before)
        return true;
    return rounds->n_before > 0 && bsearch(&key, rounds->before, (size_t)rounds->n_before,
                                           sizeof key, compare) != NULL;
}

bool hr_rounds_next(const hr_rounds *rounds, const hr_place *place, hr_unit *unit)
{
    while (hr_schedule_next(rounds->schedule, place, unit))
        if (!was_done(rounds, unit->step, unit->window))
            return true;
    return false;
}

void hr_rounds_note(hr_rounds *rounds, int group, const hr_unit *last)
{
    rounds->last[group] = *last;
}

const hr_unit *hr_rounds_last(const hr_rounds *rounds, int group)
{
    return &rounds->last[group];
}

bool hr_rounds_is_done(const hr_rounds *rounds, int step, int64_t window)
{
    int group = hr_schedule_group(rounds->schedule, step, window);
    const hr_unit *last = &rounds->last[group];

    if (step < last->step)
        return true;
    if (step == last->step &&
        (group % 2 == 0 ? window <= last->window : window >= last->window))
        return true; /* the order of hr_schedule_next */
    return was_done(rounds, step, window);
}

bool hr_rounds_is_read(const hr_rounds *rounds, int group, int64_t frame, int step)
{
    const hr_schedule *s = rounds->schedule;
    hr_range mine;

    if (step < rounds->last[group].step || step < rounds->steps_before)
        return false;
    mine = hr_range_cut(hr_schedule_windows(s, step, group),
                        hr_windows_seeing(&s->windows, step, frame));
    for (int64_t i = mine.first; i < mine.first + mine.n; i++)
        if (!hr_rounds_is_done(rounds, step, i))
            return true;
    return false;
}

int hr_rounds_reader(const hr_rounds *rounds, int64_t frame, int step)
{
    const hr_schedule *s = rounds->schedule;
    hr_range seeing = hr_windows_seeing(&s->windows, step, frame);

    for (int64_t i = seeing.first; i < seeing.first + seeing.n; i++)
        if (!hr_rounds_is_done(rounds, step, i))
            return hr_schedule_group(s, step, i);
    return -1;
}

/* The last step of which some round is done. */
static int last_step(const hr_rounds *rounds)
{
    int step = rounds->last_step_before;

    for (int g = 0; g < rounds->schedule->layout.windows; g++)
        if (rounds->last[g].step > step)
            step = rounds->last[g].step;
    return step;
}

/* Into `list`, or only counted where that is NULL. */
static int64_t list_done(const hr_rounds *rounds, int first_step, hr_round *list)
{
    int64_t n = 0;

    for (int k = first_step; k <= last_step(rounds); k++)
        for (int64_t i = 0; i < hr_windows_count(&rounds->schedule->windows, k); i++) {
            if (!hr_rounds_is_done(rounds, k, i))
                continue;
            if (list != NULL)
                list[n] = (hr_round){.step = k, .window = (int32_t)i};
            n++;
        }
    return n;
}

hr_status hr_rounds_list(const hr_rounds *rounds, int first_step, hr_round **out,
                         int64_t *n)
{
    void *memory;

    *n = list_done(rounds, first_step, NULL);
    HR_TRY(hr_alloc_or_fail((size_t)*n * sizeof **out, "the rounds", &memory));
    *out = memory;
    list_done(rounds, first_step, *out);
    return HR_OK;
}
