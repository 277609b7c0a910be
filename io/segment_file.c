#include "io/segment_file.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/frames.h"
#include "io/out_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_TEXT = 1 << 16, SPARE_BYTES = 1 << 20 };

hr_segment_file hr_segment_file_at(const hr_film *film, int64_t index)
{
    int64_t first = index > 0 ? hr_film_segment_end(film, index - 1) : 0;

    return (hr_segment_file){
        .index = index, .first = first, .n = hr_film_segment_end(film, index) - first};
}

hr_status hr_segment_file_path(const char *folder, int64_t index, const char *ending,
                               hr_text *out)
{
    return hr_text_printf(out, "%s/%04" PRId64 "%s", folder, index, ending);
}

/* The text, but for its last line. */
static hr_status describe(const hr_segment_place *place, const hr_segment_file *segment,
                          hr_text *out)
{
    static const char *const kinds[] = {
        [HR_JOB_MP4] = "mp4", [HR_JOB_PNG] = "png", [HR_JOB_NO_VIDEO] = "none"};
    const hr_film *film = place->film;
    char hash[HR_HASH_TEXT_BYTES];

    HR_TRY(hr_text_printf(out,
                          "haloreel film segment 1\nfilm %s, %" PRId64 " x %" PRId64
                          ", %.17g frames a second, %" PRId64 " pictures\n",
                          kinds[film->kind], film->width, film->height, film->fps,
                          film->n_pictures));
    HR_TRY(hr_text_printf(out, "source %s\n", hr_hash_text(film->source, hash)));
    HR_TRY(hr_text_printf(out, "encoder %s\n", hr_hash_text(place->encoder, hash)));
    HR_TRY(hr_text_printf(out, "pictures %" PRId64 " from %" PRId64 "\n", segment->n,
                          segment->first));
    HR_TRY(hr_text_printf(out, "media %" PRIu64 " bytes %s\n", segment->media_bytes,
                          hr_hash_text(segment->media, hash)));
    for (int64_t i = 0; i < segment->n; i++)
        HR_TRY(hr_text_printf(out, "%s\n", hr_hash_text(segment->pictures[i], hash)));
    return HR_OK;
}

static hr_status make_text(const hr_segment_place *place, const hr_segment_file *segment,
                           hr_text *out)
{
    char hash[HR_HASH_TEXT_BYTES];

    HR_TRY(describe(place, segment, out));
    return hr_text_printf(out, "sum %s\n",
                          hr_hash_text(hr_hash_bytes(out->s, out->length), hash));
}

/* More than any encoder makes of so many pictures. */
static size_t most_bytes(const hr_film *film, int64_t n)
{
    return (size_t)(n * film->height * film->width) * 6 + SPARE_BYTES;
}

/* Whether there is a `path`; `why` when it is no plain file of at most so many bytes. */
static hr_status find(const char *path, size_t most, bool *is_there, hr_text *why)
{
    struct stat info;

    *is_there = !hr_fault_errno("file.stat", EIO) && stat(path, &info) == 0;
    if (!*is_there)
        return errno == ENOENT
                   ? HR_OK
                   : hr_fail(HR_ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size > most)
        return hr_text_printf(why, "%s is not what was written", path);
    return HR_OK;
}

/* Size and hash of a file; `why` when there is none. */
static hr_status weigh_file(const char *path, size_t most, uint64_t *bytes, hr_hash *hash,
                            hr_text *why)
{
    bool is_there;
    char *data;
    size_t n;

    HR_TRY(find(path, most, &is_there, why));
    if (!is_there)
        return hr_text_printf(why, "%s is missing", path);
    if (why->length > 0)
        return HR_OK;
    HR_TRY(hr_read_file(path, most, &data, &n));
    *bytes = n;
    *hash = hr_hash_bytes(data, n);
    hr_free(data);
    return HR_OK;
}

static hr_status weigh_pictures(const hr_segment_place *place, hr_segment_file *segment,
                                hr_text *why)
{
    hr_text path = {0}, hashes = {0};
    hr_status status = HR_OK;

    segment->media_bytes = 0;
    for (int64_t i = 0; i < segment->n && status == HR_OK && why->length == 0; i++) {
        uint64_t bytes = 0;
        hr_hash hash = {0};

        path.length = 0;
        status = hr_frames_path(place->frames_folder, segment->first + i, &path);
        if (status == HR_OK)
            status = weigh_file(path.s, most_bytes(place->film, 1), &bytes, &hash, why);
        if (status == HR_OK)
            status = hr_text_append(&hashes, (const char *)&hash, sizeof hash);
        segment->media_bytes += bytes;
    }
    segment->media = hr_hash_bytes(hashes.s, hashes.length);
    hr_text_free(&hashes);
    hr_text_free(&path);
    return status;
}

