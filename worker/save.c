#include "worker/save.h"

#include "base/dtype.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/picture.h"
#include "io/safetensors.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* Frames between the caller and the thread that writes them. */
typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    float *frames; /* HR_SAVER_QUEUE of them, used in turn */
    hr_hash hashes[HR_SAVER_QUEUE];
    int64_t n_in, n_out;
    bool is_closed;   /* the thread ends: when all is written, or ... */
    bool is_dropped;  /* ... at once */
    hr_status status; /* of the thread */
} queue;

struct hr_saver {
    hr_save_options paths; /* borrowed strings: they outlive the saver */
    hr_saver_film film;
    hr_text temporary; /* folder of segments that are not kept; empty where they are */
    hr_segments_writer *segments;
    hr_safetensors_writer *frames;
    float *picture; /* kept until the end: a picture is only written when all is well */
    int64_t n_done; /* when it was opened */
    queue queue;
    pthread_t thread;
    bool has_thread;
};

static size_t frame_bytes(const hr_saver *saver)
{
    return (size_t)(saver->film.height * saver->film.width * 3) * sizeof(float);
}

static const char *result_of(const hr_saver *saver)
{
    return saver->paths.video != NULL ? saver->paths.video : saver->paths.frames_folder;
}

/* ".NAME.segments" beside the result. */
static hr_status name_temporary(hr_saver *saver)
{
    const char *result = result_of(saver), *slash = strrchr(result, '/');
    size_t folder = slash != NULL ? (size_t)(slash - result) + 1 : 0;

    HR_TRY(hr_text_append(&saver->temporary, result, folder));
    return hr_text_printf(&saver->temporary, ".%s.segments", result + folder);
}

static hr_status open_segments(hr_saver *saver)
{
    const hr_saver_film *film = &saver->film;
    const char *folder = film->segments_folder;
    const hr_film of = {.n_pictures = film->n_frames,
                        .height = film->height,
                        .width = film->width,
                        .per_latent = film->per_latent,
                        .fps = film->fps,
                        .kind = saver->paths.video != NULL           ? HR_JOB_MP4
                                : saver->paths.frames_folder != NULL ? HR_JOB_PNG
                                                                     : HR_JOB_NO_VIDEO,
                        .source = film->source,
                        .must_try = film->must_try};

    if (folder == NULL) {
        HR_TRY(name_temporary(saver));
        folder = saver->temporary.s;
    }
    if (saver->temporary.length > 0 || saver->frames != NULL)
        HR_TRY(hr_segments_drop(folder));
    HR_TRY(hr_segments_open(folder, &of, film->done, film->user, &saver->segments));
    saver->n_done = hr_segments_done(saver->segments);
    return HR_OK;
}

static hr_status open_files(hr_saver *saver)
{
    const hr_saver_film *film = &saver->film;
    const hr_stored_tensor frames = {
        .name = "frames",
        .dtype = HR_F32,
        .n_dims = 4,
        .dim = {film->n_frames, film->height, film->width, 3},
    };

    if (saver->paths.frames_file != NULL)
        HR_TRY(hr_safetensors_begin(saver->paths.frames_file, &frames, &saver->frames));
    if (saver->paths.picture != NULL)
        return hr_alloc_or_fail(frame_bytes(saver), "the picture",
                                (void **)&saver->picture);
    if (result_of(saver) != NULL || film->segments_folder != NULL)
        return open_segments(saver);
    return HR_OK;
}

/* On the thread, like all writing of frames. */
static hr_status write_frame(hr_saver *saver, const float *rgb, hr_hash hash)
{
    if (saver->frames != NULL)
        HR_TRY(hr_safetensors_append(saver->frames, rgb, frame_bytes(saver)));
    if (saver->segments != NULL)
        HR_TRY(hr_segments_append(saver->segments, rgb, hash));
    if (saver->picture != NULL)
        memcpy(saver->picture, rgb, frame_bytes(saver));
    return HR_OK;
}

static float *slot_of(const hr_saver *saver, int64_t frame)
{
    return saver->queue.frames +
           frame % HR_SAVER_QUEUE * (int64_t)(frame_bytes(saver) / sizeof(float));
}

/* Whether there is a frame to write; waits for one. */
static bool wait_for_frame(queue *q)
{
    while (q->n_in == q->n_out && !q->is_closed)
        pthread_cond_wait(&q->changed, &q->lock);
    return q->n_in > q->n_out && !q->is_dropped && q->status == HR_OK;
}

