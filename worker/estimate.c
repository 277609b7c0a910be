#include "worker/estimate.h"

#include "base/memory.h"

/* The host side of a render, counted by what the dry run itself allocates. */
typedef struct host_use {
    size_t before, peak;
} host_use;

static void watch(void *user, const hr_progress *progress)
{
    host_use *use = user;
    size_t now = hr_mem_live_bytes();

    (void)progress;
    if (now > use->before && now - use->before > use->peak)
        use->peak = now - use->before;
}

hr_status hr_estimate_render(const hr_worker_options *options, const hr_render *render,
                             hr_estimate *out)
{
    host_use use = {.before = hr_mem_live_bytes()};
    const hr_worker_hooks hooks = {.on_progress = watch, .user = &use};
    const hr_device_options dry_options = {.name = "dry"};
    hr_group alone = hr_group_alone();
    hr_worker_options dry = *options;
    hr_render quiet = *render;
    hr_worker *worker = NULL;
    hr_device *device = NULL;
    hr_device_stats stats;
    hr_status status;

    quiet.hooks = &hooks;
    HR_TRY(hr_device_open(&dry_options, &device));
    dry.device = device;
    HR_TRY_GOTO(hr_worker_open(&alone, &dry, &worker), done);
    HR_TRY_GOTO(hr_worker_render(worker, &quiet, NULL), done);
    stats = hr_device_get_stats(device);
    *out = (hr_estimate){
        .device_bytes = stats.peak_bytes, .host_bytes = use.peak, .flops = stats.flops};
done:
    hr_worker_close(worker);
    hr_device_close(device);
    return status;
}
