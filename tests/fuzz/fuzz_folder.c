/* The small text files of a run folder; the first byte says which the rest is: the lock
 * (io/lock.h), the seal of a film segment (io/segment_file.h), the runs of a Slurm job
 * (io/job_folder.h). */
#include "fuzz.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/job_folder.h"
#include "io/lock.h"
#include "io/segment_file.h"

static hr_status read_lock(const uint8_t *data, size_t n)
{
    hr_lock *lock = NULL;
    hr_status status;

    hr_fuzz_write("lock", data, n);
    hr_fuzz_begin();
    status = hr_lock_open(hr_fuzz_folder(), NULL, &lock);
    hr_lock_close(lock);
    return status;
}

static hr_status read_segment(const uint8_t *data, size_t n)
{
    const hr_film film = {.n_pictures = 5,
                          .height = 8,
                          .width = 8,
                          .per_latent = 4,
                          .fps = 16,
                          .kind = HR_JOB_MP4};
    const hr_segment_place place = {.folder = hr_fuzz_folder(), .film = &film};
    hr_segment_file segment = hr_segment_file_at(&film, 0);
    hr_hash pictures[5];
    hr_text why = {0};
    hr_status status;

    HR_ASSERT(segment.n == 5);
    segment.pictures = pictures;
    hr_fuzz_write("0000.mp4", "media", 5);
    hr_fuzz_write("0000.txt", data, n);
    hr_fuzz_begin();
    status = hr_segment_file_check(&place, &segment, &why);
    hr_text_free(&why);
    return status;
}

static hr_status read_runs(const uint8_t *data, size_t n)
{
    const hr_job_id job = {.job = 12, .task = n % 3};
    hr_job_runs runs = {0};
    hr_status status;

    hr_fuzz_write("job-12.runs", data, n);
    hr_fuzz_begin();
    status = hr_job_folder_read(hr_fuzz_folder(), &job, &runs);
    hr_job_runs_free(&runs);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static hr_status (*const read[])(const uint8_t *, size_t) = {read_lock, read_segment,
                                                                 read_runs};

    if (n > 0)
        hr_fuzz_end(read[data[0] % 3](data + 1, n - 1) != HR_OK);
    return 0;
}
