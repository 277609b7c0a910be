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
#include <string.h>

struct hr_saver {
    hr_save_options paths; /* borrowed strings: they outlive the saver */
    int64_t n_frames, height, width, n_done;
    hr_video_writer *video;
    hr_frames_writer *pictures;
    hr_safetensors_writer *frames;
    float *picture; /* kept until the end: a picture is only written when all is well */
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
    status = open_files(saver, fps);
    if (status != HR_OK) {
        hr_saver_abandon(saver);
        return status;
    }
    *out = saver;
    return HR_OK;
}

hr_status hr_saver_frame(hr_saver *saver, const float *rgb)
{
    if (saver->video != NULL)
        HR_TRY(hr_video_append(saver->video, rgb));
    if (saver->frames != NULL)
        HR_TRY(hr_safetensors_append(saver->frames, rgb, frame_bytes(saver)));
    if (saver->pictures != NULL)
        HR_TRY(hr_frames_append(saver->pictures, rgb));
    if (saver->picture != NULL)
        memcpy(saver->picture, rgb, frame_bytes(saver));
    saver->n_done++;
    return HR_OK;
}

hr_status hr_saver_finish(hr_saver *saver)
{
    hr_safetensors_writer *frames = saver->frames;
    hr_frames_writer *pictures = saver->pictures;
    hr_video_writer *video = saver->video;
    hr_status status = HR_OK;

    if (saver->n_done != saver->n_frames)
        status = hr_fail(HR_ERR_INTERNAL, "%" PRId64 " of %" PRId64 " frames were saved",
                         saver->n_done, saver->n_frames);
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
    hr_video_abandon(saver->video);
    hr_frames_abandon(saver->pictures);
    hr_safetensors_abandon(saver->frames);
    hr_free(saver->picture);
    hr_free(saver);
}
