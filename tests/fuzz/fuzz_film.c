/* The media of a film segment, as the first part of a film and as a later one:
 * io/video_join.h. */
#include "fuzz.h"

#include "base/assert.h"
#include "io/video.h"
#include "io/video_join.h"

#include <stdbool.h>
#include <stdio.h>

enum { SIDE = 16, N_FRAMES = 2 };

static char part[300], good[300], joined[300];

static void make_good(void)
{
    static float rgb[SIDE * SIDE * 3];
    const hr_video_options options = {.width = SIDE, .height = SIDE, .fps = 16};
    hr_video_writer *writer = NULL;
    hr_status status;

    snprintf(part, sizeof part, "%s/part.mp4", hr_fuzz_folder());
    snprintf(good, sizeof good, "%s/good.mp4", hr_fuzz_folder());
    snprintf(joined, sizeof joined, "%s/joined.mp4", hr_fuzz_folder());
    status = hr_video_begin(good, &options, &writer);
    for (int i = 0; i < N_FRAMES && status == HR_OK; i++)
        status = hr_video_append(writer, rgb);
    if (status == HR_OK)
        status = hr_video_finish(writer);
    HR_ASSERT(status == HR_OK);
}

static hr_status join(const char *first, const char *second)
{
    hr_video_join *film = NULL;
    hr_status status;

    HR_TRY(hr_video_join_begin(joined, 16, &film));
    status = hr_video_join_add(film, first, N_FRAMES);
    if (status == HR_OK)
        status = hr_video_join_add(film, second, N_FRAMES);
    if (status == HR_OK)
        return hr_video_join_finish(film);
    hr_video_join_abandon(film);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static bool is_ready;
    hr_status status;

    if (!is_ready)
        make_good();
    is_ready = true;
    hr_fuzz_write("part.mp4", data, n);
    hr_fuzz_begin();
    status = join(part, good);
    hr_fuzz_end(status != HR_OK);
    hr_fuzz_begin();
    status = join(good, part);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
