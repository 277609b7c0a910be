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

bool hr_schedule_next(const hr_schedule *s, const hr_place *place, hr_unit *unit)
{
    hr_range mine;
    hr_unit next = *unit;

    if (place->is_idle || place->cfg >= s->n_branches)
        return false;
    if (next.step < 0) {
        next = (hr_unit){0, place->cfg, -1};
    } else if (next.branch + s->layout.cfg < s->n_branches) {
        unit->branch += s->layout.cfg;
        return true;
    }
    for (; next.step < s->n_steps; next.step++, next.window = -1) {
        mine = hr_schedule_windows(s, next.step, place->windows);
        next.window = next.window < mine.first ? mine.first : next.window + 1;
        if (next.window >= mine.first + mine.n)
            continue;
        next.branch = place->cfg;
        *unit = next;
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