/* Fills in size and hash of the media. */
static hr_status weigh(const hr_segment_place *place, hr_segment_file *segment,
                       hr_text *why)
{
    hr_text path = {0};
    hr_status status;

    segment->media_bytes = 0;
    segment->media = (hr_hash){0};
    if (place->film->kind == HR_JOB_PNG)
        return weigh_pictures(place, segment, why);
    if (place->film->kind != HR_JOB_MP4)
        return HR_OK;
    status = hr_segment_file_path(place->folder, segment->index, ".mp4", &path);
    if (status == HR_OK)
        status = weigh_file(path.s, most_bytes(place->film, segment->n),
                            &segment->media_bytes, &segment->media, why);
    hr_text_free(&path);
    return status;
}

hr_status hr_segment_file_seal(const hr_segment_place *place, hr_segment_file *segment)
{
    hr_text path = {0}, text = {0}, why = {0};
    hr_status status = weigh(place, segment, &why);

    if (status == HR_OK && why.length > 0)
        status = hr_fail(HR_ERR_IO, "%s, just after it was written", why.s);
    if (status == HR_OK)
        status = hr_segment_file_path(place->folder, segment->index, ".txt", &path);
    if (status == HR_OK)
        status = make_text(place, segment, &text);
    if (status == HR_OK)
        status = hr_out_file_save(path.s, text.s, text.length);
    hr_text_free(&why);
    hr_text_free(&text);
    hr_text_free(&path);
    return status;
}

/* What a text says of the media and the pictures; false: it is no such text. */
static bool parse(const char *text, hr_segment_file *segment)
{
    const char *media = strstr(text, "\nmedia ");
    char hash[HR_HASH_TEXT_BYTES];
    int used = 0;

    if (media == NULL ||
        sscanf(media + 1, "media %20" SCNu64 " bytes %32[0-9a-f]%n",
               &segment->media_bytes, hash, &used) != 2 ||
        used == 0 || !hr_hash_parse(hash, &segment->media))
        return false;
    text = media + 1 + used;
    for (int64_t i = 0; i < segment->n; i++) {
        used = 0;
        if (sscanf(text, "\n%32[0-9a-f]%n", hash, &used) != 1 || used == 0 ||
            !hr_hash_parse(hash, &segment->pictures[i]))
            return false;
        text += used;
    }
    return true;
}

/* The text has to be what would be written for what it says. */
static hr_status check_text(const hr_segment_place *place, hr_segment_file *segment,
                            const char *path, hr_text *why)
{
    hr_text expected = {0};
    char *found;
    size_t n;
    hr_status status;

    HR_TRY(hr_read_file(path, MAX_TEXT, &found, &n));
    if (!parse(found, segment)) {
        hr_free(found);
        return hr_text_printf(why, "%s is not what was written", path);
    }
    status = make_text(place, segment, &expected);
    if (status == HR_OK && (n != expected.length || memcmp(found, expected.s, n) != 0))
        status =
            hr_text_printf(why, "%s is damaged, or of another film or encoder", path);
    hr_text_free(&expected);
    hr_free(found);
    return status;
}

static hr_status check_media(const hr_segment_place *place,
                             const hr_segment_file *segment, hr_text *why)
{
    hr_segment_file found = *segment;

    HR_TRY(weigh(place, &found, why));
    if (why->length > 0 || (found.media_bytes == segment->media_bytes &&
                            hr_hash_equal(found.media, segment->media)))
        return HR_OK;
    if (place->film->kind == HR_JOB_MP4)
        HR_TRY(hr_segment_file_path(place->folder, segment->index, ".mp4", why));
    else
        HR_TRY(hr_text_printf(why, "%s: a picture from %" PRId64 " to %" PRId64,
                              place->frames_folder, segment->first + 1,
                              segment->first + segment->n));
    return hr_text_add(why, " has changed since it was written");
}

hr_status hr_segment_file_check(const hr_segment_place *place, hr_segment_file *segment,
                                hr_text *why)
{
    hr_text path = {0};
    bool is_there = false;
    hr_status status = hr_segment_file_path(place->folder, segment->index, ".txt", &path);

    if (status == HR_OK)
        status = find(path.s, MAX_TEXT, &is_there, why);
    if (status == HR_OK && !is_there)
        segment->n = 0;
    if (status == HR_OK && is_there && why->length == 0)
        status = check_text(place, segment, path.s, why);
    if (status == HR_OK && is_there && why->length == 0)
        status = check_media(place, segment, why);
    hr_text_free(&path);
    return status;
}
