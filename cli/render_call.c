#include "cli/render_call.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/identity.h"
#include "cli/request.h"
#include "cli/run_place.h"
#include "io/latents.h"
#include "io/out_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

hr_render hr_render_call_video(const hr_render_call *call, const hr_video *video)
{
    hr_render render = hr_request_render(&video->job, &call->plan, video->prompt);

    render.latents_in = call->options.latents_in;
    render.latents_out = call->options.latents_out;
    render.stop_after_step = call->options.stop_after_step;
    return render;
}

static void log_video(const hr_render_call *call, const hr_job *job)
{
    static const char *const samplers[] = {"unipc", "euler", "dpm++"};
    const hr_plan *plan = &call->plan;
    char seed[32] = "", frames[64] = ", a still picture";

    if (!call->is_batch)
        snprintf(seed, sizeof seed, ", seed %" PRIu64, job->seed);
    if (plan->frames > 1)
        snprintf(frames, sizeof frames, ", %" PRId64 " frames at %g fps", plan->frames,
                 job->fps);
    hr_info("%" PRId64 "x%" PRId64 "%s; %d %s steps, guidance %g, shift %g%s",
            plan->width, plan->height, frames, plan->n_steps, samplers[job->sampler],
            plan->guidance, plan->shift, seed);
}

static void log_plan(const hr_render_call *call, const hr_job *job)
{
    static const char *const numerics[] = {"exact", "fast", "f32"};
    const hr_outlook *outlook = &call->outlook;
    uint64_t bytes = hr_estimate_bytes(&outlook->estimates[hr_outlook_largest(outlook)]);
    char memory[16], available[16];
    double flops = 0;

    for (int s = 0; s < HR_STAGE_COUNT; s++)
        flops += hr_outlook_flops(outlook, (hr_stage)s);
    log_video(call, job);
    hr_info("model %s, numerics %s; %s; memory %s of %s%s; %.3g TFLOP", job->model,
            numerics[job->numerics], hr_device_description(call->device),
            hr_format_bytes(bytes, memory),
            hr_format_bytes(call->machine.least_memory, available),
            call->ranks.n > 1 ? " on a rank" : "", flops * 1e-12);
    hr_outlook_log(outlook, &call->ranks);
    if (call->plan.frames > call->entry.trained_frames && outlook->most_windows == 1)
        hr_info("%" PRId64 " frames in one window are more than the %" PRId64
                " that the model was trained on: the picture may repeat or decay",
                call->plan.frames, call->entry.trained_frames);
}

static hr_outlook_args outlook_args(const hr_render_call *call, const hr_render *render,
                                    bool keep_parts)
{
    const hr_rank_info *first = hr_world_rank_info(call->ranks.world, 0);

    return (hr_outlook_args){.worker = {.model = call->model,
                                        .device = call->device,
                                        .numerics = hr_request_numerics(render->job),
                                        .keep_parts = keep_parts},
                             .render = render,
                             .machine = &call->machine,
                             .n_ranks = call->ranks.n,
                             .ranks_per_host = first->n_local};
}

/* Whether parts of the model can stay loaded from video to video on all ranks. */
static hr_status can_keep_parts(hr_render_call *call, const hr_render *render, bool *out)
{
    hr_outlook_args args = outlook_args(call, render, true);
    hr_outlook kept = call->outlook;
    uint64_t bytes;
    hr_status status = hr_outlook_share(&call->ranks, &args, &kept);

    if (status == HR_OK) {
        bytes = hr_estimate_bytes(&kept.estimates[hr_outlook_largest(&kept)]);
        *out = call->machine.least_memory == 0 || bytes <= call->machine.least_memory;
    }
    hr_outlook_free(&kept);
    return status;
}

hr_status hr_render_call_choose(hr_render_call *call, const hr_render *render,
                                hr_layout *out)
{
    hr_outlook_args args = outlook_args(call, render, false);
    hr_outlook outlook = {0};

    hr_outlook_free(&call->outlook);
    HR_TRY(hr_ranks_agree(&call->ranks, hr_outlook_choose(&args, &outlook)));
    call->outlook = outlook;
    *out = outlook.layout;
    return HR_OK;
}

