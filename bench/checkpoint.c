/* How long a checkpoint takes to save and to verify, on any number of ranks:
 *
 *     ninja -C build bench_checkpoint
 *     mpirun -n 2 build/bench_checkpoint FOLDER FRAMES [CHANNELS HEIGHT WIDTH]
 *
 * The file stays in FOLDER. The sampler's history has two entries, as UniPC's. */
#include "base/clock.h"
#include "base/memory.h"
#include "io/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { N_STEPS = 50, N_PENDING = 21 };

typedef struct frames {
    size_t n_elements;
    int n_history;
} frames;

static hr_status give_frame(void *user, int64_t frame, hr_checkpoint_frame *out)
{
    const frames *f = user;

    for (size_t i = 0; i < f->n_elements; i++)
        out->x[i] = (float)frame + (float)i / 65536.0F;
    for (int h = 0; h < f->n_history; h++)
        for (size_t i = 0; i < f->n_elements; i++)
            out->history[h][i] = (float)(frame + h) - (float)i / 65536.0F;
    out->step = N_STEPS / 2;
    for (int i = 0; i < out->step; i++)
        out->hashes[i] = (hr_hash){(uint64_t)frame, (uint64_t)i};
    return HR_OK;
}

static hr_status give_pending(void *user, int64_t i, hr_pending *head, float *data)
{
    const frames *f = user;

    *head = (hr_pending){.kind = HR_PENDING_PREDICTION, .frame = 0};
    for (size_t k = 0; k < f->n_elements; k++)
        data[k] = (float)i;
    return HR_OK;
}

static int64_t number(int n_args, char **args, int i, int64_t otherwise)
{
    return i < n_args ? atoll(args[i]) : otherwise;
}

/* The slowest rank's. */
static double seconds_of_all(hr_group *all, double mine)
{
    double each[1024], most = 0;

    if (hr_group_size(all) > 1024 ||
        hr_group_all_gather(all, &mine, sizeof mine, each) != HR_OK)
        return 0;
    for (int i = 0; i < hr_group_size(all); i++)
        most = each[i] > most ? each[i] : most;
    return most;
}

static hr_status measure(hr_group *all, const char *path, const hr_checkpoint_head *head,
                         const hr_checkpoint_source *source)
{
    const double gigabytes = (double)hr_checkpoint_bytes(head) / 1e9;
    struct rusage use;
    double began = hr_clock_seconds(), save, verify;

    HR_TRY(hr_checkpoint_save(all, path, head, source));
    save = seconds_of_all(all, hr_clock_seconds() - began);
    began = hr_clock_seconds();
    HR_TRY(hr_checkpoint_verify(all, path));
    verify = seconds_of_all(all, hr_clock_seconds() - began);
    getrusage(RUSAGE_SELF, &use);
    if (hr_group_rank(all) == 0)
        printf("%s: %.3f GB, %d ranks: save %.2f s, verify %.2f s; memory of rank 0: "
               "ours %.1f MB, of the process %.1f MB\n",
               path, gigabytes, hr_group_size(all), save, verify,
               (double)hr_mem_peak_bytes() / 1e6, (double)use.ru_maxrss / 1e3);
    return HR_OK;
}

int main(int n_args, char **args)
{
    hr_checkpoint_head head = {.n_frames = number(n_args, args, 2, 41),
                               .channels = number(n_args, args, 3, 16),
                               .height = number(n_args, args, 4, 60),
                               .width = number(n_args, args, 5, 104),
                               .n_history = 2,
                               .n_steps = N_STEPS,
                               .n_pending = N_PENDING};
    frames f = {.n_elements = (size_t)(head.channels * head.height * head.width),
                .n_history = head.n_history};
    hr_checkpoint_source source = {
        .frame = give_frame, .pending = give_pending, .user = &f};
    hr_world *world = NULL;
    char path[4096];
    hr_status status;

    if (n_args < 3 || hr_world_open(&world) != HR_OK)
        return 2;
    {
        hr_group *all = hr_world_group(world);
        const int64_t rank = hr_group_rank(all), size = hr_group_size(all);

        source.first_frame = head.n_frames * rank / size;
        source.n_frames = head.n_frames * (rank + 1) / size - source.first_frame;
        source.n_pending = rank == 0 ? N_PENDING : 0;
        snprintf(path, sizeof path, "%s/bench.h5", args[1]);
        status = hr_group_agree(all, measure(all, path, &head, &source));
    }
    hr_world_close(world);
    return status != HR_OK;
}
