#include "io/picture.h"

#include "base/fault.h"
#include "base/log.h"
#include "io/av.h"
#include "io/out_file.h"

#include <libavcodec/avcodec.h>
#include <libavutil/frame.h>

enum { MAX_SIDE = 32768, ZLIB_LEVEL = 6 };

static hr_status open_encoder(const char *path, int width, int height,
                              AVCodecContext **out)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_PNG);
    AVCodecContext *encoder;
    int code;

    if (codec == NULL)
        return hr_fail(HR_ERR_UNSUPPORTED,
                       "cannot write %s: this libav has no PNG encoder", path);
    encoder = hr_fault("av.alloc") ? NULL : avcodec_alloc_context3(codec);
    if (encoder == NULL)
        return hr_av_fail(path, "write", AVERROR(ENOMEM));
    encoder->width = width;
    encoder->height = height;
    encoder->pix_fmt = AV_PIX_FMT_RGB24;
    encoder->time_base = (AVRational){1, 1};
    encoder->compression_level = ZLIB_LEVEL;
    encoder->thread_count = 1;
    encoder->flags |= AV_CODEC_FLAG_BITEXACT;
    code = hr_fault("av.open") ? AVERROR(ENOMEM) : avcodec_open2(encoder, codec, NULL);
    if (code < 0) {
        avcodec_free_context(&encoder);
        return hr_av_fail(path, "start the PNG encoder for", code);
    }
    *out = encoder;
    return HR_OK;
}

static hr_status make_frame(const char *path, const float *rgb, int width, int height,
                            AVFrame **out)
{
    AVFrame *frame = hr_fault("av.alloc") ? NULL : av_frame_alloc();
    int code = AVERROR(ENOMEM);

    if (frame != NULL) {
        frame->format = AV_PIX_FMT_RGB24;
        frame->width = width;
        frame->height = height;
        code = hr_fault("av.alloc") ? AVERROR(ENOMEM) : av_frame_get_buffer(frame, 0);
    }
    if (code < 0) {
        av_frame_free(&frame);
        return hr_av_fail(path, "write", code);
    }
    for (int y = 0; y < height; y++)
        hr_av_to_bytes(rgb + (size_t)y * (size_t)width * 3, (size_t)width * 3,
                       frame->data[0] + (ptrdiff_t)y * frame->linesize[0]);
    *out = frame;
    return HR_OK;
}

/* A PNG is one packet, the file as it is. */
static hr_status encode(const char *path, AVCodecContext *encoder, const AVFrame *frame)
{
    AVPacket *packet = hr_fault("av.alloc") ? NULL : av_packet_alloc();
    hr_status status;
    int code = packet == NULL ? AVERROR(ENOMEM) : avcodec_send_frame(encoder, frame);

    if (code >= 0)
        code = hr_fault("av.encode") ? AVERROR(ENOMEM)
                                     : avcodec_receive_packet(encoder, packet);
    if (code < 0)
        status = hr_av_fail(path, "encode", code);
    else
        status = hr_out_file_save(path, packet->data, (size_t)packet->size);
    av_packet_free(&packet);
    return status;
}

hr_status hr_picture_write_png(const char *path, const float *rgb, int64_t width,
                               int64_t height)
{
    AVCodecContext *encoder = NULL;
    AVFrame *frame = NULL;
    hr_status status;

    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return hr_fail(HR_ERR_ARG, "cannot write %s: a picture of %lld x %lld", path,
                       (long long)width, (long long)height);
    hr_av_quiet();
    HR_TRY(open_encoder(path, (int)width, (int)height, &encoder));
    status = make_frame(path, rgb, (int)width, (int)height, &frame);
    if (status == HR_OK)
        status = encode(path, encoder, frame);
    av_frame_free(&frame);
    avcodec_free_context(&encoder);
    return status;
}
