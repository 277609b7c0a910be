/* One video of a call, into its run folder. */
#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/identity.h"
#include "cli/measured.h"
#include "cli/progress.h"
#include "cli/render_call.h"
#include "cli/run_place.h"
#include "cli/when_to_stop.h"

#include <stdio.h>
#include <string.h>

/* The file that the render is for. */
static const char *result_of(const hr_render_call *call, const hr_run_folder *run)
{
    const char *result = hr_run_folder_result(run);

    if (call->options.stop_after_step > 0 && call->options.latents_out != NULL)
        return call->options.latents_out;
    return result != NULL && call->options.stop_after_step == 0 ? result : run->folder;
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

/* "checkpoints 3, 0.4 s, 0.8 % of the run" */
static void print_saving(const hr_render_times *times, double total)
{
    if (times->n_saves > 0)
        printf("%-8s %d, %.2g s, %.2g %% of the run\n", "checkpoints", times->n_saves,
               times->save_seconds, total > 0 ? 100 * times->save_seconds / total : 0);
}

/* A run that goes on has some of its parts behind it. */
static bool has_run(const hr_render_call *call, const hr_run_place *place, hr_stage stage)
{
    if (stage == HR_STAGE_DECODE)
        return call->options.stop_after_step == 0;
    if (stage == HR_STAGE_TEXT)
        return place->found.kind == HR_FOUND_NOTHING;
    return place->found.kind != HR_FOUND_LATENTS;
}

/* What stands on standard output, for the file of the log. */
static void log_result(const hr_render_call *call, const hr_run_place *place,
                       const hr_render_times *times)
{
    hr_log_set_level(HR_LOG_WARN);
    hr_info("text %.2f s, denoise %.2f s, decode %.2f s; checkpoints %d, %.2g s; %s",
            times->seconds[HR_STAGE_TEXT], times->seconds[HR_STAGE_DENOISE],
            times->seconds[HR_STAGE_DECODE], times->n_saves, times->save_seconds,
            result_of(call, &place->folder));
    hr_log_set_level(call->options.level);
}

/* `measured` is of all ranks, the first one first. */
static void print_result(const hr_render_call *call, const hr_video *video,
                         const hr_run_place *place, const hr_measured *measured)
{
    const hr_render_times *times = &measured->times;
    int stop = call->options.stop_after_step;
    int n_steps = (stop > 0 ? stop : call->plan.n_steps) - place->found.steps_done;
    double total = 0;

    for (int i = 0; i < HR_STAGE_COUNT; i++)
        total += times->seconds[i];
    hr_debug("first step %.3f s after the start of the program", times->start_seconds);
    if (video->label == NULL) {
        for (int i = 0; i < HR_STAGE_COUNT; i++)
            if (has_run(call, place, (hr_stage)i))
                printf("%-8s %7.2f s\n", hr_stage_name((hr_stage)i), times->seconds[i]);
        printf("%-8s %7.2f s  (", "total", total);
        if (n_steps > 0)
            printf("%d steps of %.3g s; ", n_steps, times->step_seconds);
        printf("%.2f s of it loading weights)\n", times->load_seconds);
        print_saving(times, total);
        if (call->ranks.n > 1)
            print_waiting(measured, call->ranks.n);
    }
    printf("%s\n", result_of(call, &place->folder));
    fflush(stdout);
    log_result(call, place, times);
}

/* What the first rank has of a video besides. */
typedef struct video_run {
    hr_run_place place; /* on all ranks */
    hr_when_to_stop when;
    hr_show_progress show;
    hr_receipt *receipt;
    hr_measured *measured; /* on all ranks, after a success */
    bool is_saved;         /* something to go on from is on the disk */
} video_run;

/* "KEY<tab>VALUE" lines into a group of the receipt. */
static hr_status fill_group(const char *lines, const char *group, hr_receipt *receipt)
{
    char *copy = hr_strdup(lines), *rest = copy, *line;
    hr_status status = HR_OK;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the head of a receipt");
    while (status == HR_OK && (line = strsep(&rest, "\n")) != NULL) {
        const char *key = strsep(&line, "\t");

        if (line != NULL && strcmp(key, "haloreel") != 0)
            status = hr_receipt_set(receipt, group, key, line);
    }
    hr_free(copy);
    return status;
}

/* On the first rank: room for the hashes, and the head that is known already. */
static hr_status make_receipt(const hr_render_call *call, const hr_identity *identity,
                              hr_receipt **out)
{
    const hr_plan *plan = &call->plan;
    int stop = call->options.stop_after_step;
    hr_text program = {0};
    hr_receipt *receipt = NULL;
    hr_status status;

    HR_TRY_GOTO(hr_receipt_create(stop > 0 ? stop : plan->n_steps, plan->latent_frames,
                                  stop > 0 ? 0 : plan->frames, &receipt),
                done);
    HR_TRY_GOTO(fill_group(identity->job, "job", receipt), done);
    HR_TRY_GOTO(fill_group(identity->model, "model", receipt), done);
    HR_TRY_GOTO(hr_identity_add_program(&program), done);
    status = hr_identity_to_receipt(program.s, receipt);
done:
    hr_text_free(&program);
    if (status != HR_OK)
        hr_receipt_free(receipt);
    else
        *out = receipt;
    return status;
}

/* On the first rank, once the worker is there. */
static hr_status begin(hr_render_call *call, const hr_video *video, video_run *run)
{
    const hr_run_place *place = &run->place;

    HR_TRY(make_receipt(call, &place->identity, &run->receipt));
    run->show = (hr_show_progress){
        .ranks = &call->ranks,
        .label = video->label,
        .again = call->again.s,
        .status_path = place->folder.status_file,
        .output = hr_run_folder_result(&place->folder),
        .ends = call->time_limit.ends,
        .is_part = call->options.stop_after_step > 0,
        .lock = place->folder.lock,
        .reason = call->options.stop_after_step > 0 ? "a draft" : NULL,
    };
    HR_TRY(hr_show_progress_begin(&run->show, &call->plan, &call->outlook.layout));
    run->show.status.step = place->found.steps_done;
    if (place->found.path != NULL)
        hr_show_progress_saved(&run->show, place->found.path);
    run->is_saved = place->found.path != NULL;
    return HR_OK;
}

/* On the first rank, after a success. */
static hr_status finish(const hr_render_call *call, const video_run *run)
{
    HR_TRY(hr_measured_to_receipt(call, run->measured, run->receipt));
    HR_TRY(hr_receipt_write(run->receipt, run->place.folder.receipt_file));
    if (call->options.stop_after_step == 0)
        hr_run_folder_drop_others(&run->place.folder);
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

static void on_progress(void *user, const hr_progress *progress)
{
    video_run *run = user;

    if (progress->stage == HR_STAGE_DENOISE && run->place.found.kind == HR_FOUND_LATENTS)
        return; /* nothing is done there */
    hr_show_progress_update(&run->show, progress);
}

static void on_saved(void *user, const char *path, hr_status status)
{
    video_run *run = user;

    hr_when_to_stop_saved(&run->when, status);
    if (status != HR_OK)
        return;
    run->is_saved = true;
    hr_info("saved %s", path);
    hr_show_progress_saved(&run->show, path);
}

static void on_left(void *user, const char *path)
{
    video_run *run = user;

    hr_show_progress_saved(&run->show, path);
}

static hr_wish wish(void *user, const hr_pace *pace)
{
    video_run *run = user;

    return hr_when_to_stop_wish(&run->when, pace);
}

static void on_work(void *user, hr_stage stage)
{
    video_run *run = user;

    hr_when_to_stop_work(&run->when, stage);
}

/* On the first rank: how a run that has not reached its end goes on. */
static void say_how_to_go_on(const hr_render_call *call, const video_run *run,
                             hr_status status)
{
    const char *folder = run->place.folder.folder;

    int stop = call->options.stop_after_step;

    if (status == HR_OK && stop > 0 && run->is_saved && stop < call->plan.n_steps)
        hr_info("step %d of %d is done; to go on: haloreel resume %s", stop,
                call->plan.n_steps, folder);
    else if (status == HR_OK && stop > 0 && run->is_saved)
        hr_info("all steps are done; to decode: haloreel resume %s", folder);
    else if (status == HR_ERR_CANCELLED)
        hr_show_progress_stopped(&run->show, run->is_saved);
    else if ((status == HR_ERR_NOMEM || status == HR_ERR_IO) && run->is_saved)
        hr_warn("to go on, once %s: haloreel resume %s",
                status == HR_ERR_NOMEM ? "there is room" : "that is mended", folder);
}

/* Collective, in the run's folder. */
static hr_status render_into(hr_render_call *call, hr_video *video, video_run *run)
{
    const hr_run_place *place = &run->place;
    bool is_first = hr_ranks_is_first(&call->ranks);
    const hr_worker_hooks hooks = {.on_progress = is_first ? on_progress : NULL,
                                   .on_saved = is_first ? on_saved : NULL,
                                   .on_left = is_first ? on_left : NULL,
                                   .wish = wish,
                                   .on_work = on_work,
                                   .user = run};
    hr_render render = hr_render_call_video(call, video);
    hr_status status;

    if (call->worker == NULL)
        HR_TRY(hr_render_call_open_worker(call, &render));
    status = is_first ? begin(call, video, run) : HR_OK;
    status = hr_ranks_agree(&call->ranks, status);
    run->when.can_save = place->can_save;
    hr_when_to_stop_init(&run->when, &video->job, is_first ? &call->time_limit : NULL,
                         place->checkpoint_bytes);
    render.checkpointing = hr_run_place_checkpointing(place, &video->job);
    render.save = (hr_save_options){.video = place->folder.video,
                                    .picture = place->folder.picture,
                                    .frames_folder = place->folder.frames_folder,
                                    .frames_file = call->options.frames_out};
    render.preview_folder =
        is_first || render.preview_folder == NULL ? place->folder.preview_folder : "";
    render.scratch_folder = place->scratch;
    render.receipt = run->receipt;
    render.hooks = &hooks;
    if (status == HR_OK)
        status = work(call, &render, run);
    if (run->when.has_said)
        run->show.reason = "time limit";
    if (is_first && run->show.has_begun)
        status =
            hr_show_progress_end(&run->show, status, result_of(call, &place->folder));
    if (is_first && status == HR_OK)
        print_result(call, video, place, run->measured);
    if (is_first)
        say_how_to_go_on(call, run, status);
    return status;
}

/* On the first rank. */
static void print_done(const hr_render_call *call, const hr_run_place *place)
{
    if (call->options.stop_after_step == 0) {
        printf("%s\n", result_of(call, &place->folder));
        fflush(stdout);
    }
}

hr_status hr_render_video(hr_render_call *call, hr_video *video)
{
    video_run run = {0};
    hr_status status = hr_run_place_open(call, video, &run.place);

    if (status == HR_OK && run.place.found.kind != HR_FOUND_DONE)
        status = render_into(call, video, &run);
    else if (status == HR_OK && hr_ranks_is_first(&call->ranks))
        print_done(call, &run.place);
    hr_receipt_free(run.receipt);
    hr_free(run.measured);
    hr_log_close();
    hr_run_place_close(&run.place);
    return status;
}
