#include "io/video_join.h"

#include "base/assert.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/av.h"
#include "io/mp4.h"

#include <inttypes.h>
#include <libavformat/avformat.h>
#include <libavutil/avstring.h>
#include <string.h>

struct hr_video_join {
    char *path;
    AVRational rate;
    hr_mp4 *mp4;                   /* NULL before the first part */
    AVCodecParameters *parameters; /* of the first part */
    AVPacket *packet;
    int64_t n_frames; /* so far */
    int64_t delay;    /* frames by which decoding is ahead of showing */
};

hr_status hr_video_join_begin(const char *path, double fps, hr_video_join **out)
{
    void *memory;
    hr_video_join *join;

    HR_TRY(hr_alloc_or_fail(sizeof *join, path, &memory));
    join = memory;
    join->rate = hr_mp4_rate(fps);
    join->path = hr_strdup(path);
    join->packet = hr_fault("av.alloc") ? NULL : av_packet_alloc();
    join->parameters = hr_fault("av.alloc") ? NULL : avcodec_parameters_alloc();
    if (join->path == NULL || join->packet == NULL || join->parameters == NULL) {
        hr_video_join_abandon(join);
        return hr_fail(HR_ERR_NOMEM, "out of memory: joining parts to %s", path);
    }
    *out = join;
    return HR_OK;
}

static hr_status open_part(const char *path, AVFormatContext **out)
{
    const AVInputFormat *format = av_find_input_format("mp4");
    char *url = hr_fault("av.alloc") ? NULL : av_asprintf("file:%s", path);
    int code = AVERROR(ENOMEM);

    hr_av_quiet();
    if (url != NULL)
        code = hr_fault("av.open") ? AVERROR(EIO)
                                   : avformat_open_input(out, url, format, NULL);
    av_free(url);
    return code < 0 ? hr_av_fail(path, "read", code) : HR_OK;
}

static hr_status check_part(const hr_video_join *join, const char *path,
                            const AVFormatContext *part)
{
    const AVCodecParameters *first = join->parameters, *p;

    if (part->nb_streams != 1)
        return hr_fail(HR_ERR_FORMAT, "%s: found %u streams, expected one film", path,
                       part->nb_streams);
    p = part->streams[0]->codecpar;
    if (p->codec_id != AV_CODEC_ID_H264)
        return hr_fail(HR_ERR_FORMAT, "%s: found %s, expected an H.264 film", path,
                       avcodec_get_name(p->codec_id));
    if (join->mp4 != NULL &&
        (p->width != first->width || p->height != first->height ||
         p->extradata_size != first->extradata_size ||
         memcmp(p->extradata, first->extradata, (size_t)p->extradata_size) != 0))
        return hr_fail(HR_ERR_FORMAT, "%s: it was encoded unlike the part before it",
                       path);
    return HR_OK;
}

/* `packet` has times of the part; they become those of the whole. Decoding is one frame
 * after another, as in a film in one piece. */
static hr_status write_packet(hr_video_join *join, const AVStream *stream, int64_t first,
                              int64_t i)
{
    AVPacket *packet = join->packet;
    AVRational frame = av_inv_q(join->rate);

    packet->pts = first + av_rescale_q(packet->pts, stream->time_base, frame);
    packet->dts = first + i - join->delay;
    packet->duration = 1;
    return hr_mp4_write(join->mp4, packet);
}

/* The first packet of all is at hand: what the film is like is known now. */
static hr_status start(hr_video_join *join, const AVStream *stream)
{
    const AVPacket *packet = join->packet;
    int code = hr_fault("av.alloc")
                   ? AVERROR(ENOMEM)
                   : avcodec_parameters_copy(join->parameters, stream->codecpar);

    if (code < 0)
        return hr_av_fail(join->path, "write", code);
    join->parameters->sample_aspect_ratio = (AVRational){1, 1};
    join->delay =
        av_rescale_q(packet->pts - packet->dts, stream->time_base, av_inv_q(join->rate));
    return hr_mp4_begin(join->path, join->parameters, join->rate, &join->mp4);
}

static hr_status copy_packets(hr_video_join *join, const char *path,
                              AVFormatContext *part, int64_t n_frames)
{
    const AVStream *stream = part->streams[0];
    int64_t first = join->n_frames, n = 0;
    int code;

    while ((code = hr_fault("av.read") ? AVERROR(EIO)
                                       : av_read_frame(part, join->packet)) >= 0) {
        if (join->mp4 == NULL)
            HR_TRY(start(join, stream));
        if (n < n_frames)
            HR_TRY(write_packet(join, stream, first, n));
        av_packet_unref(join->packet);
        n++;
    }
    if (code != AVERROR_EOF)
        return hr_av_fail(path, "read", code);
    if (n != n_frames)
        return hr_fail(HR_ERR_FORMAT, "%s: found %" PRId64 " frames, expected %" PRId64,
                       path, n, n_frames);
    join->n_frames += n;
    return HR_OK;
}

hr_status hr_video_join_add(hr_video_join *join, const char *part, int64_t n_frames)
{
    AVFormatContext *file = NULL;
    hr_status status;

    HR_TRY(open_part(part, &file));
    status = check_part(join, part, file);
    if (status == HR_OK)
        status = copy_packets(join, part, file, n_frames);
    av_packet_unref(join->packet);
    avformat_close_input(&file);
    return status;
}

/* All but the file. */
static hr_mp4 *destroy(hr_video_join *join)
{
    hr_mp4 *mp4 = join->mp4;

    av_packet_free(&join->packet);
    avcodec_parameters_free(&join->parameters);
    hr_free(join->path);
    hr_free(join);
    return mp4;
}

hr_status hr_video_join_finish(hr_video_join *join)
{
    HR_ASSERT(join->mp4 != NULL);
    return hr_mp4_finish(destroy(join));
}

void hr_video_join_abandon(hr_video_join *join)
{
    if (join != NULL)
        hr_mp4_abandon(destroy(join));
}
