#include "worker/save.h"

#include "base/dtype.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/frames.h"
#include "io/picture.h"
#include "io/safetensors.h"
#include "io/video.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

/* Frames between the caller and the thread that writes them. */
typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    float *frames; /* HR_SAVER_QUEUE of them, used in turn */
    int64_t n_in, n_out;
    bool is_closed;   /* the thread ends: when all is written, or ... */
    bool is_dropped;  /* ... at once */
    hr_status status; /* of the thread */
} queue;

struct hr_saver {
    hr_save_options paths; /* borrowed strings: they outlive the saver */
    int64_t n_frames, height, width;
    hr_video_writer *video;
    hr_frames_writer *pictures;
    hr_safetensors_writer *frames;
    float *picture; /* kept until the end: a picture is only written when all is well */
    queue queue;
    pthread_t thread;
    bool has_thread;
};

static size_t frame_bytes(const hr_saver *saver)
{
    return (size_t)(saver->height * saver->width * 3) * sizeof(float);
}

static hr_status open_files(hr_saver *saver, double fps)
{
    const hr_video_options video = {
        .width = saver->width, .height = saver->height, .fps = fps};
    const hr_stored_tensor frames = {
        .name = "frames",
        .dtype = HR_F32,
        .n_dims = 4,
        .dim = {saver->n_frames, saver->height, saver->width, 3},
    };

    if (saver->paths.video != NULL)
        HR_TRY(hr_video_begin(saver->paths.video, &video, &saver->video));
    if (saver->paths.frames_file != NULL)
        HR_TRY(hr_safetensors_begin(saver->paths.frames_file, &frames, &saver->frames));
    if (saver->paths.frames_folder != NULL)
        HR_TRY(hr_frames_begin(saver->paths.frames_folder, saver->width, saver->height,
                               &saver->pictures));
    if (saver->paths.picture != NULL)
        return hr_alloc_or_fail(frame_bytes(saver), "the picture",
                                (void **)&saver->picture);
    return HR_OK;
}

/* On the thread, like all writing of frames. */
static hr_status write_frame(hr_saver *saver, const float *rgb)
{
    if (saver->video != NULL)
        HR_TRY(hr_video_append(saver->video, rgb));
    if (saver->frames != NULL)
        HR_TRY(hr_safetensors_append(saver->frames, rgb, frame_bytes(saver)));
    if (saver->pictures != NULL)
        HR_TRY(hr_frames_append(saver->pictures, rgb));
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
        hr_status status;

        pthread_mutex_unlock(&q->lock);
        status = write_frame(saver, frame);
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
    if (pthread_create(&saver->thread, NULL, write_frames, saver) != 0)
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

hr_status hr_saver_open(const hr_save_options *options, const int64_t n_frames_h_w[3],
                        double fps, hr_saver **out)
{
    void *memory;
    hr_saver *saver;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *saver, "the output", &memory));
    saver = memory;
    saver->paths = *options;
    saver->n_frames = n_frames_h_w[0];
    saver->height = n_frames_h_w[1];
    saver->width = n_frames_h_w[2];
    pthread_mutex_init(&saver->queue.lock, NULL);
    pthread_cond_init(&saver->queue.changed, NULL);
    status = open_files(saver, fps);
    if (status == HR_OK)
        status = start_thread(saver);
    if (status != HR_OK) {
        hr_saver_abandon(saver);
        return status;
    }
    *out = saver;
    return HR_OK;
}

hr_status hr_saver_frame(hr_saver *saver, const float *rgb)
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
    pthread_mutex_lock(&q->lock);
    q->n_in++;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return HR_OK;
}

hr_status hr_saver_finish(hr_saver *saver)
{
    hr_safetensors_writer *frames = saver->frames;
    hr_frames_writer *pictures = saver->pictures;
    hr_video_writer *video = saver->video;
    hr_status status = stop_thread(saver, false);

    if (status == HR_OK && saver->queue.n_out != saver->n_frames)
        status = hr_fail(HR_ERR_INTERNAL, "%" PRId64 " of %" PRId64 " frames were saved",
                         saver->queue.n_out, saver->n_frames);
    if (status == HR_OK && pictures != NULL) {
        saver->pictures = NULL;
        status = hr_frames_finish(pictures);
    }
    if (status == HR_OK && video != NULL) {
        saver->video = NULL;
        status = hr_video_finish(video);
    }
    if (status == HR_OK && frames != NULL) {
        saver->frames = NULL;
        status = hr_safetensors_finish(frames);
    }
    if (status == HR_OK && saver->picture != NULL)
        status = hr_picture_write_png(saver->paths.picture, saver->picture, saver->width,
                                      saver->height);
    hr_saver_abandon(saver);
    return status;
}

void hr_saver_abandon(hr_saver *saver)
{
    if (saver == NULL)
        return;
    (void)stop_thread(saver, true); /* whoever abandons has a failure already */
    hr_video_abandon(saver->video);
    hr_frames_abandon(saver->pictures);
    hr_safetensors_abandon(saver->frames);
    hr_free(saver->picture);
    hr_free(saver->queue.frames);
    pthread_cond_destroy(&saver->queue.changed);
    pthread_mutex_destroy(&saver->queue.lock);
    hr_free(saver);
}
