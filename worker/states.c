#include "worker/states.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/scratch.h"

#include <string.h>

/* Records of a frame: the samples after even and after odd steps, then the history. */
enum { N_SAMPLES = 2 };

struct hr_states {
    hr_range owned;
    int n_steps, records_per_frame;
    size_t frame_bytes;
    hr_scratch *scratch; /* NULL on a dry device */
    int *step;           /* of each own frame */
    int *first;          /* the first step whose sample was written here */
    hr_hash *hashes;     /* of each own frame after each step; NULL on a dry device */
};

static hr_status make_room(hr_states *states, const hr_run *run)
{
    size_t n = (size_t)states->owned.n, n_hashes;
    void *memory;

    HR_TRY(hr_alloc_or_fail(n * sizeof *states->step, "the steps of frames", &memory));
    states->step = memory;
    HR_TRY(hr_alloc_or_fail(n * sizeof *states->first, "the steps of frames", &memory));
    states->first = memory;
    for (size_t i = 0; i < n; i++)
        states->step[i] = -1;
    if (n == 0 || hr_device_is_dry(run->worker->device))
        return HR_OK;
    HR_TRY(hr_size_mul(n * sizeof *states->hashes, (size_t)states->n_steps, &n_hashes));
    HR_TRY(hr_alloc_or_fail(n_hashes, "the hashes of frames", &memory));
    states->hashes = memory;
    return hr_scratch_open(run->render->scratch_folder, states->frame_bytes,
                           states->owned.n * states->records_per_frame, &states->scratch);
}

hr_status hr_states_open(const hr_run *run, hr_states **out)
{
    hr_states *states;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *states, "the states of frames", &memory));
    states = memory;
    states->n_steps = run->render->plan->n_steps; /* a checkpoint may be further */
    states->records_per_frame = N_SAMPLES + hr_sampler_n_history(run->sampler);
    states->frame_bytes = run->frame_floats * sizeof(float);
    if (hr_parts_is_leader(run->worker))
        states->owned = hr_schedule_owned(&run->schedule, run->worker->place.windows);
    status = make_room(states, run);
    if (status != HR_OK) {
        hr_states_close(states);
        return status;
    }
    *out = states;
    return HR_OK;
}

void hr_states_close(hr_states *states)
{
    if (states == NULL)
        return;
    hr_scratch_close(states->scratch);
    hr_free(states->hashes);
    hr_free(states->first);
    hr_free(states->step);
    hr_free(states);
}

hr_range hr_states_owned(const hr_states *states)
{
    return states->owned;
}

static int64_t index_of(const hr_states *states, int64_t frame)
{
    int64_t i = frame - states->owned.first;

    HR_ASSERT(i >= 0 && i < states->owned.n);
    return i;
}

int hr_states_step(const hr_states *states, int64_t frame)
{
    return states->step[index_of(states, frame)];
}

static hr_hash *hash_at(const hr_states *states, int64_t frame, int step)
{
    HR_ASSERT(step >= 1 && step <= states->n_steps);
    return &states->hashes[index_of(states, frame) * states->n_steps + step - 1];
}

hr_status hr_states_write(hr_states *states, int64_t frame, int step, const float *x)
{
    int64_t i = index_of(states, frame);

    HR_ASSERT(step == states->step[i] + 1);
    if (states->scratch != NULL) {
        HR_TRY(hr_scratch_write(states->scratch,
                                i * states->records_per_frame + step % N_SAMPLES, x));
        if (step > 0)
            *hash_at(states, frame, step) = hr_hash_bytes(x, states->frame_bytes);
    }
    states->step[i] = step;
    return HR_OK;
}

bool hr_states_keeps(const hr_states *states, int64_t frame, int step)
{
    int64_t i = index_of(states, frame);

    return step <= states->step[i] && step > states->step[i] - N_SAMPLES &&
           step >= states->first[i];
}

hr_status hr_states_read(const hr_states *states, int64_t frame, int step, float *x)
{
    int64_t i = index_of(states, frame);

    HR_ASSERT(hr_states_keeps(states, frame, step));
    if (states->scratch == NULL)
        return HR_OK;
    return hr_scratch_read(states->scratch,
                           i * states->records_per_frame + step % N_SAMPLES, x);
}

static int64_t history_record(const hr_states *states, int64_t frame, int i)
{
    HR_ASSERT(i >= 0 && i < states->records_per_frame - N_SAMPLES);
    return index_of(states, frame) * states->records_per_frame + N_SAMPLES + i;
}

hr_status hr_states_write_history(hr_states *states, int64_t frame, int i,
                                  const float *data)
{
    int64_t record = history_record(states, frame, i);

    return states->scratch == NULL ? HR_OK
                                   : hr_scratch_write(states->scratch, record, data);
}

hr_status hr_states_read_history(const hr_states *states, int64_t frame, int i,
                                 float *data)
{
    int64_t record = history_record(states, frame, i);

    return states->scratch == NULL ? HR_OK
                                   : hr_scratch_read(states->scratch, record, data);
}

hr_hash hr_states_hash(const hr_states *states, int64_t frame, int step)
{
    return states->hashes == NULL ? (hr_hash){0} : *hash_at(states, frame, step);
}

hr_status hr_states_save(const hr_states *states, int64_t frame, hr_checkpoint_frame *out)
{
    int64_t i = index_of(states, frame);

    out->step = states->step[i];
    HR_TRY(hr_states_read(states, frame, out->step, out->x));
    for (int j = 0; j < states->records_per_frame - N_SAMPLES; j++)
        HR_TRY(hr_states_read_history(states, frame, j, out->history[j]));
    memcpy(out->hashes, &states->hashes[i * states->n_steps],
           (size_t)states->n_steps * sizeof *out->hashes);
    return HR_OK;
}

hr_status hr_states_restore(hr_states *states, int64_t frame,
                            const hr_checkpoint_frame *from)
{
    int64_t i = index_of(states, frame);

    HR_ASSERT(states->step[i] < 0 && from->step >= 0 && from->step <= states->n_steps);
    HR_TRY(hr_scratch_write(states->scratch,
                            i * states->records_per_frame + from->step % N_SAMPLES,
                            from->x));
    for (int j = 0; j < states->records_per_frame - N_SAMPLES; j++)
        HR_TRY(hr_states_write_history(states, frame, j, from->history[j]));
    memcpy(&states->hashes[i * states->n_steps], from->hashes,
           (size_t)states->n_steps * sizeof *from->hashes);
    states->step[i] = states->first[i] = from->step;
    return HR_OK;
}
