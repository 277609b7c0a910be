/* render --verify: whether the ranks, as they are laid out, make the same bits as one. */
#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/render_call.h"
#include "cli/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STEPS = 3,
    PIXELS = 64,           /* of width and height, or the next multiple */
    WINDOW_FRAMES = 5,     /* latent ones, at most */
    N_WINDOWS = 5,         /* of a video that has several */
    CLIP_FRAMES = 3,       /* of one that has not */
    TEMPORARY_BYTES = 4096 /* of a path */
};

/* The tiny job and what was made of it. */
typedef struct verification {
    hr_render_call *call;
    hr_job job;
    hr_plan plan;
    hr_render render;
    char folder[TEMPORARY_BYTES]; /* for frame states */
    hr_receipt *alone, *together; /* on the first rank */
} verification;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t small_side(int64_t side, int64_t unit)
{
    return least(side, (PIXELS + unit - 1) / unit * unit);
}

/* Fewer and smaller windows, as many of them as it takes for each kind of neighbour. */
static void shrink_windows(const hr_windows *windows, int64_t scale, hr_job *job)
{
    int64_t length = least(windows->length, WINDOW_FRAMES);
    int64_t overlap = least(windows->overlap, length / 2);
    int64_t n_frames = length + (N_WINDOWS - 1) * (length - overlap);

    job->window_frames = (length - 1) * scale + 1;
    job->window_overlap = overlap * scale;
    job->frames = (n_frames - 1) * scale + 1;
}

static hr_status shrink(verification *v)
{
    const hr_model_config *config = hr_model_get_config(v->call->model);
    const hr_model_facts facts = hr_request_facts(config);
    const hr_plan *plan = &v->call->plan;
    const hr_video *video = &v->call->batch.videos[0];
    hr_job *job = &v->job;

    HR_TRY(hr_job_merge(job, &video->job));
    job->is_set[HR_KEY_SECONDS] = false;
    job->is_set[HR_KEY_FRAMES] = true;
    job->width = small_side(plan->width, facts.scale_spatial * facts.patch_width);
    job->height = small_side(plan->height, facts.scale_spatial * facts.patch_height);
    job->steps = least(plan->n_steps, STEPS);
    job->frames = least(plan->frames, (CLIP_FRAMES - 1) * facts.scale_temporal + 1);
    if (plan->windows.n_frames > plan->windows.length)
        shrink_windows(&plan->windows, facts.scale_temporal, job);
    HR_TRY(hr_plan_make(job, &facts, &v->plan));
    v->render = hr_render_call_video(v->call, video);
    v->render.job = job;
    v->render.plan = &v->plan;
    v->render.latents_in = v->render.latents_out = v->render.preview_folder = NULL;
    v->render.stop_after_step = 0;
    return HR_OK;
}

static hr_status make_folder(verification *v)
{
    snprintf(v->folder, sizeof v->folder, "%s/haloreel-XXXXXX", hr_temporary_folder());
    if (mkdtemp(v->folder) == NULL)
        return hr_fail(HR_ERR_IO, "%s: cannot be made: %s", v->folder, strerror(errno));
    v->render.scratch_folder = v->folder;
    return HR_OK;
}

static hr_status make_receipts(verification *v)
{
    const hr_plan *p = &v->plan;

    HR_TRY(hr_receipt_create(p->n_steps, p->latent_frames, p->frames, &v->alone));
    return hr_receipt_create(p->n_steps, p->latent_frames, p->frames, &v->together);
}

static hr_worker_options worker_options(const verification *v, hr_layout layout)
{
    return (hr_worker_options){.model = v->call->model,
                               .device = v->call->device,
                               .numerics = hr_request_numerics(&v->job),
                               .layout = layout};
}

static hr_status render_on(hr_group *group, const hr_worker_options *options,
                           const hr_render *render)
{
    hr_worker *worker;
    hr_status status;

    HR_TRY(hr_worker_open(group, options, &worker));
    status = hr_worker_render(worker, render, NULL);
    hr_worker_close(worker);
    return status;
}

