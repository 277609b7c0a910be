#include "io/segments.h"

#include "base/log.h"
#include "base/memory.h"
#include "io/disk.h"
#include "io/frames.h"
#include "io/segment_file.h"
#include "io/video.h"
#include "io/video_join.h"

#include <inttypes.h>
#include <string.h>

struct hr_segments_writer {
    hr_film film;
    hr_text folder, frames_folder;
    hr_segment_place place;
    hr_segment_file open;   /* the segment that comes next, or has begun */
    hr_video_writer *video; /* of the open segment; NULL before its first picture */
    int64_t n_done;         /* pictures */
    uint64_t closed_bytes;  /* of media */
    int64_t closed_pictures;
    hr_status status; /* the first failure */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Latent frames begin at pictures 0, 1, 1 + p, 1 + 2p, ... */
int64_t hr_film_segment_end(const hr_film *film, int64_t i)
{
    int64_t p = film->per_latent;
    int64_t first = 1 + (HR_SEGMENT_PICTURES - 1 + p - 1) / p * p;
    int64_t later = (HR_SEGMENT_PICTURES + p - 1) / p * p;

    if (i > film->n_pictures / later)
        return film->n_pictures;
    return least(first + i * later, film->n_pictures);
}

static int64_t count_segments(const hr_film *film)
{
    int64_t n = 0;

    while (hr_film_segment_end(film, n) < film->n_pictures)
        n++;
    return n + 1;
}

static uint64_t pixels(const hr_film *film)
{
    return (uint64_t)(film->height * film->width);
}

uint64_t hr_film_bytes(const hr_film *film)
{
    static const uint64_t per_pixel[] = {
        [HR_JOB_MP4] = 1, [HR_JOB_PNG] = 3, [HR_JOB_NO_VIDEO] = 0};

    return (uint64_t)film->n_pictures *
           (pixels(film) * per_pixel[film->kind] + HR_HASH_TEXT_BYTES);
}

/* What n more pictures will take: by those that are there, with a quarter to spare. */
static uint64_t bytes_of(const hr_segments_writer *w, int64_t n)
{
    hr_film rest = w->film;
    double each;

    if (w->closed_pictures == 0) {
        rest.n_pictures = n;
        return hr_film_bytes(&rest) / (w->film.kind == HR_JOB_MP4 ? 2 : 1);
    }
    each = (double)w->closed_bytes / (double)w->closed_pictures;
    return (uint64_t)((double)n * (each * 1.25 + HR_HASH_TEXT_BYTES));
}

static hr_status require(const hr_segments_writer *w, const char *folder, uint64_t bytes,
                         const char *what)
{
    return w->film.must_try ? HR_OK : hr_disk_require(folder, bytes, what);
}

static hr_status check_disk(const hr_segments_writer *w)
{
    uint64_t rest = bytes_of(w, w->film.n_pictures - w->n_done);
    uint64_t joined = w->film.kind == HR_JOB_MP4 ? w->closed_bytes + rest : 0;

    if (w->n_done == w->film.n_pictures)
        return HR_OK;
    return require(w, w->folder.s, rest + joined, "the rest of the film");
}

/* A segment that is done: the next one is open. */
static void step_behind(hr_segments_writer *w)
{
    hr_hash *pictures = w->open.pictures;

    w->closed_bytes += w->open.media_bytes;
    w->closed_pictures += w->open.n;
    w->n_done = w->open.first + w->open.n;
    w->open = hr_segment_file_at(&w->film, w->open.index + 1);
    w->open.pictures = pictures;
}

/* `why` is about the first segment that is not whole; empty: there is none. */
static hr_status drop_rest(const hr_segments_writer *w, hr_text *why)
{
    bool behind = false;

    HR_TRY(hr_segment_files_drop(w->folder.s, w->open.index, &behind));
    if (w->film.kind == HR_JOB_PNG)
        HR_TRY(hr_frames_drop(w->frames_folder.s, w->n_done));
    if (why->length == 0 && behind) {
        HR_TRY(hr_segment_file_path(w->folder.s, w->open.index, ".txt", why));
        HR_TRY(hr_text_add(why, " is missing"));
    }
    if (why->length > 0)
        hr_warn("%s: the film is made anew from picture %" PRId64 " on", why->s,
                w->n_done + 1);
    return HR_OK;
}

static hr_status take_over(hr_segments_writer *w, hr_segments_done_fn done, void *user)
{
    hr_text why = {0};
    hr_status status = HR_OK;

    while (w->n_done < w->film.n_pictures) {
        int64_t n = w->open.n;

        status = hr_segment_file_check(&w->place, &w->open, &why);
        if (status != HR_OK || why.length > 0 || w->open.n == 0) {
            w->open.n = n;
            break;
        }
        for (int64_t i = 0; i < n && done != NULL; i++)
            done(user, w->open.first + i, w->open.pictures[i]);
        step_behind(w);
    }
    if (status == HR_OK)
        status = drop_rest(w, &why);
    hr_text_free(&why);
    return status;
}

static hr_video_options video_options(const hr_film *film)
{
    return (hr_video_options){
        .width = film->width, .height = film->height, .fps = film->fps};
}

static hr_status open_place(hr_segments_writer *w, const char *folder)
{
    const hr_video_options options = video_options(&w->film);
    size_t n = (size_t)(HR_SEGMENT_PICTURES + w->film.per_latent);

    HR_TRY(hr_text_add(&w->folder, folder));
    HR_TRY(hr_text_printf(&w->frames_folder, "%s/frames", folder));
    HR_TRY(hr_folder_add(folder));
    if (w->film.kind == HR_JOB_PNG)
        HR_TRY(hr_folder_add(w->frames_folder.s));
    w->place = (hr_segment_place){
        .folder = w->folder.s, .frames_folder = w->frames_folder.s, .film = &w->film};
    if (w->film.kind == HR_JOB_MP4)
        HR_TRY(hr_video_encoder(folder, &options, &w->place.encoder));
    w->open = hr_segment_file_at(&w->film, 0);
    return hr_alloc_or_fail(n * sizeof(hr_hash), "hashes of pictures",
                            (void **)&w->open.pictures);
}

hr_status hr_segments_open(const char *folder, const hr_film *film,
                           hr_segments_done_fn done, void *user, hr_segments_writer **out)
{
    hr_segments_writer *w;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *w, "a writer of the film", &memory));
    w = memory;
    w->film = *film;
    status = open_place(w, folder);
    if (status == HR_OK)
        status = take_over(w, done, user);
    if (status == HR_OK)
        status = check_disk(w);
    if (status != HR_OK) {
        hr_segments_close(w);
        return status;
    }
    *out = w;
    return HR_OK;
}

