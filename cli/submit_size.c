#include "cli/submit.h"

#include "base/log.h"
#include "cli/calibrate.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/machine.h"
#include "cli/outlook.h"
#include "cli/request.h"

#include <stdio.h>
#include <string.h>

enum { SINFO_SECONDS = 30, NODES_WITHOUT_SINFO = 16, MAX_NODES_CHOSEN = 64 };

/* No more nodes are taken than use so much of what they could do. */
#define LEAST_EFFICIENCY 0.7

/* Of a partition, as sinfo says; 0: unknown. */
typedef struct cluster {
    int n_nodes, cpus_per_node;
} cluster;

/* Lines "NODES CPUS", one for each kind of node: "4 64", "2 128+". */
static void read_kinds(const char *lines, cluster *out)
{
    int n, cpus;

    while (lines != NULL && sscanf(lines, "%d %d", &n, &cpus) == 2) {
        out->n_nodes += n;
        if (out->cpus_per_node == 0 || cpus < out->cpus_per_node)
            out->cpus_per_node = cpus;
        lines = strchr(lines, '\n');
        lines += lines != NULL;
    }
}

/* Zeros where there is no sinfo or it says nothing. */
static hr_status look(const hr_submit_options *options, cluster *out)
{
    const char *const any[] = {"sinfo", "--noheader", "--format=%D %c", NULL};
    const char *const one[] = {"sinfo",       "--noheader",       "--format=%D %c",
                               "--partition", options->partition, NULL};
    hr_text lines = {0};
    int code;
    hr_status status = hr_command_read(options->partition != NULL ? one : any,
                                       SINFO_SECONDS, &lines, NULL, &code);

    *out = (cluster){0};
    if (status == HR_OK && code == 0)
        read_kinds(lines.s, out);
    hr_text_free(&lines);
    return status;
}

/* Of nodes like this one; 0 when the job does not fit on so many. */
static hr_status try_nodes(const hr_outlook_args *args, int n_nodes, double *efficiency)
{
    hr_outlook_args tried = *args;

    tried.n_ranks = n_nodes * args->ranks_per_host;
    return hr_outlook_try(&tried, efficiency);
}

/* The fewest nodes that hold the model, and how well they are used. */
static hr_status find_fewest(const hr_outlook_args *args, int most, int *out,
                             double *efficiency)
{
    hr_outlook outlook = {0};
    hr_outlook_args all = *args;

    for (*out = 1; *out <= most; (*out)++) {
        HR_TRY(try_nodes(args, *out, efficiency));
        if (*efficiency > 0)
            return HR_OK;
    }
    all.n_ranks = most * args->ranks_per_host; /* says why */
    return hr_outlook_choose(&all, &outlook);
}

/* On nodes like this one. */
static hr_status forecast(const hr_outlook_args *args, double seconds[HR_STAGE_COUNT])
{
    hr_outlook outlook = {0};
    hr_schedule_result played;
    hr_speed speed;
    hr_status status = hr_outlook_choose(args, &outlook);

    if (status == HR_OK)
        status = hr_outlook_look(args, &outlook);
    if (status == HR_OK)
        status = hr_outlook_simulate(&outlook, &played);
    if (status == HR_OK)
        status = hr_speed_measure(&args->worker, args->render, &speed);
    if (status == HR_OK)
        hr_speed_seconds(&speed, &outlook, &played, seconds);
    hr_outlook_free(&outlook);
    return status;
}

/* The fewest that hold the model; with a time limit the fewest that keep to it, as long
 * as they are worth it. */
static hr_status search(const hr_outlook_args *args, double limit, int most, int *out)
{
    hr_outlook_args fewest = *args;
    double seconds[HR_STAGE_COUNT], efficiency, first, total;
    int n;

    HR_TRY(find_fewest(args, most, out, &first));
    if (limit <= 0)
        return HR_OK;
    fewest.n_ranks = *out * args->ranks_per_host;
    HR_TRY(forecast(&fewest, seconds));
    n = *out;
    for (int more = n; more <= most; more++) {
        double gain = (double)more / n;

        HR_TRY(try_nodes(args, more, &efficiency));
        if (more > n && efficiency < LEAST_EFFICIENCY)
            continue;
        *out = more;
        total = seconds[HR_STAGE_TEXT] + seconds[HR_STAGE_DECODE] / gain +
                seconds[HR_STAGE_DENOISE] * first / (gain * efficiency);
        if (total <= limit)
            break;
    }
    return HR_OK;
}

static hr_status plan_nodes(const hr_submit_options *options, const hr_job *job,
                            const hr_model *model, const hr_plan *plan, int most,
                            int *out)
{
    hr_machine machine;
    hr_device *device = NULL;
    hr_render render = hr_request_render(job, plan, job->prompt);
    hr_outlook_args args = {
        .worker = {.model = model, .numerics = hr_request_numerics(job)},
        .render = &render,
        .machine = &machine,
        .ranks_per_host = options->ranks_per_node};
    hr_status status = hr_machine_share(job, options->ranks_per_node, &machine);

    if (status == HR_OK)
        status = hr_machine_open_device(&machine, job, &device);
    args.worker.device = device;
    if (status == HR_OK)
        status = search(&args, options->time_seconds, most, out);
    hr_device_close(device);
    return status;
}

hr_status hr_submit_size_choose(const hr_submit_options *options, const hr_job *job,
                                const hr_model *model, const hr_plan *plan,
                                hr_submit_size *out)
{
    cluster there;
    hr_submit_size size = {.least_nodes = options->least_nodes,
                           .most_nodes = options->most_nodes,
                           .ranks_per_node = options->ranks_per_node,
                           .cpus_per_rank = options->cpus_per_rank};
    int most;

    HR_TRY(look(options, &there));
    if (size.least_nodes == 0) {
        most = there.n_nodes > 0 ? there.n_nodes : NODES_WITHOUT_SINFO;
        if (most > MAX_NODES_CHOSEN)
            most = MAX_NODES_CHOSEN;
        HR_TRY(plan_nodes(options, job, model, plan, most, &size.least_nodes));
        size.most_nodes = size.least_nodes;
    }
    if (size.cpus_per_rank == 0)
        size.cpus_per_rank = (int)job->threads;
    if (size.cpus_per_rank == 0)
        size.cpus_per_rank = there.cpus_per_node / size.ranks_per_node;
    *out = size;
    return HR_OK;
}
