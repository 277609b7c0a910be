/* One video of a call, into its run folder. */
#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/identity.h"
#include "cli/measured.h"
#include "cli/progress.h"
#include "cli/render_call.h"
#include "io/run_folder.h"

#include <stdio.h>
#include <unistd.h>

static hr_wish wish(void *user, const hr_pace *pace)
{
    (void)user;
    (void)pace;
    return hr_signals_stop_wanted() ? HR_WISH_STOP : HR_WISH_NONE;
}

/* MP4 at its largest or pictures, and raw frames. */
static hr_status check_disk(const hr_render_call *call, const hr_run_folder *run)
{
    const hr_plan *plan = &call->plan;
    uint64_t pixels = (uint64_t)(plan->frames * plan->height * plan->width);
    uint64_t bytes = pixels * (run->frames_folder != NULL ? 3 : 1);

    if (call->options.frames_out != NULL)
        bytes += pixels * 3 * sizeof(float);
    return hr_disk_require(run->folder, bytes, "the video");
}

/* The file that the render is for. */
static const char *result_of(const hr_render_call *call, const hr_run_folder *run)
{
    const char *result = hr_run_folder_result(run);

    if (call->options.stop_after_step > 0)
        return call->options.latents_out;
    return result != NULL ? result : run->folder;
}

static void print_waiting(const hr_measured *measured, int n_ranks)
{
    printf("%-8s of the denoising:", "waiting");
    for (int k = 0; k < HR_DENOISE_TRAFFIC_COUNT; k++)
        printf("%s %.1f %% for %s", k > 0 ? "," : "",
               100 * hr_measured_wait(measured, n_ranks, (hr_traffic)k),
               hr_traffic_name((hr_traffic)k));
    printf("\n");
}

/* `measured` is of all ranks, the first one first. */
static void print_result(const hr_render_call *call, const hr_video *video,
                         const hr_run_folder *run, const hr_measured *measured)
{
    const hr_render_times *times = &measured->times;
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
        if (call->ranks.n > 1)
            print_waiting(measured, call->ranks.n);
    }
    printf("%s\n", result_of(call, run));
    fflush(stdout);
}

/* On the first rank: room for the hashes, and the head that is known already. */
static hr_status make_receipt(const hr_render_call *call, const hr_video *video,
                              hr_receipt **out)
{
    const hr_plan *plan = &call->plan;
    int stop = call->options.stop_after_step;
    hr_text lines = {0};
    hr_receipt *receipt = NULL;
    hr_status status;

    HR_TRY_GOTO(hr_receipt_create(stop > 0 ? stop : plan->n_steps, plan->latent_frames,
                                  stop > 0 ? 0 : plan->frames, &receipt),
                done);
    HR_TRY_GOTO(hr_identity_add_job(&video->job, plan, video->prompt,
                                    call->options.latents_in, &lines),
                done);
    HR_TRY_GOTO(hr_identity_add_program(&lines), done);
    HR_TRY_GOTO(hr_text_append(&lines, call->model_lines.s, call->model_lines.length),
                done);
    status = hr_identity_to_receipt(lines.s, receipt);
done:
    hr_text_free(&lines);
    if (status != HR_OK)
        hr_receipt_free(receipt);
    else
        *out = receipt;
    return status;
}

/* What the first rank has of a video besides. */
typedef struct video_run {
    hr_run_folder folder;
    hr_show_progress show;
    hr_receipt *receipt;
    hr_measured *measured; /* on all ranks, after a success */
} video_run;

/* On the first rank, once the worker is there. */
static hr_status begin(hr_render_call *call, hr_video *video, video_run *run)
{
    HR_TRY(hr_run_folder_save_job(&run->folder, &video->job));
    HR_TRY(make_receipt(call, video, &run->receipt));
    return hr_show_progress_begin(&run->show, &call->plan, &call->outlook.layout);
}

/* On the first rank, after a success. */
static hr_status finish(const hr_render_call *call, const video_run *run)
{
    HR_TRY(hr_measured_to_receipt(call, run->measured, run->receipt));
    HR_TRY(hr_receipt_write(run->receipt, run->folder.receipt_file));
    if (call->options.stop_after_step == 0)
        hr_run_folder_drop_others(&run->folder);
    return HR_OK;
}

