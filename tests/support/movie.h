/* Reads pictures and videos back with libav, independently of io/. */
#ifndef HR_TESTS_MOVIE_H
#define HR_TESTS_MOVIE_H

#include <stddef.h>
#include <stdint.h>

typedef struct hr_test_movie {
    char format[32]; /* libav's name of the pixel format: "yuv420p" */
    char primaries[32], transfer[32], space[32], range[32];
    int64_t width, height, n_frames;
    double fps, seconds; /* of the container */
    int fps_numerator, fps_denominator;
    double first_seconds, last_seconds; /* shown times of the first and last frame */
    double longest_seconds, shortest_seconds; /* from one frame to the next */
    uint8_t *rgb; /* [n_frames, height, width, 3]; YCbCr converted by BT.709 in float64 */
} hr_test_movie;

/* Fails the running test when the file cannot be decoded. Free it. */
hr_test_movie hr_test_movie_read(const char *path);
void hr_test_movie_free(hr_test_movie *movie);

#endif
