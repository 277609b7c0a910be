#include "io/video.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/av.h"
#include "io/out_file.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_SIDE = 16384,
    IO_BYTES = 1 << 20,
    /* x264's output depends on how many threads it has, so that is a constant, not the
     * machine's number. 81 frames of 832 x 480 on two cores: 2.4 s with 1 thread, 1.1 s
     * with 2, 4 or 8; each thread costs 4 MB. */
    ENCODER_THREADS = 4
};

static const char encoder_name[] = "libx264";

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t io_byte; /* of a write callback */
#else
typedef uint8_t io_byte;
#endif

struct hr_video_writer {
    hr_out_file *file;
    AVFormatContext *mux;
    AVIOContext *io;
    AVCodecContext *encoder;
    AVBSFContext *filter;
    struct SwsContext *scale;
    AVFrame *frame;
    AVPacket *packet;
    uint8_t *rgb; /* [height, width, 3] */
    int64_t n_frames;
    hr_status status; /* the first failure */
};

bool hr_video_can_encode(const char **name)
{
    *name = encoder_name;
    return avcodec_find_encoder_by_name(encoder_name) != NULL;
}

static int write_bytes(void *opaque, io_byte *data, int n)
{
    hr_video_writer *writer = opaque;

    if (hr_out_file_write(writer->file, data, (size_t)n) != HR_OK)
        return AVERROR(EIO);
    return n;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    hr_video_writer *writer = opaque;

    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return hr_out_file_size(writer->file);
    if (whence == SEEK_CUR)
        offset += hr_out_file_position(writer->file);
    else if (whence == SEEK_END)
        offset += hr_out_file_size(writer->file);
    if (offset < 0)
        return AVERROR(EINVAL);
    hr_out_file_seek(writer->file, offset);
    return offset;
}

/* What libav reports after our file failed is only an echo of that. */
static hr_status failed(hr_video_writer *writer, const char *doing, int code)
{
    hr_status status = hr_out_file_status(writer->file);

    return status != HR_OK ? status
                           : hr_av_fail(hr_out_file_path(writer->file), doing, code);
}

