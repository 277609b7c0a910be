#include "io/video.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/av.h"
#include "io/mp4.h"

#include <inttypes.h>
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>

enum {
    MAX_SIDE = 16384,
    /* x264's output depends on how many threads it has, so that is a constant, not the
     * machine's number. 81 frames of 832 x 480 on two cores: 2.4 s with 1 thread, 1.1 s
     * with 2, 4 or 8; each thread costs 4 MB. */
    ENCODER_THREADS = 4
};

static const char encoder_name[] = "libx264";

struct hr_video_writer {
    char *path;
    hr_mp4 *mp4;
    AVCodecContext *encoder;
    AVBSFContext *filter;
    struct SwsContext *scale;
    AVFrame *frame;
    AVPacket *packet;
    uint8_t *rgb; /* [height, width, 3] */
    int64_t n_frames;
    hr_status status; /* the first failure */
};

static hr_status failed(const hr_video_writer *writer, const char *doing, int code)
{
    return hr_av_fail(writer->path, doing, code);
}

bool hr_video_can_encode(const char **name)
{
    *name = encoder_name;
    return avcodec_find_encoder_by_name(encoder_name) != NULL;
}

static hr_status check_options(const char *path, const hr_video_options *o)
{
    if (o->width < 2 || o->height < 2 || o->width > MAX_SIDE || o->height > MAX_SIDE ||
        o->width % 2 != 0 || o->height % 2 != 0)
        return hr_fail(
            HR_ERR_ARG,
            "cannot write %s: found %lld x %lld pixels, expected even numbers of "
            "at most %d",
            path, (long long)o->width, (long long)o->height, MAX_SIDE);
    if (!(o->fps >= 0.01 && o->fps <= 1000))
        return hr_fail(HR_ERR_ARG,
                       "cannot write %s: found %g frames per second, expected 0.01..1000",
                       path, o->fps);
    return HR_OK;
}

static int start_encoder(AVCodecContext *encoder, const AVCodec *codec)
{
    AVDictionary *choices = NULL;
    int code = av_dict_set(&choices, "preset", "medium", 0);

    if (code >= 0)
        code = av_dict_set(&choices, "crf", "17", 0);
    if (code >= 0) /* else x264 picks algorithms by what the processor does fast */
        code = av_dict_set(&choices, "x264-params", "cpu-independent=1", 0);
    if (code >= 0)
        code = hr_fault("av.open") ? AVERROR(ENOMEM)
                                   : avcodec_open2(encoder, codec, &choices);
    av_dict_free(&choices);
    return code;
}

static hr_status open_encoder(const char *path, const hr_video_options *options,
                              AVCodecContext **out)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder_name);
    AVCodecContext *encoder;
    int code;

    if (codec == NULL)
        return hr_fail(HR_ERR_UNSUPPORTED,
                       "cannot write %s: this libav has no H.264 encoder (%s)", path,
                       encoder_name);
    encoder = hr_fault("av.alloc") ? NULL : avcodec_alloc_context3(codec);
    if (encoder == NULL)
        return hr_av_fail(path, "write", AVERROR(ENOMEM));
    encoder->width = (int)options->width;
    encoder->height = (int)options->height;
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder->framerate = hr_mp4_rate(options->fps);
    encoder->time_base = av_inv_q(encoder->framerate);
    encoder->sample_aspect_ratio = (AVRational){1, 1};
    encoder->color_primaries = AVCOL_PRI_BT709;
    encoder->color_trc = AVCOL_TRC_BT709;
    encoder->colorspace = AVCOL_SPC_BT709;
    encoder->color_range = AVCOL_RANGE_MPEG;
    encoder->chroma_sample_location = AVCHROMA_LOC_LEFT;
    encoder->thread_count = ENCODER_THREADS;
    encoder->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
    code = start_encoder(encoder, codec);
    if (code < 0) {
        avcodec_free_context(&encoder);
        return hr_av_fail(path, "start the H.264 encoder for", code);
    }
    *out = encoder;
    return HR_OK;
}

