#include "cli/cli.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/batch.h"
#include "cli/progress.h"
#include "cli/request.h"
#include "io/latents.h"
#include "io/out_file.h"
#include "io/run_folder.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One call of `haloreel render`: what all its videos share. They differ in prompt and
 * seed only. */
typedef struct render_call {
    hr_render_options options;
    hr_model_entry entry;
    hr_model *model;
    hr_device *device;
    hr_worker *worker;
    hr_plan plan;
    hr_batch batch;
    bool is_batch;
} render_call;

static bool stop_wanted(void *user)
{
    (void)user;
    return hr_signals_stop_wanted();
}

/* All but the places of a run folder, so fit for an estimate. Strings are borrowed. */
static hr_render render_of(const render_call *call, const hr_video *video)
{
    return (hr_render){
        .job = &video->job,
        .plan = &call->plan,
        .prompt = video->prompt,
        .negative_prompt =
            video->job.negative_prompt != NULL ? video->job.negative_prompt : "",
        .latents_in = call->options.latents_in,
        .latents_out = call->options.latents_out,
        .stop_after_step = call->options.stop_after_step,
        .preview_folder = video->job.preview_every > 0 ? "" : NULL, /* the estimate's */
    };
}

static void print_plan(const render_call *call, const hr_job *job,
                       const hr_estimate *need)
{
    static const char *const numerics[] = {"exact", "fast", "f32"};
    static const char *const samplers[] = {"unipc", "euler", "dpm++"};
    const hr_plan *plan = &call->plan;
    char memory[16], available[16], seed[32] = "", frames[64] = ", a still picture";

    if (!call->is_batch)
        snprintf(seed, sizeof seed, ", seed %" PRIu64, job->seed);
    if (plan->frames > 1)
        snprintf(frames, sizeof frames, ", %" PRId64 " frames at %g fps", plan->frames,
                 job->fps);
    hr_info("%" PRId64 "x%" PRId64 "%s; %d %s steps, guidance %g, shift %g%s",
            plan->width, plan->height, frames, plan->n_steps, samplers[job->sampler],
            plan->guidance, plan->shift, seed);
    hr_info("model %s, numerics %s; %s; memory %s of %s; %.3g TFLOP", job->model,
            numerics[job->numerics], hr_device_description(call->device),
            hr_format_bytes(need->device_bytes + need->host_bytes, memory),
            hr_format_bytes(hr_mem_available(), available), need->flops * 1e-12);
    if (plan->frames > call->entry.trained_frames)
        hr_info("%" PRId64 " frames are more than the %" PRId64
                " that the model was trained on: the picture may repeat or decay",
                plan->frames, call->entry.trained_frames);
}

static hr_status check_memory(const hr_estimate *need)
{
    uint64_t bytes = need->device_bytes + need->host_bytes,
             available = hr_mem_available();
    char a[16], b[16];

    if (available == 0 || bytes <= available)
        return HR_OK;
    return hr_fail(HR_ERR_NOMEM, "not enough memory: %s needed, %s available",
                   hr_format_bytes(bytes, a), hr_format_bytes(available, b));
}

/* Refuses before any weights are read what does not fit into memory. In a batch, parts of
 * the model stay loaded from video to video where they fit together. */
static hr_status open_worker(render_call *call, const hr_render *render)
{
    const hr_group alone = hr_group_alone();
    hr_worker_options options = {.model = call->model,
                                 .device = call->device,
                                 .numerics = hr_request_numerics(render->job)};
    hr_estimate need, keep;

    HR_TRY(hr_estimate_render(&options, render, &need));
    print_plan(call, render->job, &need);
    HR_TRY(check_memory(&need));
    if (call->is_batch) {
        options.keep_parts = true;
        HR_TRY(hr_estimate_render(&options, render, &keep));
        options.keep_parts = keep.device_bytes + keep.host_bytes <= hr_mem_available();
    }
    return hr_worker_open(&alone, &options, &call->worker);
}

/* MP4 at its largest or pictures, and raw frames. */
static hr_status check_disk(const render_call *call, const hr_run_folder *run)
{
    const hr_plan *plan = &call->plan;
    uint64_t pixels = (uint64_t)(plan->frames * plan->height * plan->width);
    uint64_t bytes = pixels * (run->frames_folder != NULL ? 3 : 1);

    if (call->options.frames_out != NULL)
        bytes += pixels * 3 * sizeof(float);
    return hr_disk_require(run->folder, bytes, "the video");
}

