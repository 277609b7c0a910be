/* What a render will take on some ranks: layout, and of each rank memory, work and
 * traffic. Local to cli/. */
#ifndef HR_CLI_OUTLOOK_H
#define HR_CLI_OUTLOOK_H

#include "cli/machine.h"
#include "worker/estimate.h"

typedef struct hr_outlook {
    const hr_plan *plan; /* borrowed */
    hr_layout layout;
    int n_ranks, ranks_per_host, n_hosts;
    int64_t fewest_windows, most_windows; /* of any step */
    int64_t n_layers;                     /* of the transformer */
    int n_estimates;                      /* ranks looked at, in ascending order */
    int *ranks;                           /* [n_estimates] */
    hr_estimate *estimates;               /* [n_estimates] */
    int *stands_for; /* [n_estimates]: how many ranks are like it, itself included */
    double *share;   /* [n_estimates]: their denoising over its own */
} hr_outlook;

/* What is looked at: the worker's options but for its layout, one video, and ranks. */
typedef struct hr_outlook_args {
    hr_worker_options worker;
    const hr_render *render;
    const hr_machine *machine;
    int n_ranks, ranks_per_host;
} hr_outlook_args;

/* Local, the same on all ranks: chooses the layout, or refuses it. No estimates yet. */
hr_status hr_outlook_choose(const hr_outlook_args *args, hr_outlook *out);
/* Local: whether there is a layout at all, without a word when there is none, and how
 * well it uses its ranks (hr_layout_find): 1 at best, 0 when there is none. */
hr_status hr_outlook_try(const hr_outlook_args *args, double *efficiency);
/* Collective: each rank looks at itself. */
hr_status hr_outlook_share(const hr_ranks *ranks, const hr_outlook_args *args,
                           hr_outlook *outlook);
/* Local: looks at all ranks, or where they are many at enough of them to have seen the
 * largest of each kind. */
hr_status hr_outlook_look(const hr_outlook_args *args, hr_outlook *outlook);
/* Takes a zeroed one. */
void hr_outlook_free(hr_outlook *outlook);

/* What is sent while denoising, for people: the first kinds. */
enum { HR_DENOISE_TRAFFIC_COUNT = HR_TRAFFIC_ROWS };

/* Of all stages together. */
hr_traffic_stats hr_outlook_sum(const hr_traffic_stats stages[HR_STAGE_COUNT]);
/* FLOPs of all ranks in a stage. */
double hr_outlook_flops(const hr_outlook *outlook, hr_stage stage);

/* The index of the rank that needs most memory. */
int hr_outlook_largest(const hr_outlook *outlook);
/* Sent by all ranks in one step of denoising, on average. */
typedef struct hr_step_traffic {
    double bytes[HR_TRAFFIC_COUNT], bytes_between_hosts[HR_TRAFFIC_COUNT];
} hr_step_traffic;
hr_step_traffic hr_outlook_traffic(const hr_outlook *outlook);
/* Of denoising, played with units that take a second and messages that take none. */
hr_status hr_outlook_simulate(const hr_outlook *outlook, hr_schedule_result *out);

/* Logs what a user wants to know before a long job, in a few lines. */
void hr_outlook_log(const hr_outlook *outlook, const hr_ranks *ranks);

#endif
