/* A small film whose pictures and hashes are known, for the tests of its segments. */
#ifndef HR_TESTS_IO_FILM_CASE_H
#define HR_TESTS_IO_FILM_CASE_H

#include "io/segments.h"

/* Pixels; values of a picture; pictures of a film of three segments: 0..96, 97..192 and
 * 193..204. */
enum {
    FILM_WIDTH = 48,
    FILM_HEIGHT = 32,
    FILM_VALUES = FILM_WIDTH * FILM_HEIGHT * 3,
    FILM_PICTURES = 205
};

hr_film film_case_of(int64_t n, hr_job_video kind);
/* Something that moves, with some grain: [FILM_HEIGHT, FILM_WIDTH, 3] in 0..1. */
void film_case_paint(float *rgb, int64_t picture);
hr_hash film_case_hash(int64_t picture);

/* Opens and checks what is said to be done. */
hr_segments_writer *film_case_open(const char *folder, const hr_film *film);
/* Appends until `end` pictures are there. */
hr_status film_case_append(hr_segments_writer *writer, int64_t end);
/* Begins, or goes on, and stops when `end` pictures were appended. */
void film_case_part(const char *folder, const hr_film *film, int64_t end);
/* Begins, or goes on, to the end. */
void film_case_rest(const char *folder, const hr_film *film, const char *path);

#endif
