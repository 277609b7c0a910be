#include "cli/outlook.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "model/transformer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LOOK_AT_ALL = 16 }; /* ranks */

/* With what the program holds already: the model's headers, the tokenizer. */
static hr_status estimate(const hr_outlook_args *args, const hr_outlook *outlook,
                          int rank, hr_estimate *out)
{
    hr_estimate_options options = {.worker = args->worker,
                                   .rank = rank,
                                   .n_ranks = outlook->n_ranks,
                                   .ranks_per_host = outlook->ranks_per_host};
    uint64_t held = hr_mem_live_bytes();

    options.worker.layout = outlook->layout;
    HR_TRY(hr_estimate_render(&options, args->render, out));
    out->host_bytes += held;
    return HR_OK;
}

/* What one rank by itself would hold: a step is enough to see it. */
static hr_status weigh(const hr_outlook_args *args, hr_layout_request *request)
{
    const hr_outlook alone = {.layout = {1, 1, 1, 1}, .n_ranks = 1, .ranks_per_host = 1};
    hr_outlook_args step = *args;
    hr_render render = *args->render;
    hr_estimate need;

    if (args->n_ranks == 1)
        return HR_OK;
    render.stop_after_step = 1;
    step.render = &render;
    HR_TRY(estimate(&step, &alone, 0, &need));
    request->weight_bytes = need.weight_bytes;
    request->activation_bytes = hr_estimate_bytes(&need) - need.weight_bytes;
    return HR_OK;
}

static hr_status make_request(const hr_outlook_args *args, int64_t n_windows,
                              hr_layout_request *out)
{
    const hr_transformer_config *config =
        &hr_model_get_config(args->worker.model)->transformer;
    const hr_job *job = args->render->job;

    *out = (hr_layout_request){
        .wanted = {.windows = (int)job->layout_windows,
                   .stages = (int)job->layout_stages,
                   .tensor = (int)job->layout_tensor,
                   .cfg = (int)job->layout_cfg},
        .n_ranks = args->n_ranks,
        .ranks_per_host = args->ranks_per_host,
        .n_windows = n_windows,
        .n_layers = config->n_layers,
        .n_shards = hr_transformer_n_shards(config),
        .n_branches = hr_plan_n_branches(args->render->plan),
        .rank_memory = args->machine->least_memory,
    };
    return weigh(args, out);
}

hr_status hr_outlook_choose(const hr_outlook_args *args, hr_outlook *out)
{
    hr_outlook outlook = {.plan = args->render->plan,
                          .n_ranks = args->n_ranks,
                          .ranks_per_host = args->ranks_per_host};
    hr_layout_request request;

    hr_plan_count_windows(outlook.plan, &outlook.fewest_windows, &outlook.most_windows);
    HR_TRY(make_request(args, outlook.fewest_windows, &request));
    HR_TRY(hr_layout_choose(&request, &outlook.layout));
    outlook.n_layers = request.n_layers;
    outlook.n_hosts = (args->n_ranks + args->ranks_per_host - 1) / args->ranks_per_host;
    *out = outlook;
    return HR_OK;
}

hr_status hr_outlook_try(const hr_outlook_args *args, double *efficiency)
{
    hr_layout_request request;
    hr_layout layout;
    int64_t fewest, most;

    hr_plan_count_windows(args->render->plan, &fewest, &most);
    HR_TRY(make_request(args, fewest, &request));
    hr_layout_find(&request, &layout, efficiency);
    return HR_OK;
}

static hr_status make_room(hr_outlook *outlook, int n)
{
    void *memory;

    HR_TRY(hr_alloc_or_fail((size_t)n * sizeof(int), "a list of ranks", &memory));
    outlook->ranks = memory;
    HR_TRY(hr_alloc_or_fail((size_t)n * sizeof(hr_estimate), "estimates", &memory));
    outlook->estimates = memory;
    HR_TRY(hr_alloc_or_fail((size_t)n * sizeof(int), "a list of ranks", &memory));
    outlook->stands_for = memory;
    HR_TRY(hr_alloc_or_fail((size_t)n * sizeof(double), "a list of ranks", &memory));
    outlook->share = memory;
    outlook->n_estimates = n;
    return HR_OK;
}