static void *write_frames(void *user)
{
    hr_saver *saver = user;
    queue *q = &saver->queue;

    pthread_mutex_lock(&q->lock);
    while (wait_for_frame(q)) {
        const float *frame = slot_of(saver, q->n_out);
        hr_hash hash = q->hashes[q->n_out % HR_SAVER_QUEUE];
        hr_status status;

        pthread_mutex_unlock(&q->lock);
        status = write_frame(saver, frame, hash);
        pthread_mutex_lock(&q->lock);
        q->status = status;
        q->n_out++;
        pthread_cond_signal(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static hr_status start_thread(hr_saver *saver)
{
    size_t bytes;

    HR_TRY(hr_size_mul(frame_bytes(saver), HR_SAVER_QUEUE, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "frames to be saved", (void **)&saver->queue.frames));
    if (hr_fault("thread.create") ||
        pthread_create(&saver->thread, NULL, write_frames, saver) != 0)
        return hr_fail(HR_ERR_NOMEM, "cannot start a thread that saves frames");
    saver->has_thread = true;
    return HR_OK;
}

/* Ends the thread; what it came to. */
static hr_status stop_thread(hr_saver *saver, bool drop)
{
    queue *q = &saver->queue;

    if (!saver->has_thread)
        return HR_OK;
    pthread_mutex_lock(&q->lock);
    q->is_closed = true;
    q->is_dropped = drop;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    pthread_join(saver->thread, NULL);
    saver->has_thread = false;
    return q->status;
}

hr_status hr_saver_open(const hr_save_options *options, const hr_saver_film *film,
                        hr_saver **out)
{
    void *memory;
    hr_saver *saver;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *saver, "the output", &memory));
    saver = memory;
    saver->paths = *options;
    saver->film = *film;
    pthread_mutex_init(&saver->queue.lock, NULL);
    pthread_cond_init(&saver->queue.changed, NULL);
    status = open_files(saver);
    if (status == HR_OK)
        status = start_thread(saver);
    if (status != HR_OK) {
        hr_saver_abandon(saver);
        return status;
    }
    *out = saver;
    return HR_OK;
}

int64_t hr_saver_done(const hr_saver *saver)
{
    return saver->n_done;
}

hr_status hr_saver_frame(hr_saver *saver, const float *rgb, hr_hash hash)
{
    queue *q = &saver->queue;
    hr_status status;

    pthread_mutex_lock(&q->lock);
    while (q->n_in - q->n_out == HR_SAVER_QUEUE && q->status == HR_OK)
        pthread_cond_wait(&q->changed, &q->lock);
    status = q->status;
    pthread_mutex_unlock(&q->lock);
    HR_TRY(status);
    memcpy(slot_of(saver, q->n_in), rgb,
           frame_bytes(saver)); /* the thread is not there */
    q->hashes[q->n_in % HR_SAVER_QUEUE] = hash;
    pthread_mutex_lock(&q->lock);
    q->n_in++;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return HR_OK;
}

static hr_status finish_files(hr_saver *saver)
{
    hr_safetensors_writer *frames = saver->frames;
    hr_segments_writer *segments = saver->segments;

    if (frames != NULL) {
        saver->frames = NULL;
        HR_TRY(hr_safetensors_finish(frames));
    }
    if (segments != NULL) {
        saver->segments = NULL;
        HR_TRY(hr_segments_finish(segments, result_of(saver)));
    }
    if (saver->picture == NULL)
        return HR_OK;
    return hr_picture_write_png(saver->paths.picture, saver->picture, saver->film.width,
                                saver->film.height);
}

hr_status hr_saver_finish(hr_saver *saver)
{
    hr_status status = stop_thread(saver, false);
    int64_t n_saved = saver->n_done + saver->queue.n_out;

    if (status == HR_OK && n_saved != saver->film.n_frames)
        status = hr_fail(HR_ERR_INTERNAL, "%" PRId64 " of %" PRId64 " frames were saved",
                         n_saved, saver->film.n_frames);
    if (status == HR_OK)
        status = finish_files(saver);
    hr_saver_abandon(saver);
    return status;
}

void hr_saver_abandon(hr_saver *saver)
{
    if (saver == NULL)
        return;
    (void)stop_thread(saver, true); /* whoever abandons has a failure already */
    hr_segments_close(saver->segments);
    if (saver->temporary.length > 0)
        (void)hr_segments_drop(saver->temporary.s);
    hr_safetensors_abandon(saver->frames);
    hr_free(saver->picture);
    hr_free(saver->queue.frames);
    hr_text_free(&saver->temporary);
    pthread_cond_destroy(&saver->queue.changed);
    pthread_mutex_destroy(&saver->queue.lock);
    hr_free(saver);
}