/* Drops the SEI messages, NAL type 6: x264 writes its version and options into one. */
static hr_status open_filter(hr_video_writer *writer)
{
    const AVBitStreamFilter *kind = av_bsf_get_by_name("filter_units");
    int code;

    if (kind == NULL)
        return hr_fail(HR_ERR_UNSUPPORTED,
                       "cannot write %s: this libav has no filter_units filter",
                       writer->path);
    code = hr_fault("av.alloc") ? AVERROR(ENOMEM) : av_bsf_alloc(kind, &writer->filter);
    if (code >= 0)
        code = avcodec_parameters_from_context(writer->filter->par_in, writer->encoder);
    if (code >= 0)
        code = av_opt_set(writer->filter->priv_data, "remove_types", "6", 0);
    if (code >= 0) {
        writer->filter->time_base_in = writer->encoder->time_base;
        code = av_bsf_init(writer->filter);
    }
    return code < 0 ? failed(writer, "start the H.264 filter for", code) : HR_OK;
}

/* The RGB frame is rounded to 8 bits first, as in a PNG of it, then converted with
 * swscale's slow exact rounding: within one level of the float picture's own Y'CbCr,
 * which is less than crf 17 changes, and the same on every processor. */
static hr_status open_scale(hr_video_writer *writer)
{
    const int *bt709 = sws_getCoefficients(SWS_CS_ITU709);
    const AVCodecContext *encoder = writer->encoder;
    AVFrame *frame;
    size_t bytes = (size_t)encoder->width * (size_t)encoder->height * 3;
    void *memory;
    int code;

    HR_TRY(hr_alloc_or_fail(bytes, "a video frame", &memory));
    writer->rgb = memory;
    writer->packet = hr_fault("av.alloc") ? NULL : av_packet_alloc();
    writer->frame = frame = hr_fault("av.alloc") ? NULL : av_frame_alloc();
    writer->scale =
        sws_getContext(encoder->width, encoder->height, AV_PIX_FMT_RGB24, encoder->width,
                       encoder->height, AV_PIX_FMT_YUV420P,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP,
                       NULL, NULL, NULL);
    if (writer->packet == NULL || frame == NULL || writer->scale == NULL)
        return failed(writer, "write", AVERROR(ENOMEM));
    code =
        sws_setColorspaceDetails(writer->scale, bt709, 1, bt709, 0, 0, 1 << 16, 1 << 16);
    if (code >= 0) {
        frame->format = encoder->pix_fmt;
        frame->width = encoder->width;
        frame->height = encoder->height;
        code = av_frame_get_buffer(frame, 0);
    }
    return code < 0 ? failed(writer, "convert colours for", code) : HR_OK;
}

static hr_status open_mp4(hr_video_writer *writer)
{
    AVCodecParameters *parameters = writer->filter->par_out;

    parameters->sample_aspect_ratio = writer->encoder->sample_aspect_ratio;
    return hr_mp4_begin(writer->path, parameters, writer->encoder->framerate,
                        &writer->mp4);
}

