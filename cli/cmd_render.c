#include "cli/cli.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/render_call.h"

#include <stdio.h>
#include <string.h>

/* The texts of all videos first, so that the text encoder is loaded once. */
static hr_status encode_all(hr_render_call *call)
{
    void *memory = NULL;
    hr_render *renders;
    size_t n = 0;
    hr_status status = hr_alloc_or_fail(call->batch.n * sizeof(hr_render),
                                        "the list of videos", &memory);

    HR_TRY(hr_ranks_agree(&call->ranks, status));
    renders = memory;
    for (size_t i = 0; i < call->batch.n; i++)
        if (call->batch.videos[i].status == HR_OK)
            renders[n++] = hr_render_call_video(call, &call->batch.videos[i]);
    if (n > 0)
        status = hr_render_call_open_worker(call, &renders[0]);
    if (status == HR_OK && n > 0)
        status = hr_worker_encode(call->worker, renders, n);
    hr_free(memory);
    return status;
}

/* A failed render leaves the ranks in pieces: they gather again for the next one. */
static hr_status recover(hr_render_call *call)
{
    hr_worker_close(call->worker);
    call->worker = NULL;
    return hr_world_recover(call->ranks.world);
}

/* A failure before the worker had the video has left the ranks together. */
static hr_status render_next(hr_render_call *call, hr_video *video)
{
    if (video->status != HR_OK)
        return HR_OK;
    video->status = hr_render_video(call, video);
    if (video->status == HR_OK || video->status == HR_ERR_CANCELLED ||
        hr_world_progress(call->ranks.world) == HR_OK)
        return video->status == HR_ERR_CANCELLED ? HR_ERR_CANCELLED : HR_OK;
    return recover(call);
}

/* The same command, but for what would begin anew: videos that are done are left as they
 * are. Not where it would draw other seeds. */
static hr_status write_again(const hr_command_line *line, hr_render_call *call)
{
    const hr_render_options *o = &call->options;

    if (!call->is_batch || (o->seeds == NULL && !o->job.is_set[HR_KEY_SEED]))
        return HR_OK;
    HR_TRY(hr_text_add(&call->again, "haloreel render"));
    for (int i = 1; i < line->argc; i++) {
        if (strncmp(line->argv[i], "--fo", 4) == 0 ||
            strncmp(line->argv[i], "--fre", 5) == 0)
            continue; /* --force and --fresh, which may be shortened */
        HR_TRY(hr_text_add(&call->again, " "));
        HR_TRY(hr_text_add_word(&call->again, line->argv[i]));
    }
    return HR_OK;
}

static void print_count(const hr_render_call *call, size_t n_done)
{
    int stop = call->options.stop_after_step;

    if (stop > 0)
        printf("%zu of %zu drafts done: step %d of %d, no videos yet\n", n_done,
               call->batch.n, stop, call->plan.n_steps);
    else
        printf("%zu of %zu videos done\n", n_done, call->batch.n);
}

static hr_status render_batch(hr_render_call *call)
{
    bool is_first = hr_ranks_is_first(&call->ranks);
    size_t n_done = 0;
    hr_status worst = HR_OK;

    HR_TRY(encode_all(call));
    for (size_t i = 0; i < call->batch.n; i++) {
        hr_video *video = &call->batch.videos[i];

        HR_TRY(render_next(call, video));
        n_done += video->status == HR_OK;
        if (video->status != HR_OK && is_first)
            hr_warn("%s: not done, going on with the others", video->label);
        if (video->status > worst)
            worst = video->status;
    }
    if (is_first)
        print_count(call, n_done);
    return worst;
}

static hr_status run_call(hr_render_call *call)
{
    if (call->options.is_help)
        return HR_OK;
    if (call->options.verify)
        return hr_render_verify(call);
    if (call->is_batch)
        return render_batch(call);
    return hr_render_video(call, &call->batch.videos[0]);
}

static int render(hr_call_kind kind, int argc, char **argv)
{
    hr_command_line line = {.argc = argc, .argv = argv, .call = kind};
    hr_render_call call = {0};
    hr_ranks ranks = {0};
    const hr_status signals = hr_signals_start();
    hr_status status = hr_ranks_open(&call.ranks);

    if (status == HR_OK) /* whatever fails, fails on all */
        status = hr_ranks_agree(&call.ranks, signals);
    line.is_silent = !hr_ranks_is_first(&call.ranks);
    line.n_ranks = call.ranks.n;
    if (status == HR_OK)
        status = hr_render_call_open(&line, &call);
    if (status == HR_OK)
        status = hr_ranks_agree(&call.ranks, write_again(&line, &call));
    if (status == HR_OK)
        status = run_call(&call);
    ranks = call.ranks;
    hr_render_call_close(&call);
    hr_signals_end();
    hr_ranks_close(&ranks);
    return hr_exit_code(status);
}

int hr_cmd_render(int argc, char **argv)
{
    return render(HR_CALL_RENDER, argc, argv);
}

int hr_cmd_resume(int argc, char **argv)
{
    return render(HR_CALL_RESUME, argc, argv);
}