hr_status hr_render_call_open_worker(hr_render_call *call, const hr_render *render)
{
    const hr_ranks *ranks = &call->ranks;
    hr_outlook_args args = outlook_args(call, render, false);

    HR_TRY(hr_render_call_choose(call, render, &args.worker.layout));
    HR_TRY(hr_outlook_share(ranks, &args, &call->outlook));
    if (hr_ranks_is_first(ranks))
        log_plan(call, render->job);
    HR_TRY(hr_machine_check_memory(
        ranks, &call->machine, hr_estimate_bytes(&call->outlook.estimates[ranks->rank])));
    if (call->is_batch)
        HR_TRY(can_keep_parts(call, render, &args.worker.keep_parts));
    return hr_worker_open(ranks->group, &args.worker, &call->worker);
}

static hr_status check_decode_only(const hr_render_call *call)
{
    const hr_render_options *o = &call->options;

    if (call->is_batch || o->verify)
        return hr_fail(HR_ERR_ARG, "--decode-only takes one video");
    if (o->stop_after_step > 0 || o->latents_in != NULL || o->latents_out != NULL)
        return hr_fail(HR_ERR_ARG,
                       "--decode-only: nothing is denoised: not together with "
                       "--stop-after-step, --latents or --latents-out");
    return HR_OK;
}

static hr_status check_usage(const hr_render_call *call, const hr_job *job)
{
    const hr_render_options *o = &call->options;

    if (o->prompts_file != NULL && job->is_set[HR_KEY_PROMPT])
        return hr_fail(HR_ERR_ARG, "--prompts and a prompt are both given: which?");
    if (o->seeds != NULL && o->is_seed_given)
        return hr_fail(HR_ERR_ARG, "--seeds and sampler.seed are both given: which?");
    if (!job->is_set[HR_KEY_PROMPT] && o->prompts_file == NULL)
        return hr_fail(HR_ERR_ARG,
                       "no prompt: give --prompt, --prompts or a job file with one");
    if (call->is_batch &&
        (o->output_file != NULL || o->latents_out != NULL || o->frames_out != NULL))
        return hr_fail(HR_ERR_ARG,
                       "several videos go to output.folder: -o, --latents-out and "
                       "--frames-out name one file");
    if (call->is_batch && o->verify)
        return hr_fail(HR_ERR_ARG, "--verify takes one video");
    if (o->stop_after_step > call->plan.n_steps)
        return hr_fail(HR_ERR_ARG, "--stop-after-step: %d, but there are %d steps",
                       o->stop_after_step, call->plan.n_steps);
    if (o->fresh && o->force)
        return hr_fail(HR_ERR_ARG, "--fresh and --force are both given: which?");
    if (o->decode_only != NULL)
        return check_decode_only(call);
    return HR_OK;
}

/* Reads the noise once before any work, so that a file that does not fit is refused
 * early. */
static hr_status check_latents(const hr_render_call *call)
{
    const hr_plan *p = &call->plan;
    const int64_t shape[4] = {p->latent_frames, p->latent_channels, p->latent_height,
                              p->latent_width};
    size_t bytes = (size_t)(shape[1] * shape[2] * shape[3]) * sizeof(float);
    hr_latents_reader *reader = NULL;
    void *latent = NULL;
    hr_status status;

    if (call->options.latents_in == NULL)
        return HR_OK;
    HR_TRY_GOTO(hr_latents_open(call->options.latents_in, shape, &reader), done);
    HR_TRY_GOTO(hr_alloc_or_fail(bytes, "a latent frame", &latent), done);
    for (int64_t f = 0; f < shape[0] && status == HR_OK; f++)
        status = hr_latents_read_frame(reader, f, latent);
done:
    hr_free(latent);
    hr_latents_close(reader);
    return status == HR_ERR_IO ? HR_ERR_ARG : status;
}

/* A file that the render will write: not there yet, and its place can be written. */
static hr_status check_side_file(const char *path, bool force)
{
    hr_out_file *probe;

    if (path == NULL)
        return HR_OK;
    if (!force && access(path, F_OK) == 0)
        return hr_fail(HR_ERR_ARG, "%s: there is one already; --force replaces it", path);
    HR_TRY(hr_out_file_create(path, &probe));
    hr_out_file_abandon(probe);
    return HR_OK;
}

