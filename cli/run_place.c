#include "cli/run_place.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/run_disk.h"
#include "io/status_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static hr_run_options run_options(const hr_render_call *call, const hr_video *video)
{
    const hr_render_options *o = &call->options;

    return (hr_run_options){
        .folder = o->output_file == NULL || o->job.is_set[HR_KEY_OUTPUT_FOLDER]
                      ? video->job.output_folder
                      : NULL,
        .file = o->output_file,
        .video = video->job.video,
        .is_still = call->plan.frames == 1,
        .previews = video->job.preview_every > 0,
        .job_id = getenv("SLURM_JOB_ID"),
        .is_named = o->output_file != NULL || o->job.is_set[HR_KEY_OUTPUT_FOLDER],
        .fresh = o->fresh,
    };
}

/* The file beside the folder, where a run that was started with -o FILE alone put its
 * video: FILE.run knows that it was so, but only its own name says where. */
static hr_status find_result(const hr_render_call *call, hr_run_options *options,
                             hr_text *file)
{
    const char *folder = options->folder, *ending = options->is_still ? ".png" : ".mp4";
    size_t n = folder != NULL ? strlen(folder) : 0;
    hr_run_report report;
    hr_text path = {0};
    const char *name;
    hr_status status = HR_OK;

    while (n > 0 && folder[n - 1] == '/')
        n--;
    if (call->options.resume == NULL || options->file != NULL || n <= strlen(".run") ||
        strncmp(folder + n - strlen(".run"), ".run", strlen(".run")) != 0)
        return HR_OK;
    HR_TRY(hr_text_printf(&path, "%.*s/status.json", (int)n, folder));
    if (access(path.s, F_OK) == 0)
        status = hr_status_file_read(path.s, &report);
    else
        report = (hr_run_report){0};
    hr_text_free(&path);
    HR_TRY(status);
    HR_TRY_GOTO(hr_text_printf(file, "%.*s%s", (int)(n - strlen(".run")), folder, ending),
                done);
    name = strrchr(file->s, '/') != NULL ? strrchr(file->s, '/') + 1 : file->s;
    if (report.status.output != NULL) {
        const char *there = strrchr(report.status.output, '/');

        if (strcmp(there != NULL ? there + 1 : report.status.output, name) == 0)
            options->file = file->s;
    }
done:
    hr_run_report_free(&report);
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

static hr_status make_identity(const hr_render_call *call, const hr_video *video,
                               hr_identity *out)
{
    hr_text job = {0};
    hr_status status = hr_identity_add_job(&video->job, &call->plan, video->prompt,
                                           call->options.latents_in, &job);

    if (status == HR_OK)
        status = hr_identity_make(
            job.s, call->model_lines.s != NULL ? call->model_lines.s : "", out);
    hr_text_free(&job);
    return status;
}

static hr_hash hash_identity(const hr_identity *identity)
{
    const hr_hash hashes[2] = {hr_hash_bytes(identity->job, strlen(identity->job)),
                               hr_hash_bytes(identity->model, strlen(identity->model))};

    return hr_hash_bytes(hashes, sizeof hashes);
}

/* Denoised latents that are decoded by themselves belong to the run from then on: so it
 * goes on with them. */
static hr_status adopt_latents(const char *file, const char *latents)
{
    char whole[PATH_MAX];

    if (access(latents, F_OK) == 0)
        return HR_OK;
    if (link(file, latents) == 0 ||
        (realpath(file, whole) != NULL && symlink(whole, latents) == 0))
        return HR_OK;
    return hr_fail(HR_ERR_IO, "cannot make %s: %s", latents, strerror(errno));
}

/* How the folder is made ready: pieces of a film stay when they are of this one. */
static hr_status begin(const hr_render_call *call, const hr_run_place *place,
                       const hr_hash *hash)
{
    const hr_run_folder *run = &place->folder;
    const hr_render_options *o = &call->options;
    bool is_ours = hr_run_folder_is_of(run, hash);
    struct stat file, own;

    if (place->found.kind == HR_FOUND_CHECKPOINT)
        return hr_run_folder_begin(run, HR_RUN_ON);
    if (place->found.kind == HR_FOUND_NOTHING && o->resume != NULL && !is_ours)
        return hr_fail(HR_ERR_CHECKPOINT,
                       "%s: there is no checkpoint, and its job.yaml, its model or the "
                       "file that --latents gave are not those that it was started with",
                       run->folder);
    if (place->found.kind == HR_FOUND_NOTHING)
        return hr_run_folder_begin(run, o->force ? HR_RUN_OVER : HR_RUN_NEW);
    if (o->decode_only != NULL) {
        bool is_in = stat(o->decode_only, &file) == 0 &&
                     stat(run->latents_file, &own) == 0 && file.st_ino == own.st_ino &&
                     file.st_dev == own.st_dev;

        if (!o->force)
            HR_TRY(hr_run_folder_refuse_results(run));
        if (!is_in && !is_ours)
            HR_TRY(hr_run_folder_begin(run, HR_RUN_OVER));
        HR_TRY(adopt_latents(o->decode_only, run->latents_file));
    }
    if (!is_ours)
        HR_TRY(hr_folder_remove(run->segments_folder));
    return hr_run_folder_begin(run, HR_RUN_ON);
}

static hr_wanted what_is_wanted(const hr_render_call *call, hr_run_place *place)
{
    const hr_render_options *o = &call->options;

    return (hr_wanted){
        .run = &place->folder,
        .identity = &place->identity,
        .decode_only = o->decode_only,
        .n_steps = call->plan.n_steps,
        .stop_after_step = o->stop_after_step,
        .force = o->force,
        .is_resume = o->resume != NULL,
        .has_side_files = o->latents_out != NULL || o->frames_out != NULL,
    };
}

/* On the first rank. */
static hr_status open_place(const hr_render_call *call, hr_video *video,
                            hr_run_place *place)
{
    const hr_wanted wanted = what_is_wanted(call, place);
    hr_run_options options = run_options(call, video);
    hr_text file = {0};
    hr_hash hash;
    hr_status status = find_result(call, &options, &file);

    if (status == HR_OK)
        status = hr_run_folder_open(&options, &place->folder);
    hr_text_free(&file);
    HR_TRY(status);
    HR_TRY(set_folder(&video->job, place->folder.folder));
    HR_TRY(make_identity(call, video, &place->identity));
    if (!call->options.force || call->options.decode_only != NULL)
        HR_TRY(hr_resume_look(&wanted, &place->found));
    if (place->found.kind == HR_FOUND_DONE) {
        hr_resume_say(&wanted, &place->found);
        return HR_OK;
    }
    hash = hash_identity(&place->identity);
    HR_TRY(begin(call, place, &hash));
    HR_TRY(hr_log_open(place->folder.log_file));
    hr_resume_say(&wanted, &place->found);
    place->checkpoint_bytes = hr_run_disk_checkpoint(call, &video->job);
    HR_TRY(hr_run_disk_check(call, &video->job, place));
    return hr_run_folder_save_job(&place->folder, &video->job, &hash);
}

/* On the first rank: what the others have to know too. */
static hr_status write_job(const hr_video *video, hr_run_place *place)
{
    hr_text yaml = {0};

    place->path = hr_strdup(place->folder.folder);
    if (place->path == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    HR_TRY(hr_job_write_yaml(&video->job, &yaml));
    place->job_yaml = yaml.s;
    return HR_OK;
}

/* Collective: all that is known on the first rank. */
static hr_status share(const hr_ranks *ranks, hr_run_place *place, char **lock)
{
    char **const texts[] = {&place->path,           &place->found.path,
                            &place->job_yaml,       &place->identity.job,
                            &place->identity.model, lock};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        HR_TRY(hr_ranks_share_text(ranks, texts[i]));
    return HR_OK;
}

static hr_status make_path(const char *folder, const char *name, char **out)
{
    hr_text path = {0};

    HR_TRY(hr_text_printf(&path, "%s/%s", folder, name));
    *out = path.s;
    return HR_OK;
}

static hr_status make_paths(hr_run_place *place)
{
    HR_TRY(make_path(place->path, "checkpoint", &place->checkpoints));
    HR_TRY(make_path(place->path, "latents.h5", &place->latents));
    return make_path(place->path, "segments", &place->segments);
}

/* Not every host need see the folder: a rank keeps a log of its own where it does, and
 * its frame states where hosts keep what is temporary where it does not. */
static hr_status use_folder(const hr_ranks *ranks, hr_run_place *place, bool is_seen)
{
    char *log = NULL;

    if (!is_seen || access(place->path, W_OK) != 0) {
        place->scratch = hr_strdup(hr_temporary_folder());
        return place->scratch != NULL ? HR_OK
                                      : hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    }
    if (!hr_ranks_is_first(ranks) &&
        hr_run_folder_log_of(place->path, ranks->rank, &log) == HR_OK)
        (void)hr_log_open(log);
    hr_free(log);
    return make_path(place->path, "scratch", &place->scratch);
}

/* On the first rank: which ranks do not see the folder. */
static hr_status judge_sight(const hr_ranks *ranks, const int32_t *sees,
                             hr_run_place *place)
{
    char name[HR_RANK_TEXT_BYTES];
    int blind = 0;

    while (blind < ranks->n && sees[blind] != 0)
        blind++;
    place->can_save = blind == ranks->n;
    if (place->can_save)
        return HR_OK;
    hr_ranks_name(ranks, blind, name);
    if (place->found.kind != HR_FOUND_NOTHING)
        return hr_fail(HR_ERR_IO,
                       "%s does not see the folder %s, which the run goes on from", name,
                       place->path);
    hr_warn("no checkpoints: %s does not see the folder %s", name, place->path);
    return HR_OK;
}

/* Collective. */
static hr_status look_around(const hr_ranks *ranks, hr_run_place *place, const char *lock)
{
    int32_t sees = hr_lock_is_seen(place->path, lock), can_save = 0;
    hr_status status = use_folder(ranks, place, sees != 0);
    void *all;

    HR_TRY(hr_ranks_collect(ranks, status, &sees, sizeof sees, &all));
    if (hr_ranks_is_first(ranks)) {
        status = judge_sight(ranks, all, place);
        can_save = place->can_save;
        if (status == HR_OK && place->can_save)
            status = hr_folder_create(place->checkpoints);
    }
    hr_free(all);
    HR_TRY(hr_ranks_agree(ranks, status));
    HR_TRY(hr_ranks_broadcast(ranks, &can_save, sizeof can_save));
    place->can_save = can_save != 0;
    return HR_OK;
}

/* Collective, where there is work to do. */
static hr_status make_ready(hr_render_call *call, hr_video *video, hr_run_place *place)
{
    const hr_ranks *ranks = &call->ranks;
    bool is_first = hr_ranks_is_first(ranks);
    char *lock = is_first ? (char *)(uintptr_t)hr_lock_text(place->folder.lock) : NULL;
    hr_status status = is_first ? write_job(video, place) : HR_OK;

    HR_TRY(hr_ranks_agree(ranks, status));
    status = share(ranks, place, &lock);
    if (status == HR_OK)
        status = make_paths(place);
    status = hr_ranks_agree(ranks, status);
    if (status == HR_OK)
        status = look_around(ranks, place, lock);
    if (!is_first)
        hr_free(lock);
    return status;
}

/* What the first rank tells before the texts. */
typedef struct decision {
    int32_t status, kind, steps_done;
    uint64_t checkpoint_bytes;
} decision;

hr_status hr_run_place_open(hr_render_call *call, hr_video *video, hr_run_place *out)
{
    const hr_ranks *ranks = &call->ranks;
    decision d = {0};

    *out = (hr_run_place){0};
    if (hr_ranks_is_first(ranks)) {
        d.status = (int32_t)open_place(call, video, out);
        d.kind = (int32_t)out->found.kind;
        d.steps_done = out->found.steps_done;
        d.checkpoint_bytes = out->checkpoint_bytes;
    }
    HR_TRY(hr_ranks_broadcast(ranks, &d, sizeof d));
    out->found.kind = (hr_found_kind)d.kind;
    out->found.steps_done = d.steps_done;
    out->checkpoint_bytes = d.checkpoint_bytes;
    if (d.status != HR_OK || out->found.kind == HR_FOUND_DONE)
        return (hr_status)d.status;
    return make_ready(call, video, out);
}

void hr_run_place_close(hr_run_place *place)
{
    hr_run_folder_close(&place->folder);
    hr_found_free(&place->found);
    hr_identity_free(&place->identity);
    hr_free(place->path);
    hr_free(place->job_yaml);
    hr_free(place->checkpoints);
    hr_free(place->latents);
    hr_free(place->segments);
    hr_free(place->scratch);
    *place = (hr_run_place){0};
}

hr_checkpointing hr_run_place_checkpointing(const hr_run_place *place, const hr_job *job)
{
    bool is_denoised = place->found.kind == HR_FOUND_LATENTS;

    if (!place->can_save)
        return (hr_checkpointing){0};
    return (hr_checkpointing){
        .folder = place->checkpoints,
        .keep = (int)job->checkpoint_keep,
        .resume = place->found.kind == HR_FOUND_CHECKPOINT ? place->found.path : NULL,
        .latents = is_denoised ? place->found.path : place->latents,
        .is_denoised = is_denoised,
        .segments_folder = place->segments,
        .job = place->identity.job,
        .model = place->identity.model,
        .job_yaml = place->job_yaml,
    };
}

hr_status hr_run_place_take_seed(hr_render_call *call)
{
    const hr_render_options *o = &call->options;
    struct {
        uint64_t seed;
        int32_t has_one, status;
    } found = {0};
    hr_run_options options;
    bool has_one = false;
    char *folder;

    if (call->is_batch || o->force || o->fresh || o->job.is_set[HR_KEY_SEED])
        return HR_OK;
    if (hr_ranks_is_first(&call->ranks)) {
        options = run_options(call, &call->batch.videos[0]);
        found.status = (int32_t)hr_run_folder_choose(&options, &folder);
        if (found.status == HR_OK) {
            found.status = (int32_t)hr_resume_find_seed(folder, &found.seed, &has_one);
            hr_free(folder);
        }
        found.has_one = has_one;
    }
    HR_TRY(hr_ranks_broadcast(&call->ranks, &found, sizeof found));
    if (found.has_one)
        call->batch.videos[0].job.seed = found.seed;
    return (hr_status)found.status;
}

bool hr_run_place_has_run(const hr_render_call *call)
{
    const hr_run_options options = run_options(call, &call->batch.videos[0]);
    char *folder, *job = NULL;
    bool has_one;

    if (hr_run_folder_choose(&options, &folder) != HR_OK)
        return false;
    has_one = make_path(folder, "job.yaml", &job) == HR_OK && access(job, F_OK) == 0;
    hr_free(job);
    hr_free(folder);
    return has_one;
}