static hr_status open_parts(hr_video_writer *writer, const char *path,
                            const hr_video_options *options)
{
    writer->path = hr_strdup(path);
    if (writer->path == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the name %s", path);
    HR_TRY(open_encoder(path, options, &writer->encoder));
    HR_TRY(open_filter(writer));
    HR_TRY(open_scale(writer));
    return open_mp4(writer);
}

hr_status hr_video_begin(const char *path, const hr_video_options *options,
                         hr_video_writer **out)
{
    hr_video_writer *writer;
    void *memory;
    hr_status status;

    HR_TRY(check_options(path, options));
    HR_TRY(hr_alloc_or_fail(sizeof *writer, path, &memory));
    hr_av_quiet();
    writer = memory;
    status = open_parts(writer, path, options);
    if (status != HR_OK) {
        hr_video_abandon(writer);
        return status;
    }
    *out = writer;
    return HR_OK;
}

hr_status hr_video_encoder(const char *path, const hr_video_options *options,
                           hr_hash *out)
{
    const uint32_t version = avcodec_version();
    AVCodecContext *encoder = NULL;
    hr_text all = {0};
    hr_status status;

    HR_TRY(check_options(path, options));
    hr_av_quiet();
    HR_TRY(open_encoder(path, options, &encoder));
    status = hr_text_append(&all, (const char *)encoder->extradata,
                            (size_t)encoder->extradata_size);
    if (status == HR_OK)
        status = hr_text_printf(&all, "%" PRIu32, version);
    if (status == HR_OK)
        *out = hr_hash_bytes(all.s, all.length);
    hr_text_free(&all);
    avcodec_free_context(&encoder);
    return status;
}

/* Passes on to the file what the filter has ready. */
static hr_status drain_filter(hr_video_writer *writer)
{
    int code;

    while ((code = av_bsf_receive_packet(writer->filter, writer->packet)) >= 0)
        HR_TRY(hr_mp4_write(writer->mp4, writer->packet));
    if (code != AVERROR(EAGAIN) && code != AVERROR_EOF)
        return failed(writer, "encode", code);
    return HR_OK;
}

/* A packet of the encoder's, or NULL for "no more". */
static hr_status filter(hr_video_writer *writer, AVPacket *packet)
{
    int code = hr_fault("av.encode") ? AVERROR(ENOMEM)
                                     : av_bsf_send_packet(writer->filter, packet);

    return code < 0 ? failed(writer, "encode", code) : drain_filter(writer);
}

/* Gives one frame to the encoder, or NULL for "no more", and writes what comes out. */
static hr_status encode(hr_video_writer *writer, const AVFrame *frame)
{
    AVPacket *packet = writer->packet;
    int code = hr_fault("av.encode") ? AVERROR(ENOMEM)
                                     : avcodec_send_frame(writer->encoder, frame);

    if (code < 0)
        return failed(writer, "encode", code);
    while ((code = avcodec_receive_packet(writer->encoder, packet)) >= 0) {
        packet->duration = 1;
        HR_TRY(filter(writer, packet));
    }
    if (code != AVERROR(EAGAIN) && code != AVERROR_EOF)
        return failed(writer, "encode", code);
    return HR_OK;
}

static hr_status append(hr_video_writer *writer, const float *rgb)
{
    AVFrame *frame = writer->frame;
    size_t width = (size_t)frame->width, height = (size_t)frame->height;
    const uint8_t *const planes[1] = {writer->rgb};
    const int strides[1] = {frame->width * 3};
    int code = av_frame_make_writable(frame);

    if (code < 0)
        return failed(writer, "encode", code);
    hr_av_to_bytes(rgb, width * height * 3, writer->rgb);
    code = sws_scale(writer->scale, planes, strides, 0, frame->height, frame->data,
                     frame->linesize);
    if (code < 0)
        return failed(writer, "convert colours for", code);
    frame->pts = writer->n_frames++;
    return encode(writer, frame);
}

hr_status hr_video_append(hr_video_writer *writer, const float *rgb)
{
    if (writer->status == HR_OK)
        writer->status = append(writer, rgb);
    return writer->status;
}

static hr_status encode_rest(hr_video_writer *writer)
{
    if (writer->n_frames == 0)
        return hr_fail(HR_ERR_INTERNAL, "cannot write %s: a video without frames",
                       writer->path);
    HR_TRY(encode(writer, NULL));
    return filter(writer, NULL);
}

/* All but the file. */
static hr_mp4 *destroy(hr_video_writer *writer)
{
    hr_mp4 *mp4 = writer->mp4;

    sws_freeContext(writer->scale);
    av_frame_free(&writer->frame);
    av_packet_free(&writer->packet);
    av_bsf_free(&writer->filter);
    avcodec_free_context(&writer->encoder);
    hr_free(writer->rgb);
    hr_free(writer->path);
    hr_free(writer);
    return mp4;
}

hr_status hr_video_finish(hr_video_writer *writer)
{
    hr_status status = writer->status;
    hr_mp4 *mp4;

    if (status == HR_OK)
        status = encode_rest(writer);
    mp4 = destroy(writer);
    if (status == HR_OK)
        return hr_mp4_finish(mp4);
    hr_mp4_abandon(mp4);
    return status;
}

void hr_video_abandon(hr_video_writer *writer)
{
    if (writer != NULL)
        hr_mp4_abandon(destroy(writer));
}