/* The whole model on one rank: more than it may have of it otherwise. */
static hr_status check_memory_alone(const verification *v,
                                    const hr_worker_options *options)
{
    const hr_estimate_options whole = {
        .worker = *options, .n_ranks = 1, .ranks_per_host = 1};
    uint64_t available = hr_mem_available();
    char needed[16], there[16];
    hr_estimate need;

    HR_TRY(hr_estimate_render(&whole, &v->render, &need));
    if (available == 0 || hr_estimate_bytes(&need) <= available)
        return HR_OK;
    return hr_fail(
        HR_ERR_NOMEM,
        "--verify: the first rank renders alone as well: %s needed, %s available",
        hr_format_bytes(hr_estimate_bytes(&need), needed),
        hr_format_bytes(available, there));
}

/* On the first rank. */
static hr_status render_alone(verification *v)
{
    const hr_worker_options options = worker_options(v, (hr_layout){1, 1, 1, 1});
    hr_render render = v->render;
    hr_world *world;
    hr_status status;

    HR_TRY(make_receipts(v));
    HR_TRY(check_memory_alone(v, &options));
    HR_TRY(hr_world_open_alone(&world));
    render.receipt = v->alone;
    status = render_on(hr_world_group(world), &options, &render);
    hr_world_close(world);
    return status;
}

/* On the first rank. */
static hr_status compare(const verification *v, const hr_layout *layout)
{
    hr_text difference = {0};
    char text[HR_LAYOUT_TEXT_BYTES];
    hr_status status = hr_receipt_compare(v->alone, v->together, &difference);

    if (status == HR_OK && difference.length > 0)
        status =
            hr_fail(HR_ERR_INTERNAL, "--verify: %d ranks, layout %s, are not one: %s",
                    v->call->ranks.n, hr_layout_text(layout, text), difference.s);
    else if (status == HR_OK)
        printf("same bits on 1 rank and on %d, layout %s: %" PRId64
               " latent frames in %d steps, %" PRId64 " frames of %" PRId64 "x%" PRId64
               "\n",
               v->call->ranks.n, hr_layout_text(layout, text), v->plan.latent_frames,
               v->plan.n_steps, v->plan.frames, v->plan.width, v->plan.height);
    hr_text_free(&difference);
    return status;
}

static hr_status run(verification *v)
{
    const hr_ranks *ranks = &v->call->ranks;
    const hr_render asked = hr_render_call_video(v->call, &v->call->batch.videos[0]);
    hr_worker_options options;
    hr_layout layout;
    hr_status status = shrink(v);

    if (status == HR_OK)
        status = make_folder(v);
    HR_TRY(hr_ranks_agree(ranks, status));
    HR_TRY(hr_render_call_choose(v->call, &asked, &layout));
    status = hr_ranks_is_first(ranks) ? render_alone(v) : HR_OK;
    HR_TRY(hr_ranks_agree(ranks, status));
    options = worker_options(v, layout);
    v->render.receipt = v->together;
    HR_TRY(render_on(ranks->group, &options, &v->render));
    status = hr_ranks_is_first(ranks) ? compare(v, &layout) : HR_OK;
    return hr_ranks_agree(ranks, status);
}

hr_status hr_render_verify(hr_render_call *call)
{
    verification v = {.call = call};
    hr_status status;

    if (call->ranks.n == 1)
        return hr_fail(HR_ERR_ARG,
                       "--verify compares several ranks with one: start it with "
                       "mpirun -n N");
    hr_job_init(&v.job);
    status = run(&v);
    if (v.render.scratch_folder != NULL)
        rmdir(v.folder);
    hr_receipt_free(v.alone);
    hr_receipt_free(v.together);
    hr_job_free(&v.job);
    return status;
}