/* The file that the render is for. */
static const char *result_of(const render_call *call, const hr_run_folder *run)
{
    const char *result = hr_run_folder_result(run);

    if (call->options.stop_after_step > 0)
        return call->options.latents_out;
    return result != NULL ? result : run->folder;
}

static void print_result(const render_call *call, const hr_video *video,
                         const hr_run_folder *run, const hr_render_times *times)
{
    double total = 0;

    for (int i = 0; i < HR_STAGE_COUNT; i++)
        total += times->seconds[i];
    hr_debug("first step %.3f s after the start of the program", times->start_seconds);
    if (video->label == NULL) {
        for (int i = 0; i < HR_STAGE_COUNT; i++)
            printf("%-8s %7.2f s\n", hr_stage_name((hr_stage)i), times->seconds[i]);
        printf("%-8s %7.2f s  (%d steps of %.3g s; %.2f s of it loading weights)\n",
               "total", total, call->plan.n_steps, times->step_seconds,
               times->load_seconds);
    }
    printf("%s\n", result_of(call, run));
    fflush(stdout);
}

static hr_status render_into(render_call *call, hr_video *video, const hr_run_folder *run)
{
    hr_show_progress show = {.label = video->label, .status_path = run->status_file};
    const hr_worker_hooks hooks = {hr_show_progress_update, stop_wanted, &show};
    hr_render render = render_of(call, video);
    hr_render_times times;
    hr_status status;

    render.save = (hr_save_options){.video = run->video,
                                    .picture = run->picture,
                                    .frames_folder = run->frames_folder,
                                    .frames_file = call->options.frames_out};
    render.preview_folder = run->preview_folder;
    render.hooks = &hooks;
    HR_TRY(check_disk(call, run));
    if (call->worker == NULL)
        HR_TRY(open_worker(call, &render));
    HR_TRY(hr_run_folder_save_job(run, &video->job));
    HR_TRY(hr_show_progress_begin(&show, &call->plan));
    status = hr_worker_render(call->worker, &render, &times);
    HR_TRY(hr_show_progress_end(&show, status, result_of(call, run)));
    if (call->options.stop_after_step == 0)
        hr_run_folder_drop_others(run);
    print_result(call, video, run, &times);
    return HR_OK;
}

/* Where it really is, for job.yaml. */
static hr_status set_folder(hr_job *job, const char *folder)
{
    char *copy = hr_strdup(folder);

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    hr_free(job->output_folder);
    job->output_folder = copy;
    return HR_OK;
}

static hr_status render_video(render_call *call, hr_video *video)
{
    const hr_render_options *o = &call->options;
    const hr_run_options options = {
        .folder = o->output_file == NULL || o->job.is_set[HR_KEY_OUTPUT_FOLDER]
                      ? video->job.output_folder
                      : NULL,
        .file = o->output_file,
        .video = video->job.video,
        .is_still = call->plan.frames == 1,
        .previews = video->job.preview_every > 0,
        .force = o->force,
    };
    hr_run_folder run;
    hr_status status;

    HR_TRY(hr_run_folder_open(&options, &run));
    status = set_folder(&video->job, run.folder);
    if (status == HR_OK)
        status = hr_log_open(run.log_file);
    if (status == HR_OK)
        status = render_into(call, video, &run);
    hr_log_close();
    hr_run_folder_close(&run);
    return status;
}

/* The texts of all videos first, so that the text encoder is loaded once. */
static hr_status encode_all(render_call *call)
{
    void *memory;
    hr_render *renders;
    size_t n = 0;
    hr_status status = HR_OK;

    HR_TRY(hr_alloc_or_fail(call->batch.n * sizeof(hr_render), "the list of videos",
                            &memory));
    renders = memory;
    for (size_t i = 0; i < call->batch.n; i++)
        if (call->batch.videos[i].status == HR_OK)
            renders[n++] = render_of(call, &call->batch.videos[i]);
    if (n > 0)
        status = open_worker(call, &renders[0]);
    if (status == HR_OK && n > 0)
        status = hr_worker_encode(call->worker, renders, n);
    hr_free(memory);
    return status;
}

static hr_status render_batch(render_call *call)
{
    size_t n_done = 0;
    hr_status worst = HR_OK;

    HR_TRY(encode_all(call));
    for (size_t i = 0; i < call->batch.n; i++) {
        hr_video *video = &call->batch.videos[i];

        if (video->status == HR_OK)
            video->status = render_video(call, video);
        if (video->status == HR_ERR_CANCELLED)
            return HR_ERR_CANCELLED;
        n_done += video->status == HR_OK;
        if (video->status != HR_OK)
            hr_warn("%s: not done, going on with the others", video->label);
        if (video->status > worst)
            worst = video->status;
    }
    printf("%zu of %zu videos done\n", n_done, call->batch.n);
    return worst;
}

