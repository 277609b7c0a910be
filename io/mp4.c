#include "io/mp4.h"

#include "base/fault.h"
#include "base/memory.h"
#include "io/av.h"
#include "io/out_file.h"

#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <math.h>
#include <stdio.h>

enum { IO_BYTES = 1 << 20 };

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t io_byte; /* of a write callback */
#else
typedef uint8_t io_byte;
#endif

struct hr_mp4 {
    hr_out_file *file;
    AVFormatContext *mux;
    AVIOContext *io;
    AVRational frame; /* seconds */
};

AVRational hr_mp4_rate(double fps)
{
    static const int ntsc[] = {24, 30, 48, 60, 120};

    for (size_t i = 0; i < sizeof ntsc / sizeof *ntsc; i++)
        if (fps != ntsc[i] && fabs(fps - ntsc[i] / 1.001) < 0.005)
            return (AVRational){ntsc[i] * 1000, 1001};
    return av_d2q(fps, 100000);
}

static int write_bytes(void *opaque, io_byte *data, int n)
{
    hr_mp4 *mp4 = opaque;

    if (hr_out_file_write(mp4->file, data, (size_t)n) != HR_OK)
        return AVERROR(EIO);
    return n;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    hr_mp4 *mp4 = opaque;

    whence &= ~AVSEEK_FORCE;
    if (whence == AVSEEK_SIZE)
        return hr_out_file_size(mp4->file);
    if (whence == SEEK_CUR)
        offset += hr_out_file_position(mp4->file);
    else if (whence == SEEK_END)
        offset += hr_out_file_size(mp4->file);
    if (offset < 0)
        return AVERROR(EINVAL);
    hr_out_file_seek(mp4->file, offset);
    return offset;
}

/* What libav reports after our file failed is only an echo of that. */
static hr_status failed(const hr_mp4 *mp4, int code)
{
    hr_status status = hr_out_file_status(mp4->file);

    return status != HR_OK ? status
                           : hr_av_fail(hr_out_file_path(mp4->file), "write", code);
}

/* Bytes go through our file, which knows why a write failed; only to move the index to
 * the front libav opens the part once more by its name. */
static hr_status open_io(hr_mp4 *mp4)
{
    uint8_t *buffer = hr_fault("av.alloc") ? NULL : av_malloc(IO_BYTES);

    if (buffer != NULL && !hr_fault("av.alloc"))
        mp4->io =
            avio_alloc_context(buffer, IO_BYTES, 1, mp4, NULL, write_bytes, seek_bytes);
    if (mp4->io == NULL) {
        av_free(buffer);
        return failed(mp4, AVERROR(ENOMEM));
    }
    return HR_OK;
}

static int start(hr_mp4 *mp4)
{
    AVDictionary *choices = NULL;
    int code = av_dict_set(&choices, "movflags", "+faststart", 0);

    if (code >= 0)
        code = hr_fault("av.write") ? AVERROR(EIO)
                                    : avformat_write_header(mp4->mux, &choices);
    av_dict_free(&choices);
    return code;
}

static hr_status open_mux(hr_mp4 *mp4, const AVCodecParameters *parameters,
                          AVRational rate)
{
    AVFormatContext *mux;
    AVStream *stream = NULL;
    int code = hr_fault("av.open")
                   ? AVERROR(ENOMEM)
                   : avformat_alloc_output_context2(&mp4->mux, NULL, "mp4", NULL);

    if (code < 0)
        return failed(mp4, code);
    mux = mp4->mux;
    HR_TRY(open_io(mp4));
    mux->pb = mp4->io;
    mux->flags |= AVFMT_FLAG_BITEXACT | AVFMT_FLAG_CUSTOM_IO;
    mux->url = av_asprintf("file:%s", hr_out_file_part_path(mp4->file));
    if (!hr_fault("av.alloc"))
        stream = avformat_new_stream(mux, NULL);
    if (mux->url == NULL || stream == NULL)
        return failed(mp4, AVERROR(ENOMEM));
    stream->time_base = mp4->frame;
    stream->avg_frame_rate = rate;
    stream->sample_aspect_ratio = parameters->sample_aspect_ratio;
    code = hr_fault("av.alloc") ? AVERROR(ENOMEM)
                                : avcodec_parameters_copy(stream->codecpar, parameters);
    stream->codecpar->codec_tag = 0; /* the muxer's choice */
    stream->codecpar->bit_rate = 0;  /* not a wish of ours */
    if (code >= 0)
        code = start(mp4);
    return code < 0 ? failed(mp4, code) : HR_OK;
}

hr_status hr_mp4_begin(const char *path, const AVCodecParameters *parameters,
                       AVRational rate, hr_mp4 **out)
{
    void *memory;
    hr_mp4 *mp4;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *mp4, path, &memory));
    mp4 = memory;
    mp4->frame = av_inv_q(rate);
    status = hr_out_file_create(path, &mp4->file);
    if (status == HR_OK)
        status = open_mux(mp4, parameters, rate);
    if (status != HR_OK) {
        hr_mp4_abandon(mp4);
        return status;
    }
    *out = mp4;
    return HR_OK;
}

hr_status hr_mp4_write(hr_mp4 *mp4, AVPacket *packet)
{
    int code;

    packet->stream_index = 0;
    packet->pos = -1;
    av_packet_rescale_ts(packet, mp4->frame, mp4->mux->streams[0]->time_base);
    code = hr_fault("av.write") ? AVERROR(EIO)
                                : av_interleaved_write_frame(mp4->mux, packet);
    return code < 0 ? failed(mp4, code) : HR_OK;
}

static hr_status write_rest(hr_mp4 *mp4)
{
    int code = hr_fault("av.write") ? AVERROR(EIO) : av_write_trailer(mp4->mux);

    avio_flush(mp4->io);
    if (code >= 0)
        code = mp4->io->error;
    return code < 0 ? failed(mp4, code) : hr_out_file_status(mp4->file);
}

/* All but the file. */
static hr_out_file *destroy(hr_mp4 *mp4)
{
    hr_out_file *file = mp4->file;

    avformat_free_context(mp4->mux);
    if (mp4->io != NULL)
        av_freep(&mp4->io->buffer);
    avio_context_free(&mp4->io);
    hr_free(mp4);
    return file;
}

hr_status hr_mp4_finish(hr_mp4 *mp4)
{
    hr_status status = write_rest(mp4);
    hr_out_file *file = destroy(mp4);

    if (status == HR_OK)
        return hr_out_file_commit(file);
    hr_out_file_abandon(file);
    return status;
}

void hr_mp4_abandon(hr_mp4 *mp4)
{
    if (mp4 != NULL)
        hr_out_file_abandon(destroy(mp4));
}
