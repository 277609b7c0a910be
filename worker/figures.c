#include "worker/figures.h"

#include "worker/parts.h"

void hr_figures_add(hr_figures *sum, const hr_figures *more)
{
    sum->flops += more->flops;
    for (int i = 0; i < HR_TRAFFIC_COUNT; i++) {
        sum->traffic.bytes[i] += more->traffic.bytes[i];
        sum->traffic.messages[i] += more->traffic.messages[i];
        sum->traffic.bytes_between_hosts[i] += more->traffic.bytes_between_hosts[i];
        sum->traffic.wait_seconds[i] += more->traffic.wait_seconds[i];
    }
}

hr_figures hr_figures_now(const hr_worker *worker)
{
    hr_figures now = {.flops = hr_device_get_stats(worker->device).flops,
                      .traffic = hr_world_traffic(worker->world)};

    hr_figures_add(&now, &worker->skipped);
    return now;
}

hr_figures hr_figures_since(const hr_worker *worker, const hr_figures *before)
{
    hr_figures now = hr_figures_now(worker);

    now.flops -= before->flops;
    for (int i = 0; i < HR_TRAFFIC_COUNT; i++) {
        now.traffic.bytes[i] -= before->traffic.bytes[i];
        now.traffic.messages[i] -= before->traffic.messages[i];
        now.traffic.bytes_between_hosts[i] -= before->traffic.bytes_between_hosts[i];
        now.traffic.wait_seconds[i] -= before->traffic.wait_seconds[i];
    }
    return now;
}

double hr_figures_wait_seconds(const hr_figures *figures)
{
    double sum = 0;

    for (int i = 0; i < HR_TRAFFIC_COUNT; i++)
        sum += figures->traffic.wait_seconds[i];
    return sum;
}