static hr_status check_usage(const render_call *call, const hr_job *job)
{
    const hr_render_options *o = &call->options;

    if (o->prompts_file != NULL && job->is_set[HR_KEY_PROMPT])
        return hr_fail(HR_ERR_ARG, "--prompts and a prompt are both given: which?");
    if (o->seeds != NULL && job->is_set[HR_KEY_SEED])
        return hr_fail(HR_ERR_ARG, "--seeds and sampler.seed are both given: which?");
    if (!job->is_set[HR_KEY_PROMPT] && o->prompts_file == NULL)
        return hr_fail(HR_ERR_ARG,
                       "no prompt: give --prompt, --prompts or a job file with one");
    if (call->is_batch &&
        (o->output_file != NULL || o->latents_out != NULL || o->frames_out != NULL))
        return hr_fail(HR_ERR_ARG,
                       "several videos go to output.folder: -o, --latents-out and "
                       "--frames-out name one file");
    if (o->stop_after_step > call->plan.n_steps)
        return hr_fail(HR_ERR_ARG, "--stop-after-step: %d, but there are %d steps",
                       o->stop_after_step, call->plan.n_steps);
    if (o->stop_after_step > 0 && o->latents_out == NULL)
        return hr_fail(HR_ERR_ARG,
                       "--stop-after-step: needs --latents-out, or nothing is kept");
    return HR_OK;
}

/* Reads the noise once before any work, so that a file that does not fit is refused
 * early. */
static hr_status check_latents(const render_call *call)
{
    const hr_plan *p = &call->plan;
    const int64_t shape[4] = {p->latent_frames, p->latent_channels, p->latent_height,
                              p->latent_width};
    size_t bytes = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]) * sizeof(float);
    void *latents;
    hr_status status;

    if (call->options.latents_in == NULL)
        return HR_OK;
    HR_TRY(hr_alloc_or_fail(bytes, "latents", &latents));
    status = hr_latents_read(call->options.latents_in, shape, latents);
    hr_free(latents);
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

static hr_status check_side_files(const hr_render_options *o)
{
    const char *paths[3] = {o->latents_out, o->frames_out, o->output_file};

    for (int i = 0; i < 3; i++)
        for (int j = i + 1; j < 3; j++)
            if (paths[i] != NULL && paths[j] != NULL && strcmp(paths[i], paths[j]) == 0)
                return hr_fail(HR_ERR_ARG, "%s: two outputs would have this name",
                               paths[i]);
    HR_TRY(check_side_file(o->latents_out, o->force));
    return check_side_file(o->frames_out, o->force);
}

/* Plans, then renders; `job` is complete. */
static hr_status render_job(render_call *call, hr_job *job)
{
    const hr_model_config *config = hr_model_get_config(call->model);
    const hr_model_facts facts = hr_request_facts(config);

    hr_request_take_model(job, config);
    HR_TRY(hr_plan_make(job, &facts, &call->plan));
    HR_TRY(check_usage(call, job));
    HR_TRY(check_latents(call));
    HR_TRY(check_side_files(&call->options));
    HR_TRY(hr_batch_make(&call->options, &call->entry, job, &call->batch));
    HR_TRY(hr_open_job_device(job, &call->device));
    if (call->is_batch)
        return render_batch(call);
    return render_video(call, &call->batch.videos[0]);
}

static hr_status run_call(render_call *call)
{
    hr_job *job = &call->options.job;

    call->is_batch = call->options.prompts_file != NULL || call->options.seeds != NULL;
    if (!job->is_set[HR_KEY_MODEL])
        HR_TRY(hr_job_set(job, "default", "model=" HR_JOB_DEFAULT_MODEL));
    HR_TRY(hr_open_model(job->model, &call->entry, &call->model));
    HR_TRY(hr_job_merge(job, &call->entry.defaults));
    HR_TRY(hr_job_fill(job));
    return render_job(call, job);
}

int hr_cmd_render(int argc, char **argv)
{
    render_call call = {0};
    hr_status status;

    status = hr_signals_start();
    if (status == HR_OK)
        status = hr_render_options_parse(argc, argv, &call.options);
    if (status == HR_OK)
        status = run_call(&call);
    hr_worker_close(call.worker);
    hr_device_close(call.device);
    hr_batch_free(&call.batch);
    hr_model_close(call.model);
    hr_model_entry_free(&call.entry);
    hr_render_options_free(&call.options);
    return hr_exit_code(status);
}