/* A run that goes on replaces those of its own. */
static hr_status check_side_files(const hr_render_call *call)
{
    const hr_render_options *o = &call->options;
    bool may_replace = o->force || (!call->is_batch && hr_run_place_has_run(call));
    const char *paths[3] = {o->latents_out, o->frames_out, o->output_file};

    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++)
            if (paths[i] != NULL && paths[j] != NULL && strcmp(paths[i], paths[j]) == 0)
                return hr_fail(HR_ERR_ARG, "%s: two outputs would have this name",
                               paths[i]);
    HR_TRY(check_side_file(o->latents_out, may_replace));
    return check_side_file(o->frames_out, may_replace);
}

/* Local: from the options to the videos that are to be made. */
static hr_status prepare(hr_render_call *call, uint64_t seed_key)
{
    hr_render_options *o = &call->options;
    hr_job *job = &o->job;

    call->is_batch = o->prompts_file != NULL || o->seeds != NULL;
    HR_TRY(hr_request_resolve(job, &call->entry, &call->model, &call->plan));
    HR_TRY(check_usage(call, job));
    HR_TRY(check_latents(call));
    HR_TRY(hr_batch_make(o, &call->entry, job, seed_key, &call->batch));
    return hr_ranks_is_first(&call->ranks) ? check_side_files(call) : HR_OK;
}

/* What all ranks have to agree on, and the lines of the receipts. */
static hr_status check_identity(hr_render_call *call)
{
    const hr_ranks *ranks = &call->ranks;
    const hr_batch *batch = &call->batch;
    hr_text lines = {0};
    size_t n_before = 0;
    hr_status status = hr_identity_add_program(&lines);

    if (status == HR_OK)
        status = hr_identity_add_call(&call->options, &lines);
    for (size_t i = 0; i < batch->n && status == HR_OK; i++)
        if (batch->videos[i].status == HR_OK)
            status = hr_identity_add_job(&batch->videos[i].job, &call->plan,
                                         batch->videos[i].prompt,
                                         call->options.latents_in, &lines);
    n_before = lines.length;
    status = hr_ranks_agree(ranks, status);
    if (status == HR_OK)
        status = hr_identity_check(ranks, call->model, &lines);
    if (status == HR_OK)
        status = hr_text_append(&call->model_lines, lines.s + n_before,
                                lines.length - n_before);
    hr_text_free(&lines);
    return status;
}

static hr_status draw_seed_key(const hr_ranks *ranks, uint64_t *out)
{
    hr_status status = HR_OK;

    if (hr_ranks_is_first(ranks) && getrandom(out, sizeof *out, 0) != sizeof *out)
        status = hr_fail(HR_ERR_INTERNAL, "cannot draw a seed: %s", strerror(errno));
    HR_TRY(hr_ranks_agree(ranks, status));
    return hr_ranks_broadcast(ranks, out, sizeof *out);
}

hr_status hr_render_call_open(const hr_command_line *line, hr_render_call *call)
{
    const hr_ranks *ranks = &call->ranks;
    uint64_t seed_key = 0;
    hr_status status = hr_render_options_parse(line, &call->options);

    HR_TRY(hr_ranks_agree(ranks, status));
    if (call->options.is_help)
        return HR_OK;
    hr_world_set_deadline(ranks->world, call->options.job.deadline);
    if (hr_ranks_is_first(ranks))
        hr_time_limit_start(call->options.time_limit, &call->time_limit);
    HR_TRY(draw_seed_key(ranks, &seed_key));
    HR_TRY(hr_ranks_agree(ranks, prepare(call, seed_key)));
    HR_TRY(hr_run_place_take_seed(call));
    HR_TRY(hr_machine_settle(ranks, &call->options.job, &call->machine));
    status = hr_machine_open_device(&call->machine, &call->options.job, &call->device);
    HR_TRY(hr_ranks_agree(ranks, status));
    return check_identity(call);
}

void hr_render_call_close(hr_render_call *call)
{
    hr_worker_close(call->worker);
    hr_device_close(call->device);
    hr_outlook_free(&call->outlook);
    hr_text_free(&call->model_lines);
    hr_text_free(&call->again);
    hr_batch_free(&call->batch);
    hr_model_close(call->model);
    hr_model_entry_free(&call->entry);
    hr_render_options_free(&call->options);
}