hr_status hr_outlook_share(const hr_ranks *ranks, const hr_outlook_args *args,
                           hr_outlook *outlook)
{
    hr_estimate mine = {0};
    void *all;
    hr_status status = make_room(outlook, ranks->n);

    outlook->n_hosts = hr_world_n_hosts(ranks->world);
    if (status == HR_OK)
        status = estimate(args, outlook, ranks->rank, &mine);
    HR_TRY(hr_ranks_collect(ranks, status, &mine, sizeof mine, &all));
    hr_free(outlook->estimates);
    outlook->estimates = all;
    for (int r = 0; r < ranks->n; r++) {
        outlook->ranks[r] = r;
        outlook->stands_for[r] = 1;
        outlook->share[r] = 1;
    }
    return HR_OK;
}

/* 0, 1 and the last are looked at; those between are like 1. */
static int like_group(int index, int n)
{
    return index > 1 && index < n - 1 ? 1 : index;
}

static int64_t layers_of(const hr_outlook *outlook, int stage)
{
    int n = outlook->layout.stages;

    return outlook->n_layers * (stage + 1) / n - outlook->n_layers * stage / n;
}

/* The first stage between the ends that has as many layers. */
static int like_stage(const hr_outlook *outlook, int stage)
{
    int like_it = 1;

    if (stage == 0 || stage == outlook->layout.stages - 1)
        return stage;
    while (layers_of(outlook, like_it) != layers_of(outlook, stage))
        like_it++;
    return like_it;
}

/* The rank that is looked at for this one. */
static int representative(const hr_outlook *outlook, int rank)
{
    const hr_layout *layout = &outlook->layout;
    hr_place place = hr_layout_place(layout, rank);

    if (outlook->n_ranks <= LOOK_AT_ALL)
        return rank;
    if (place.is_idle)
        return hr_layout_size(layout);
    place.windows = like_group(place.windows, layout->windows);
    place.stage = like_stage(outlook, place.stage);
    place.tensor = place.tensor > 1 ? 1 : place.tensor;
    return hr_layout_rank(layout, &place);
}

/* Windows of all steps. */
static int64_t windows_of(const hr_outlook *outlook, int rank)
{
    const hr_schedule schedule = hr_plan_schedule(outlook->plan, &outlook->layout);
    int group = hr_layout_place(&outlook->layout, rank).windows;
    int64_t sum = 0;

    for (int step = 0; step < schedule.n_steps; step++)
        sum += hr_schedule_windows(&schedule, step, group).n;
    return sum;
}

hr_status hr_outlook_look(const hr_outlook_args *args, hr_outlook *outlook)
{
    int n = 0, at;
    int64_t own;

    HR_TRY(make_room(outlook, args->n_ranks));
    for (int r = 0; r < args->n_ranks; r++) {
        int seen = representative(outlook, r);

        for (at = 0; at < n && outlook->ranks[at] != seen;)
            at++;
        if (at == n) {
            outlook->ranks[n] = seen;
            HR_TRY(estimate(args, outlook, seen, &outlook->estimates[n++]));
        }
        own = windows_of(outlook, seen);
        outlook->stands_for[at]++;
        outlook->share[at] += own > 0 ? (double)windows_of(outlook, r) / (double)own : 1;
    }
    outlook->n_estimates = n;
    return HR_OK;
}

void hr_outlook_free(hr_outlook *outlook)
{
    hr_free(outlook->ranks);
    hr_free(outlook->estimates);
    hr_free(outlook->stands_for);
    hr_free(outlook->share);
    *outlook = (hr_outlook){0};
}

int hr_outlook_largest(const hr_outlook *outlook)
{
    int largest = 0;

    for (int i = 1; i < outlook->n_estimates; i++)
        if (hr_estimate_bytes(&outlook->estimates[i]) >
            hr_estimate_bytes(&outlook->estimates[largest]))
            largest = i;
    return largest;
}

hr_traffic_stats hr_outlook_sum(const hr_traffic_stats stages[HR_STAGE_COUNT])
{
    hr_traffic_stats sum = {0};

    for (int s = 0; s < HR_STAGE_COUNT; s++)
        for (int k = 0; k < HR_TRAFFIC_COUNT; k++) {
            sum.bytes[k] += stages[s].bytes[k];
            sum.messages[k] += stages[s].messages[k];
            sum.bytes_between_hosts[k] += stages[s].bytes_between_hosts[k];
            sum.wait_seconds[k] += stages[s].wait_seconds[k];
        }
    return sum;
}

