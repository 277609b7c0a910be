/* Inside io/ only: one closed film segment on the disk, and the text that seals it.
 * Local.
 */
#ifndef HR_IO_SEGMENT_FILE_H
#define HR_IO_SEGMENT_FILE_H

#include "base/text.h"
#include "io/segments.h"

#include <stdbool.h>

/* Where segments are, and of what. */
typedef struct hr_segment_place {
    const char *folder;
    const char *frames_folder; /* of pictures, kind HR_JOB_PNG */
    const hr_film *film;
    hr_hash encoder; /* hr_video_encoder, zeros for other kinds than HR_JOB_MP4 */
} hr_segment_place;

typedef struct hr_segment_file {
    int64_t index, first, n; /* pictures [first, first + n) */
    hr_hash *pictures;       /* [n] */
    uint64_t media_bytes;    /* of the film, or of all pictures */
    hr_hash media;           /* of its bytes; of the hashes of the pictures' files */
} hr_segment_file;

/* Segment `index` of the film; `pictures` is to be set by the caller. */
hr_segment_file hr_segment_file_at(const hr_film *film, int64_t index);

/* FOLDER/0012ENDING, added to `out`. */
hr_status hr_segment_file_path(const char *folder, int64_t index, const char *ending,
                               hr_text *out);

/* Its media are on the disk: fills in what they weigh and writes the text. */
hr_status hr_segment_file_seal(const hr_segment_place *place, hr_segment_file *segment);

/* Reads and checks a segment. `why` says what is wrong with it, in words that begin with
 * a path, and stays empty when it is whole or when there is none (n is 0 then). A failure
 * is one to read a file that is there. */
hr_status hr_segment_file_check(const hr_segment_place *place, hr_segment_file *segment,
                                hr_text *why);

/* Removes segment `index` and all behind it, but no pictures. `behind`: whether there was
 * a sealed one behind it. */
hr_status hr_segment_files_drop(const char *folder, int64_t index, bool *behind);
/* Removes n segments, the last one first: what a killed process leaves is the beginning
 * of the film still. */
hr_status hr_segment_files_drop_backwards(const char *folder, int64_t n);

#endif
