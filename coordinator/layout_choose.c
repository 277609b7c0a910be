#include "coordinator/layout.h"

#include "base/log.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* What is aimed at: two tensor ranks 1.5 times as fast as one, two stages 1.9 times. */
#define TENSOR_GAIN 0.6 /* t ranks: t to this power */
#define STAGE_COST 1.06 /* handing hidden states on */

typedef enum axis { WINDOWS = 0, STAGES, TENSOR, CFG, N_AXES } axis;

static const char *const axis_names[N_AXES] = {"windows", "stages", "tensor", "cfg"};

static int *part_of(hr_layout *layout, axis which)
{
    int *const parts[N_AXES] = {&layout->windows, &layout->stages, &layout->tensor,
                                &layout->cfg};

    return parts[which];
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

/* Of the largest stage, in layers. */
static int64_t stage_layers(const hr_layout_request *r, int stages)
{
    return (r->n_layers + stages - 1) / stages;
}

/* Time of a step in forwards of the whole model. A group does its share of the windows
 * one after the other; but a step takes at least as long as the next one has to wait: a
 * window and its neighbour, all branches, through all stages (docs/long-video.md).
 * Between one and two windows a group, those that have two are waited for. */
static double step_time(const hr_layout_request *r, const hr_layout *l)
{
    double branches = (double)r->n_branches / l->cfg;
    double share = most(1, (double)r->n_windows / l->windows);
    double effective = share < 2 && share > 1 ? (share + 2) / 2 : share;
    double wait = (share < 2 ? effective : 2) * branches + l->stages - 1;

    return most(effective * branches, wait) * (l->stages > 1 ? STAGE_COST : 1) *
           (double)stage_layers(r, l->stages) / (double)r->n_layers /
           pow(l->tensor, TENSOR_GAIN);
}

static uint64_t memory_of(const hr_layout_request *r, const hr_layout *l)
{
    double part = (double)stage_layers(r, l->stages) / (double)r->n_layers / l->tensor;

    return (uint64_t)((double)r->weight_bytes * part) + r->activation_bytes;
}

/* Each tensor group in one host, or over whole hosts where asked to. */
static bool is_on_hosts(const hr_layout_request *r, const hr_layout *l)
{
    int per_host = r->ranks_per_host;

    if (per_host <= 0 || per_host >= r->n_ranks)
        return true;
    if (l->tensor > per_host)
        return r->wanted.tensor != 0 && l->tensor % per_host == 0;
    return per_host % l->tensor == 0 ||
           hr_layout_size(l) <= per_host / l->tensor * l->tensor;
}

static bool is_possible(const hr_layout_request *r, const hr_layout *l)
{
    return hr_layout_size(l) <= r->n_ranks && is_on_hosts(r, l) &&
           (r->rank_memory == 0 || memory_of(r, l) <= r->rank_memory);
}

/* On equal times: windows, then cfg, then few stages, then little tensor. */
static bool is_better(const hr_layout_request *r, const hr_layout *a, const hr_layout *b)
{
    double ta = step_time(r, a), tb = step_time(r, b);

    if (fabs(ta - tb) > 1e-9 * tb)
        return ta < tb;
    if (a->windows != b->windows)
        return a->windows > b->windows;
    if (a->cfg != b->cfg)
        return a->cfg > b->cfg;
    return a->stages != b->stages ? a->stages < b->stages : a->tensor < b->tensor;
}

/* With the window groups that are wanted, or as many as there are ranks and work for. */
static void try_layout(const hr_layout_request *r, hr_layout l, hr_layout *best)
{
    int64_t room = r->n_ranks / ((int64_t)l.stages * l.tensor * l.cfg);

    if (room == 0 || r->wanted.windows > room)
        return;
    l.windows = r->wanted.windows;
    if (l.windows == 0)
        l.windows = (int)(room < r->n_windows ? room : r->n_windows);
    if (is_possible(r, &l) && (best->windows == 0 || is_better(r, &l, best)))
        *best = l;
}

static bool is_wanted(int wanted, int value)
{
    return wanted == 0 || wanted == value;
}

/* The best of all layouts; false when none works. */
static bool search_layouts(const hr_layout_request *r, hr_layout *out)
{
    hr_layout best = {0};

    for (int t = 1; t <= r->n_shards; t++) {
        if (r->n_shards % t != 0 || !is_wanted(r->wanted.tensor, t))
            continue;
        for (int c = 1; c <= r->n_branches; c++) {
            if (r->n_branches % c != 0 || !is_wanted(r->wanted.cfg, c))
                continue;
            for (int s = 1; s <= r->n_layers && s <= r->n_ranks; s++)
                if (is_wanted(r->wanted.stages, s))
                    try_layout(r, (hr_layout){0, s, t, c}, &best);
        }
    }
    *out = best;
    return best.windows > 0;
}

bool hr_layout_find(const hr_layout_request *request, hr_layout *out, double *efficiency)
{
    const hr_layout one = {1, 1, 1, 1};

    *efficiency = 0;
    if (!search_layouts(request, out))
        return false;
    *efficiency = step_time(request, &one) / (step_time(request, out) * request->n_ranks);
    return true;
}

/* Appends "tensor 2 (6 of 7 ranks)" when the request works with another value there. */
static bool offer(const hr_layout_request *r, axis which, int value, hr_text *out)
{
    hr_layout_request other = *r;
    hr_layout found;

    *part_of(&other.wanted, which) = value;
    if (!search_layouts(&other, &found))
        return false;
    return hr_text_printf(out, "%s%s %d (%d of %d ranks)", out->length > 0 ? " or " : "",
                          axis_names[which], value, hr_layout_size(&found),
                          r->n_ranks) == HR_OK;
}

/* The nearest smaller and the nearest larger value that work. */
static void offer_axis(const hr_layout_request *r, axis which, hr_text *out)
{
    hr_layout wanted = r->wanted;
    int value = *part_of(&wanted, which), below = value - 1, above = value + 1;

    while (below >= 1 && !offer(r, which, below, out))
        below--;
    while (value > 0 && above <= r->n_ranks && !offer(r, which, above, out))
        above++;
}

/* Fewer on one axis that is fixed, the others as they are. */
static void offer_fewer(const hr_layout_request *r, hr_text *out)
{
    hr_layout wanted = r->wanted;
    int value, n_offers = 0;

    for (unsigned i = 0; i < N_AXES && n_offers < 2; i++) {
        value = *part_of(&wanted, (axis)i) - 1;
        while (value >= 1 && !offer(r, (axis)i, value, out))
            value--;
        n_offers += value >= 1;
    }
}

/* Logs "layout: WHAT; nearest: ...". Where nothing near works: the best there is. */
static hr_status refuse(const hr_layout_request *r, hr_status status, const char *what,
                        hr_text *near)
{
    hr_layout_request any = *r;
    hr_layout best;
    char text[96];

    any.wanted = (hr_layout){0};
    if (near->length > 0)
        status = hr_fail(status, "layout: %s; nearest: %s", what, near->s);
    else if (search_layouts(&any, &best))
        status = hr_fail(status, "layout: %s; what works: %s (%d of %d ranks)", what,
                         hr_layout_text(&best, text), hr_layout_size(&best), r->n_ranks);
    else
        status = hr_fail(status, "layout: %s", what);
    hr_text_free(near);
    return status;
}

/* The fewest ranks that hold the weights, or 0. */
static int64_t ranks_for_memory(const hr_layout_request *r)
{
    int64_t least = 0, n;
    hr_layout l = {1, 1, 1, 1};

    for (l.tensor = 1; l.tensor <= r->n_shards; l.tensor *= 2)
        for (l.stages = 1; l.stages <= r->n_layers; l.stages++) {
            n = hr_layout_size(&l);
            if (memory_of(r, &l) <= r->rank_memory && (least == 0 || n < least))
                least = n;
        }
    return least;
}

static hr_status refuse_memory(const hr_layout_request *r)
{
    hr_layout_request roomy = *r;
    hr_layout l = {1, 1, 1, 1};
    int64_t n = ranks_for_memory(r);
    hr_text near = {0};
    char what[200], least[64], need[16], there[16];

    roomy.rank_memory = 0;
    search_layouts(&roomy, &l);
    if (r->wanted.stages > 0)
        offer_axis(r, STAGES, &near);
    if (r->wanted.tensor > 0 && near.length == 0)
        offer_axis(r, TENSOR, &near);
    snprintf(least, sizeof least, "; it takes %" PRId64 " ranks at least", n);
    snprintf(what, sizeof what, "the model needs %s of each rank, there are %s%s",
             hr_format_bytes(memory_of(r, &l), need),
             hr_format_bytes(r->rank_memory, there), n > r->n_ranks ? least : "");
    return refuse(r, HR_ERR_NOMEM, what, &near);
}

/* What a key asks for and the model does not have. */
static hr_status check_parts(const hr_layout_request *r)
{
    const hr_layout *w = &r->wanted;
    hr_text near = {0};
    char what[200];
    axis which = N_AXES;

    if (w->tensor > 0 && r->n_shards % w->tensor != 0) {
        which = TENSOR;
        snprintf(what, sizeof what, "%d tensor ranks do not divide %d shards", w->tensor,
                 r->n_shards);
    } else if (w->stages > r->n_layers) {
        which = STAGES;
        snprintf(what, sizeof what, "%d stages for %" PRId64 " layers", w->stages,
                 r->n_layers);
    } else if (w->cfg > r->n_branches) {
        which = CFG;
        snprintf(what, sizeof what, "cfg %d without guidance", w->cfg);
    }
    if (which == N_AXES)
        return HR_OK;
    offer_axis(r, which, &near);
    return refuse(r, HR_ERR_ARG, what, &near);
}

static int or_one(int wanted)
{
    return wanted > 0 ? wanted : 1;
}

hr_status hr_layout_choose(const hr_layout_request *request, hr_layout *out)
{
    hr_layout_request roomy = *request;
    hr_layout l = request->wanted, found;
    hr_text near = {0};
    char what[200], text[96];

    HR_TRY(check_parts(request));
    if (search_layouts(request, &found)) {
        *out = found;
        return HR_OK;
    }
    l = (hr_layout){or_one(l.windows), or_one(l.stages), or_one(l.tensor), or_one(l.cfg)};
    if (hr_layout_size(&l) > request->n_ranks) {
        offer_fewer(request, &near);
        snprintf(what, sizeof what, "%s need %d ranks, there %s %d",
                 hr_layout_text(&l, text), hr_layout_size(&l),
                 request->n_ranks == 1 ? "is" : "are", request->n_ranks);
        return refuse(request, HR_ERR_ARG, what, &near);
    }
    roomy.rank_memory = 0;
    if (search_layouts(&roomy, &found))
        return refuse_memory(request);
    offer_axis(request, TENSOR, &near);
    snprintf(what, sizeof what, "groups of %d tensor ranks do not fit hosts of %d ranks",
             l.tensor, request->ranks_per_host);
    return refuse(request, HR_ERR_ARG, what, &near);
}