double hr_outlook_flops(const hr_outlook *outlook, hr_stage stage)
{
    double sum = 0;

    for (int i = 0; i < outlook->n_estimates; i++)
        sum += outlook->estimates[i].stage_flops[stage] *
               (stage == HR_STAGE_DENOISE ? outlook->share[i] : outlook->stands_for[i]);
    return sum;
}

hr_step_traffic hr_outlook_traffic(const hr_outlook *outlook)
{
    hr_step_traffic sum = {0};

    for (int i = 0; i < outlook->n_estimates; i++) {
        const hr_traffic_stats *t =
            &outlook->estimates[i].stage_traffic[HR_STAGE_DENOISE];
        double share = outlook->share[i] / outlook->plan->n_steps;

        for (int k = 0; k < HR_TRAFFIC_COUNT; k++) {
            sum.bytes[k] += (double)t->bytes[k] * share;
            sum.bytes_between_hosts[k] += (double)t->bytes_between_hosts[k] * share;
        }
    }
    return sum;
}

hr_status hr_outlook_simulate(const hr_outlook *outlook, hr_schedule_result *out)
{
    const hr_schedule schedule = hr_plan_schedule(outlook->plan, &outlook->layout);

    return hr_schedule_simulate(&schedule, &(hr_schedule_times){.unit_seconds = 1}, out);
}

/* "halo 1.2 MB, stage 3.0 MB" */
static void format_traffic(const double bytes[HR_TRAFFIC_COUNT], char *out, size_t room)
{
    size_t at = 0;
    char size[16];

    snprintf(out, room, "nothing");
    for (int k = 0; k < HR_TRAFFIC_COUNT && at < room; k++)
        if (bytes[k] >= 1)
            at += (size_t)snprintf(out + at, room - at, "%s%s %s", at > 0 ? ", " : "",
                                   hr_traffic_name((hr_traffic)k),
                                   hr_format_bytes((uint64_t)bytes[k], size));
}

static void log_windows(const hr_outlook *outlook)
{
    const hr_windows *w = &outlook->plan->windows;

    if (outlook->most_windows == 1)
        return;
    hr_info("%" PRId64 " latent frames in %" PRId64 "-%" PRId64
            " windows a step, %" PRId64 " frames each, overlap %" PRId64,
            w->n_frames, outlook->fewest_windows, outlook->most_windows, w->length,
            w->overlap);
}

static void log_idle(const hr_outlook *outlook, const hr_ranks *ranks)
{
    int first = hr_layout_size(&outlook->layout);
    char layout[HR_LAYOUT_TEXT_BYTES], host[HR_RANK_TEXT_BYTES];

    if (first >= ranks->n)
        return;
    hr_layout_text(&outlook->layout, layout);
    hr_ranks_name(ranks, first, host);
    if (first + 1 == ranks->n)
        hr_warn("%s is idle: layout %s", host, layout);
    else
        hr_warn("%s and the ranks after it, to %d, are idle: layout %s", host,
                ranks->n - 1, layout);
}

void hr_outlook_log(const hr_outlook *outlook, const hr_ranks *ranks)
{
    hr_step_traffic traffic = hr_outlook_traffic(outlook);
    char layout[HR_LAYOUT_TEXT_BYTES], within[160], between[160];
    hr_schedule_result played;

    log_windows(outlook);
    if (ranks->n == 1)
        return;
    log_idle(outlook, ranks);
    format_traffic(traffic.bytes, within, sizeof within);
    format_traffic(traffic.bytes_between_hosts, between, sizeof between);
    hr_info("layout %s on %d ranks of %d host%s; sent in a step: %s%s%s",
            hr_layout_text(&outlook->layout, layout), ranks->n, outlook->n_hosts,
            outlook->n_hosts > 1 ? "s" : "", within,
            outlook->n_hosts > 1 ? "; between hosts: " : "",
            outlook->n_hosts > 1 ? between : "");
    if (hr_outlook_simulate(outlook, &played) == HR_OK && played.utilisation < 0.9995)
        hr_info("ranks at work %.1f %% of the denoising; filling and draining take the "
                "rest",
                100 * played.utilisation);
}
