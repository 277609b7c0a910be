#include "worker/estimate.h"

#include "base/memory.h"

/* The host side of a render, counted by what the dry run itself allocates. */
typedef struct host_use {
    size_t before, peak;
} host_use;

/* Asked on every rank before each unit and frame. */
static hr_wish watch(void *user, const hr_pace *pace)
{
    host_use *use = user;
    size_t now = hr_mem_live_bytes();

    (void)pace;
    if (now > use->before && now - use->before > use->peak)
        use->peak = now - use->before;
    return HR_WISH_NONE;
}

static void take_times(const hr_render_times *times, hr_estimate *out)
{
    out->weight_bytes = times->transformer_bytes;
    for (int i = 0; i < HR_STAGE_COUNT; i++) {
        out->flops += times->stage_flops[i];
        out->stage_flops[i] = times->stage_flops[i];
        out->stage_traffic[i] = times->stage_traffic[i];
    }
}

static hr_status run_dry(hr_world *world, const hr_worker_options *options,
                         const hr_render *render, hr_estimate *out)
{
    host_use use = {.before = hr_mem_live_bytes()};
    const hr_worker_hooks hooks = {.wish = watch, .user = &use};
    hr_render quiet = *render;
    hr_render_times times;
    hr_worker *worker;
    hr_status status;

    quiet.hooks = &hooks;
    HR_TRY(hr_worker_open(hr_world_group(world), options, &worker));
    status = hr_worker_render(worker, &quiet, &times);
    if (status == HR_OK) {
        *out = (hr_estimate){.device_bytes =
                                 hr_device_get_stats(options->device).peak_all_bytes,
                             .host_bytes = use.peak};
        take_times(&times, out);
    }
    hr_worker_close(worker);
    return status;
}

hr_status hr_estimate_render(const hr_estimate_options *options, const hr_render *render,
                             hr_estimate *out)
{
    hr_device_options device_options = {.name = "dry"};
    hr_worker_options dry = options->worker;
    hr_world *world = NULL;
    hr_device *device = NULL;
    hr_status status;

    HR_TRY(hr_world_open_pretended(options->rank, options->n_ranks,
                                   options->ranks_per_host, &world));
    if (dry.device != NULL)
        device_options.threads = hr_device_threads(dry.device);
    HR_TRY_GOTO(hr_device_open(&device_options, &device), done);
    dry.device = device;
    status = run_dry(world, &dry, render, out);
done:
    hr_device_close(device);
    hr_world_close(world);
    return status;
}
