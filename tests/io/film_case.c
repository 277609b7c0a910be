#include "io/film_case.h"

#include "support/test_util.h"

#include "base/memory.h"

#include <math.h>

enum { MAX_DONE = 512 };

hr_film film_case_of(int64_t n, hr_job_video kind)
{
    return (hr_film){.n_pictures = n,
                     .height = FILM_HEIGHT,
                     .width = FILM_WIDTH,
                     .per_latent = 4,
                     .fps = 23.976,
                     .kind = kind,
                     .source = {1, 2}};
}

void film_case_paint(float *rgb, int64_t picture)
{
    for (int64_t i = 0; i < FILM_VALUES; i++) {
        float x = (float)(i / 3 % FILM_WIDTH), y = (float)(i / 3 / FILM_WIDTH);
        float grain = (float)((i / 3 * 7919 + picture * 104729) % 1013) / 1013;

        rgb[i] =
            0.06F * grain + 0.45F * (1 + sinf(0.1F * (x + (float)picture) + 0.2F * y));
    }
}

hr_hash film_case_hash(int64_t picture)
{
    return (hr_hash){(uint64_t)picture * 3 + 1, 77};
}

/* What a writer said to be done. */
typedef struct told {
    int64_t n;
    hr_hash hashes[MAX_DONE];
} told;

static void tell(void *user, int64_t picture, hr_hash hash)
{
    told *t = user;

    assert_int_equal(picture, t->n);
    t->hashes[t->n++] = hash;
}

hr_segments_writer *film_case_open(const char *folder, const hr_film *film)
{
    hr_segments_writer *writer = NULL;
    told *t = hr_alloc(sizeof *t);

    hr_test_ok(hr_segments_open(folder, film, tell, t, &writer));
    assert_int_equal(t->n, hr_segments_done(writer));
    for (int64_t i = 0; i < t->n; i++)
        assert_true(hr_hash_equal(t->hashes[i], film_case_hash(i)));
    hr_free(t);
    return writer;
}

hr_status film_case_append(hr_segments_writer *writer, int64_t end)
{
    float rgb[FILM_VALUES];

    for (int64_t i = hr_segments_done(writer); i < end; i++) {
        film_case_paint(rgb, i);
        HR_TRY(hr_segments_append(writer, rgb, film_case_hash(i)));
    }
    return HR_OK;
}

void film_case_part(const char *folder, const hr_film *film, int64_t end)
{
    hr_segments_writer *writer = film_case_open(folder, film);

    hr_test_ok(film_case_append(writer, end));
    hr_segments_close(writer);
}

void film_case_rest(const char *folder, const hr_film *film, const char *path)
{
    hr_segments_writer *writer = film_case_open(folder, film);

    hr_test_ok(film_case_append(writer, film->n_pictures));
    hr_test_ok(hr_segments_finish(writer, path));
}