int64_t hr_segments_done(const hr_segments_writer *writer)
{
    return writer->n_done;
}

static hr_status begin_segment(hr_segments_writer *w)
{
    const hr_video_options options = video_options(&w->film);
    hr_text path = {0};
    hr_status status =
        require(w, w->folder.s, bytes_of(w, w->open.n), "the next part of the film");

    if (status == HR_OK && w->film.kind == HR_JOB_MP4)
        status = hr_segment_file_path(w->folder.s, w->open.index, ".mp4", &path);
    if (status == HR_OK && w->film.kind == HR_JOB_MP4)
        status = hr_video_begin(path.s, &options, &w->video);
    hr_text_free(&path);
    return status;
}

static hr_status close_segment(hr_segments_writer *w)
{
    hr_video_writer *video = w->video;

    w->video = NULL;
    if (video != NULL)
        HR_TRY(hr_video_finish(video));
    HR_TRY(hr_segment_file_seal(&w->place, &w->open));
    step_behind(w);
    return HR_OK;
}

static hr_status append(hr_segments_writer *w, const float *rgb, hr_hash hash)
{
    int64_t i = w->n_done - w->open.first;

    if (w->n_done == w->film.n_pictures)
        return hr_fail(HR_ERR_INTERNAL, "%s: more pictures than the film has",
                       w->folder.s);
    if (i == 0)
        HR_TRY(begin_segment(w));
    if (w->film.kind == HR_JOB_MP4)
        HR_TRY(hr_video_append(w->video, rgb));
    else if (w->film.kind == HR_JOB_PNG)
        HR_TRY(hr_frames_write(w->frames_folder.s, w->n_done, rgb, w->film.width,
                               w->film.height));
    w->open.pictures[i] = hash;
    w->n_done++;
    return i + 1 == w->open.n ? close_segment(w) : HR_OK;
}

hr_status hr_segments_append(hr_segments_writer *writer, const float *rgb, hr_hash hash)
{
    if (writer->status == HR_OK)
        writer->status = append(writer, rgb, hash);
    return writer->status;
}

/* The disk of the joined film may be another one. */
static hr_status check_disk_of(const hr_segments_writer *w, const char *path)
{
    const char *slash = strrchr(path, '/');
    hr_text folder = {0};
    hr_status status = slash == NULL
                           ? hr_text_add(&folder, ".")
                           : hr_text_append(&folder, path, (size_t)(slash - path) + 1);

    if (status == HR_OK)
        status = require(w, folder.s, w->closed_bytes, "the film");
    hr_text_free(&folder);
    return status;
}

static hr_status join_all(const hr_segments_writer *w, hr_video_join *join)
{
    const int64_t n = count_segments(&w->film);
    hr_text path = {0};
    hr_status status = HR_OK;

    for (int64_t i = 0; i < n && status == HR_OK; i++) {
        path.length = 0;
        status = hr_segment_file_path(w->folder.s, i, ".mp4", &path);
        if (status == HR_OK)
            status = hr_video_join_add(join, path.s, hr_segment_file_at(&w->film, i).n);
    }
    hr_text_free(&path);
    return status;
}

static hr_status join_film(const hr_segments_writer *w, const char *path)
{
    hr_video_join *join;
    hr_status status;

    HR_TRY(check_disk_of(w, path));
    HR_TRY(hr_video_join_begin(path, w->film.fps, &join));
    status = join_all(w, join);
    if (status == HR_OK)
        return hr_video_join_finish(join);
    hr_video_join_abandon(join);
    return status;
}

static hr_status finish(hr_segments_writer *w, const char *path)
{
    HR_TRY(w->status);
    if (w->n_done != w->film.n_pictures)
        return hr_fail(HR_ERR_INTERNAL,
                       "%s: %" PRId64 " of %" PRId64 " pictures were saved", w->folder.s,
                       w->n_done, w->film.n_pictures);
    if (w->film.kind == HR_JOB_MP4)
        HR_TRY(join_film(w, path));
    else if (w->film.kind == HR_JOB_PNG)
        HR_TRY(hr_frames_move(w->frames_folder.s, path));
    HR_TRY(hr_segment_files_drop_backwards(w->folder.s, count_segments(&w->film)));
    return hr_segments_drop(w->folder.s);
}

hr_status hr_segments_finish(hr_segments_writer *writer, const char *path)
{
    hr_status status = finish(writer, path);

    hr_segments_close(writer);
    return status;
}

void hr_segments_close(hr_segments_writer *writer)
{
    if (writer == NULL)
        return;
    hr_video_abandon(writer->video);
    hr_free(writer->open.pictures);
    hr_text_free(&writer->frames_folder);
    hr_text_free(&writer->folder);
    hr_free(writer);
}
