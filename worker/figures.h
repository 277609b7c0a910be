/* Inside worker/ only: what this rank has computed and sent, as numbers. Local. */
#ifndef HR_WORKER_FIGURES_H
#define HR_WORKER_FIGURES_H

#include "comm/world.h"

typedef struct hr_worker hr_worker;

typedef struct hr_figures {
    double flops;
    hr_traffic_stats traffic;
} hr_figures;

/* Since the start of the process, what a dry run skips included. */
hr_figures hr_figures_now(const hr_worker *worker);
hr_figures hr_figures_since(const hr_worker *worker, const hr_figures *before);
void hr_figures_add(hr_figures *sum, const hr_figures *more);
/* Of all purposes together. */
double hr_figures_wait_seconds(const hr_figures *figures);

#endif