/* The rates of NTSC are written with few digits but mean n * 1000/1001. */
static AVRational exact_rate(double fps)
{
    static const int ntsc[] = {24, 30, 48, 60, 120};

    for (size_t i = 0; i < sizeof ntsc / sizeof *ntsc; i++)
        if (fps != ntsc[i] && fabs(fps - ntsc[i] / 1.001) < 0.005)
            return (AVRational){ntsc[i] * 1000, 1001};
    return av_d2q(fps, 100000);
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

static hr_status open_encoder(hr_video_writer *writer, const hr_video_options *options)
{
    const AVCodec *codec = avcodec_find_encoder_by_name(encoder_name);
    AVCodecContext *encoder;
    AVDictionary *choices = NULL;
    int code;

    if (codec == NULL)
        return hr_fail(HR_ERR_UNSUPPORTED,
                       "cannot write %s: this libav has no H.264 encoder (%s)",
                       hr_out_file_path(writer->file), encoder_name);
    writer->encoder = encoder = avcodec_alloc_context3(codec);
    if (encoder == NULL)
        return failed(writer, "write", AVERROR(ENOMEM));
    encoder->width = (int)options->width;
    encoder->height = (int)options->height;
    encoder->pix_fmt = AV_PIX_FMT_YUV420P;
    encoder->framerate = exact_rate(options->fps);
    encoder->time_base = av_inv_q(encoder->framerate);
    encoder->sample_aspect_ratio = (AVRational){1, 1};
    encoder->color_primaries = AVCOL_PRI_BT709;
    encoder->color_trc = AVCOL_TRC_BT709;
    encoder->colorspace = AVCOL_SPC_BT709;
    encoder->color_range = AVCOL_RANGE_MPEG;
    encoder->chroma_sample_location = AVCHROMA_LOC_LEFT;
    encoder->thread_count = ENCODER_THREADS;
    encoder->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
    code = av_dict_set(&choices, "preset", "medium", 0);
    if (code >= 0)
        code = av_dict_set(&choices, "crf", "17", 0);
    if (code >= 0) /* else x264 picks algorithms by what the processor does fast */
        code = av_dict_set(&choices, "x264-params", "cpu-independent=1", 0);
    if (code >= 0)
        code = avcodec_open2(encoder, codec, &choices);
    av_dict_free(&choices);
    return code < 0 ? failed(writer, "start the H.264 encoder for", code) : HR_OK;
}

/* Drops the SEI messages, NAL type 6: x264 writes its version and options into one. */
static hr_status open_filter(hr_video_writer *writer)
{
    const AVBitStreamFilter *kind = av_bsf_get_by_name("filter_units");
    int code;

    if (kind == NULL)
        return hr_fail(HR_ERR_UNSUPPORTED,
                       "cannot write %s: this libav has no filter_units filter",
                       hr_out_file_path(writer->file));
    code = av_bsf_alloc(kind, &writer->filter);
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
    writer->packet = av_packet_alloc();
    writer->frame = frame = av_frame_alloc();
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

/* Bytes go through our file, which knows why a write failed; only to move the index to
 * the front libav opens the part once more by its name. */
static hr_status open_io(hr_video_writer *writer)
{
    uint8_t *buffer = av_malloc(IO_BYTES);

    if (buffer != NULL)
        writer->io = avio_alloc_context(buffer, IO_BYTES, 1, writer, NULL, write_bytes,
                                        seek_bytes);
    if (writer->io == NULL) {
        av_free(buffer);
        return failed(writer, "write", AVERROR(ENOMEM));
    }
    return HR_OK;
}

static hr_status open_mux(hr_video_writer *writer)
{
    AVDictionary *choices = NULL;
    AVFormatContext *mux;
    AVStream *stream = NULL;
    int code = avformat_alloc_output_context2(&writer->mux, NULL, "mp4", NULL);

    if (code < 0)
        return failed(writer, "write", code);
    mux = writer->mux;
    HR_TRY(open_io(writer));
    mux->pb = writer->io;
    mux->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    mux->url = av_asprintf("file:%s", hr_out_file_part_path(writer->file));
    stream = avformat_new_stream(mux, NULL);
    if (mux->url == NULL || stream == NULL)
        return failed(writer, "write", AVERROR(ENOMEM));
    stream->time_base = writer->filter->time_base_out;
    stream->avg_frame_rate = writer->encoder->framerate;
    stream->sample_aspect_ratio = writer->encoder->sample_aspect_ratio;
    code = avcodec_parameters_copy(stream->codecpar, writer->filter->par_out);
    if (code >= 0)
        code = av_dict_set(&choices, "movflags", "+faststart", 0);
    if (code >= 0)
        code = avformat_write_header(mux, &choices);
    av_dict_free(&choices);
    return code < 0 ? failed(writer, "write", code) : HR_OK;
}

static hr_status open_parts(hr_video_writer *writer, const char *path,
                            const hr_video_options *options)
{
    HR_TRY(hr_out_file_create(path, &writer->file));
    HR_TRY(open_encoder(writer, options));
    HR_TRY(open_filter(writer));
    HR_TRY(open_scale(writer));
    return open_mux(writer);
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

/* Passes on to the file what the filter has ready. */
static int drain_filter(hr_video_writer *writer)
{
    AVPacket *packet = writer->packet;
    int code;

    while ((code = av_bsf_receive_packet(writer->filter, packet)) >= 0) {
        packet->stream_index = 0;
        av_packet_rescale_ts(packet, writer->filter->time_base_out,
                             writer->mux->streams[0]->time_base);
        code = av_interleaved_write_frame(writer->mux, packet);
        if (code < 0)
            return code;
    }
    return code == AVERROR(EAGAIN) || code == AVERROR_EOF ? 0 : code;
}

/* Gives one frame to the encoder, or NULL for "no more", and writes what comes out. */
static hr_status encode(hr_video_writer *writer, const AVFrame *frame)
{
    AVPacket *packet = writer->packet;
    int code = avcodec_send_frame(writer->encoder, frame);

    if (code < 0)
        return failed(writer, "encode", code);
    while ((code = avcodec_receive_packet(writer->encoder, packet)) >= 0) {
        packet->duration = 1;
        code = av_bsf_send_packet(writer->filter, packet);
        if (code >= 0)
            code = drain_filter(writer);
        if (code < 0)
            return failed(writer, "write", code);
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

static hr_status write_rest(hr_video_writer *writer)
{
    int code;

    if (writer->n_frames == 0)
        return hr_fail(HR_ERR_INTERNAL, "cannot write %s: a video without frames",
                       hr_out_file_path(writer->file));
    HR_TRY(encode(writer, NULL));
    code = av_bsf_send_packet(writer->filter, NULL);
    if (code >= 0)
        code = drain_filter(writer);
    if (code >= 0)
        code = av_write_trailer(writer->mux);
    avio_flush(writer->io);
    if (code >= 0)
        code = writer->io->error;
    return code < 0 ? failed(writer, "write", code) : hr_out_file_status(writer->file);
}

static void destroy(hr_video_writer *writer)
{
    avformat_free_context(writer->mux);
    if (writer->io != NULL)
        av_freep(&writer->io->buffer);
    avio_context_free(&writer->io);
    sws_freeContext(writer->scale);
    av_frame_free(&writer->frame);
    av_packet_free(&writer->packet);
    av_bsf_free(&writer->filter);
    avcodec_free_context(&writer->encoder);
    hr_free(writer->rgb);
    hr_free(writer);
}

hr_status hr_video_finish(hr_video_writer *writer)
{
    hr_out_file *file = writer->file;
    hr_status status = writer->status;

    if (status == HR_OK)
        status = write_rest(writer);
    destroy(writer);
    if (status == HR_OK)
        return hr_out_file_commit(file);
    hr_out_file_abandon(file);
    return status;
}

void hr_video_abandon(hr_video_writer *writer)
{
    hr_out_file *file;

    if (writer == NULL)
        return;
    file = writer->file;
    destroy(writer);
    hr_out_file_abandon(file);
}
