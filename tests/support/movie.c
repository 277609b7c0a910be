#include "support/movie.h"
#include "support/test_util.h"

#include "base/memory.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct reader {
    AVFormatContext *file;
    AVCodecContext *decoder;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *frame;
    hr_test_movie movie;
} reader;

static void keep_name(char out[32], const char *name)
{
    snprintf(out, 32, "%s", name != NULL ? name : "unknown");
}

static void open_reader(reader *r, const char *path)
{
    const AVCodec *codec;

    assert_true(avformat_open_input(&r->file, path, NULL, NULL) >= 0);
    assert_true(avformat_find_stream_info(r->file, NULL) >= 0);
    assert_int_equal(r->file->nb_streams, 1);
    r->stream = r->file->streams[0];
    codec = avcodec_find_decoder(r->stream->codecpar->codec_id);
    assert_non_null(codec);
    r->decoder = avcodec_alloc_context3(codec);
    assert_non_null(r->decoder);
    assert_true(avcodec_parameters_to_context(r->decoder, r->stream->codecpar) >= 0);
    assert_true(avcodec_open2(r->decoder, codec, NULL) >= 0);
    r->packet = av_packet_alloc();
    r->frame = av_frame_alloc();
    assert_non_null(r->packet);
    assert_non_null(r->frame);
    r->movie.fps_numerator = r->stream->avg_frame_rate.num;
    r->movie.fps_denominator = r->stream->avg_frame_rate.den;
    r->movie.fps = av_q2d(r->stream->avg_frame_rate);
    r->movie.seconds = (double)r->file->duration / AV_TIME_BASE;
}

static uint8_t to_byte(double x)
{
    return (uint8_t)(x <= 0 ? 0 : x >= 255 ? 255 : lrint(x));
}

/* Rec. ITU-R BT.709-6, table 4 and the digital ranges of table 5, solved for R, G, B. The
 * nearest chroma sample is taken as it is: good for pictures that are flat around the
 * place. */
static void convert_pixel(const AVFrame *f, int x, int y, uint8_t *out)
{
    double luma = (f->data[0][y * f->linesize[0] + x] - 16) / 219.0;
    double cb = (f->data[1][y / 2 * f->linesize[1] + x / 2] - 128) / 224.0;
    double cr = (f->data[2][y / 2 * f->linesize[2] + x / 2] - 128) / 224.0;
    double red = luma + 1.5748 * cr, blue = luma + 1.8556 * cb;
    double green = (luma - 0.2126 * red - 0.0722 * blue) / 0.7152;

    out[0] = to_byte(255 * red);
    out[1] = to_byte(255 * green);
    out[2] = to_byte(255 * blue);
}

static void convert(const AVFrame *f, uint8_t *out)
{
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < f->width; x++) {
            uint8_t *pixel = out + ((size_t)y * (size_t)f->width + (size_t)x) * 3;
            if (f->format == AV_PIX_FMT_YUV420P)
                convert_pixel(f, x, y, pixel);
            else
                memcpy(pixel, f->data[0] + y * f->linesize[0] + 3 * x, 3);
        }
}

static void take_frame(reader *r)
{
    const AVFrame *f = r->frame;
    hr_test_movie *movie = &r->movie;
    size_t bytes = (size_t)f->width * (size_t)f->height * 3;
    size_t n = (size_t)movie->n_frames;
    double shown = (double)f->pts * av_q2d(r->stream->time_base);

    assert_true(f->format == AV_PIX_FMT_YUV420P || f->format == AV_PIX_FMT_RGB24);
    if (n == 0) {
        movie->width = f->width;
        movie->height = f->height;
        keep_name(movie->format, av_get_pix_fmt_name(f->format));
        keep_name(movie->primaries, av_color_primaries_name(f->color_primaries));
        keep_name(movie->transfer, av_color_transfer_name(f->color_trc));
        keep_name(movie->space, av_color_space_name(f->colorspace));
        keep_name(movie->range, av_color_range_name(f->color_range));
        movie->first_seconds = shown;
    } else {
        double step = shown - movie->last_seconds;

        movie->longest_seconds = n == 1 ? step : fmax(step, movie->longest_seconds);
        movie->shortest_seconds = n == 1 ? step : fmin(step, movie->shortest_seconds);
    }
    assert_true(f->width == movie->width && f->height == movie->height);
    movie->last_seconds = shown;
    movie->rgb = hr_realloc(movie->rgb, (n + 1) * bytes);
    assert_non_null(movie->rgb);
    convert(f, movie->rgb + n * bytes);
    movie->n_frames++;
}

static void decode(reader *r, const AVPacket *packet)
{
    int code = avcodec_send_packet(r->decoder, packet);

    assert_true(code >= 0);
    while ((code = avcodec_receive_frame(r->decoder, r->frame)) >= 0)
        take_frame(r);
    assert_true(code == AVERROR(EAGAIN) || code == AVERROR_EOF);
}

hr_test_movie hr_test_movie_read(const char *path)
{
    reader r = {0};

    open_reader(&r, path);
    while (av_read_frame(r.file, r.packet) >= 0) {
        decode(&r, r.packet);
        av_packet_unref(r.packet);
    }
    decode(&r, NULL);
    av_packet_free(&r.packet);
    av_frame_free(&r.frame);
    avcodec_free_context(&r.decoder);
    avformat_close_input(&r.file);
    return r.movie;
}

void hr_test_movie_free(hr_test_movie *movie)
{
    hr_free(movie->rgb);
    *movie = (hr_test_movie){0};
}
