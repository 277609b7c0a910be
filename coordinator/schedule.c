#include "coordinator/schedule.h"

#include "base/assert.h"

/* n things among `groups`: group g has [bound(g), bound(g+1)). With a shift of 0 ..
 * groups-1 the larger shares lie elsewhere. */
static int64_t bound(int64_t n, int64_t groups, int64_t group, int64_t shift)
{
    return (n * group + shift) / groups;
}

static hr_range share(int64_t n, int64_t groups, int64_t group, int64_t shift)
{
    int64_t first = bound(n, groups, group, shift);

    return (hr_range){first, bound(n, groups, group + 1, shift) - first};
}

/* The only group whose share holds `i`. */
static int64_t holder(int64_t n, int64_t groups, int64_t i, int64_t shift)
{
    return ((i + 1) * groups - shift - 1) / n;
}

/* The odd windows go round the groups evenly over few steps. */
static int64_t shift_of(const hr_schedule *s, int step)
{
    return hr_windows_spread(step, s->layout.windows);
}

int hr_schedule_owner(const hr_schedule *s, int64_t frame)
{
    HR_ASSERT(frame >= 0 && frame < s->windows.n_frames);
    return (int)holder(s->windows.n_frames, s->layout.windows, frame, 0);
}

hr_range hr_schedule_owned(const hr_schedule *s, int group)
{
    HR_ASSERT(group >= 0 && group < s->layout.windows);
    return share(s->windows.n_frames, s->layout.windows, group, 0);
}

int hr_schedule_group(const hr_schedule *s, int step, int64_t window)
{
    int64_t n = hr_windows_count(&s->windows, step);

    HR_ASSERT(window >= 0 && window < n);
    return (int)holder(n, s->layout.windows, window, shift_of(s, step));
}

hr_range hr_schedule_windows(const hr_schedule *s, int step, int group)
{
    HR_ASSERT(group >= 0 && group < s->layout.windows);
    return share(hr_windows_count(&s->windows, step), s->layout.windows, group,
                 shift_of(s, step));
}

/* The i-th window that the group does in a step. Even groups ascend and odd ones descend:
 * so the windows on either side of a border between groups, which wait for each other,
 * come at the same time of a step. (All ascending, each group would run one pass through
 * the stages behind the group below it.) */
static int64_t window_at(hr_range mine, int group, int64_t i)
{
    return group % 2 == 0 ? mine.first + i : mine.first + mine.n - 1 - i;
}

bool hr_schedule_next(const hr_schedule *s, const hr_place *place, hr_unit *unit)
{
    hr_range mine;
    int64_t n_done = 0;
    int step = unit->step;

    if (place->is_idle || place->cfg >= s->n_branches)
        return false;
    if (step >= 0 && unit->branch + s->layout.cfg < s->n_branches) {
        unit->branch += s->layout.cfg;
        return true;
    }
    if (step >= 0) {
        mine = hr_schedule_windows(s, step, place->windows);
        n_done = place->windows % 2 == 0 ? unit->window - mine.first + 1
                                         : mine.first + mine.n - unit->window;
    }
    for (step = step < 0 ? 0 : step; step < s->n_steps; step++, n_done = 0) {
        mine = hr_schedule_windows(s, step, place->windows);
        if (n_done == mine.n)
            continue;
        *unit = (hr_unit){step, place->cfg, window_at(mine, place->windows, n_done)};
        return true;
    }
    return false;
}

int64_t hr_schedule_n_units(const hr_schedule *s)
{
    int64_t n = 0;

    for (int k = 0; k < s->n_steps; k++)
        n += hr_windows_count(&s->windows, k);
    return n * s->n_branches;
}