/* Collective: the worker's work, and what it took. */
static hr_status work(hr_render_call *call, const hr_render *render, video_run *run)
{
    const hr_ranks *ranks = &call->ranks;
    hr_render_times times;

    HR_TRY(hr_worker_render(call->worker, render, &times));
    HR_TRY(hr_measured_gather(ranks, &times, &run->measured));
    return hr_ranks_agree(ranks, hr_ranks_is_first(ranks) ? finish(call, run) : HR_OK);
}

/* `scratch` is the folder for it, the same path on all ranks. */
static hr_status render_into(hr_render_call *call, hr_video *video, video_run *run,
                             const char *scratch)
{
    bool is_first = hr_ranks_is_first(&call->ranks);
    const hr_worker_hooks hooks = {.on_progress =
                                       is_first ? hr_show_progress_update : NULL,
                                   .wish = wish,
                                   .user = &run->show};
    hr_render render = hr_render_call_video(call, video);
    hr_status status;

    if (call->worker == NULL)
        HR_TRY(hr_render_call_open_worker(call, &render));
    status = is_first ? begin(call, video, run) : HR_OK;
    status = hr_ranks_agree(&call->ranks, status);
    render.save = (hr_save_options){.video = run->folder.video,
                                    .picture = run->folder.picture,
                                    .frames_folder = run->folder.frames_folder,
                                    .frames_file = call->options.frames_out};
    render.preview_folder =
        is_first || render.preview_folder == NULL ? run->folder.preview_folder : "";
    render.scratch_folder = scratch;
    render.receipt = run->receipt;
    render.hooks = &hooks;
    if (status == HR_OK)
        status = work(call, &render, run);
    if (is_first && run->show.status_path != NULL)
        status = hr_show_progress_end(&run->show, status, result_of(call, &run->folder));
    if (is_first && status == HR_OK)
        print_result(call, video, &run->folder, run->measured);
    return status;
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

/* On the first rank. */
static hr_status open_folder(const hr_render_call *call, hr_video *video,
                             hr_run_folder *run)
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

    HR_TRY(hr_run_folder_open(&options, run));
    HR_TRY(set_folder(&video->job, run->folder));
    HR_TRY(hr_log_open(run->log_file));
    return check_disk(call, run);
}

/* Collective: the others learn where the run folder is. Its refusal leaves the ranks
 * together. */
static hr_status share_folder(hr_render_call *call, hr_video *video, hr_run_folder *run,
                              char **folder)
{
    const hr_ranks *ranks = &call->ranks;
    int32_t status = HR_OK;

    if (hr_ranks_is_first(ranks))
        status = (int32_t)open_folder(call, video, run);
    HR_TRY(hr_ranks_broadcast(ranks, &status, sizeof status));
    if (status != HR_OK)
        return (hr_status)status;
    *folder = run->folder;
    return hr_ranks_agree(ranks, hr_ranks_share_text(ranks, folder));
}

/* Not every host need see the folder: a rank keeps a log of its own where it does, and
 * its frame states where hosts keep what is temporary where it does not. */
static hr_status use_folder(const hr_ranks *ranks, const char *folder, hr_text *scratch)
{
    char *log = NULL;

    if (access(folder, W_OK) != 0)
        return hr_text_add(scratch, hr_temporary_folder());
    if (!hr_ranks_is_first(ranks) &&
        hr_run_folder_log_of(folder, ranks->rank, &log) == HR_OK)
        (void)hr_log_open(log);
    hr_free(log);
    return hr_text_printf(scratch, "%s/scratch", folder);
}

hr_status hr_render_video(hr_render_call *call, hr_video *video)
{
    bool is_first = hr_ranks_is_first(&call->ranks);
    video_run run = {.folder = {.lock = -1}};
    hr_text scratch = {0};
    char *folder = NULL;
    hr_status status;

    HR_TRY_GOTO(share_folder(call, video, &run.folder, &folder), done);
    status = use_folder(&call->ranks, folder, &scratch);
    HR_TRY_GOTO(hr_ranks_agree(&call->ranks, status), done);
    run.show = (hr_show_progress){.ranks = &call->ranks,
                                  .label = video->label,
                                  .status_path = run.folder.status_file};
    status = render_into(call, video, &run, scratch.s);
done:
    hr_receipt_free(run.receipt);
    hr_free(run.measured);
    hr_text_free(&scratch);
    hr_log_close();
    hr_run_folder_close(&run.folder);
    if (!is_first)
        hr_free(folder);
    return status;
}
