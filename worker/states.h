/* Inside worker/ only: the frames that this rank owns: sample, history of the sampler,
 * steps done. They lie in a scratch file, not in memory, which therefore does not grow
 * with the video. Local. */
#ifndef HR_WORKER_STATES_H
#define HR_WORKER_STATES_H

#include "base/hash.h"
#include "io/checkpoint.h"
#include "worker/run.h"

typedef struct hr_states hr_states;

/* Of the frames of this rank; a rank that is no leader has none. On a dry device the
 * steps are counted, but nothing is stored and reads leave `out` as it is. Caller closes
 * (NULL is fine). */
hr_status hr_states_open(const hr_run *run, hr_states **out);
void hr_states_close(hr_states *states);

hr_range hr_states_owned(const hr_states *states);
/* Steps done for an own frame; -1 before its noise was written. */
int hr_states_step(const hr_states *states, int64_t frame);

/* The sample after `step` steps. The last two are kept: writing step k forgets k - 2. */
hr_status hr_states_write(hr_states *states, int64_t frame, int step, const float *x);
hr_status hr_states_read(const hr_states *states, int64_t frame, int step, float *x);

/* Whether the sample after `step` steps is one of those kept. */
bool hr_states_keeps(const hr_states *states, int64_t frame, int step);

/* Tensor `i` of the sampler's history. */
hr_status hr_states_write_history(hr_states *states, int64_t frame, int i,
                                  const float *data);
hr_status hr_states_read_history(const hr_states *states, int64_t frame, int i,
                                 float *data);

/* The hash of an own frame after `step` steps, from 1; that of the last write. Zeros for
 * steps that were not done. */
hr_hash hr_states_hash(const hr_states *states, int64_t frame, int step);

/* All about an own frame, for a checkpoint: fills what `out` points at. And the way back,
 * into states that are new: of the samples the last alone is there then. */
hr_status hr_states_save(const hr_states *states, int64_t frame,
                         hr_checkpoint_frame *out);
hr_status hr_states_restore(hr_states *states, int64_t frame,
                            const hr_checkpoint_frame *from);

#endif
