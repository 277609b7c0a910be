/* Inside worker/ only: writing a checkpoint at a meeting. */
#ifndef HR_WORKER_SNAPSHOT_H
#define HR_WORKER_SNAPSHOT_H

#include "worker/meeting.h"

/* What it is made of, all borrowed. */
typedef struct hr_snapshot {
    const hr_run *run;
    const hr_states *states;
    const hr_halo *halo;
    const hr_rounds *rounds;
    const hr_minutes *minutes;
    bool is_last;          /* all steps of the run are done */
    int64_t *rounds_saved; /* done at the last checkpoint of this render; -1: none yet */
} hr_snapshot;

/* Collective over the worker's group; does nothing where no such file is wanted, and on a
 * dry device. Midway a checkpoint in the run's folder, of which the newest are kept; at
 * the last meeting the latents, after which no checkpoint is, or, of a render that stops
 * at a step, a checkpoint; never the same one twice. Tells the user on rank 0.
 *
 * Latents that have no room: the checkpoints but the newest whole one are removed, and
 * they are tried once more. If they still cannot be written, that is a failure where
 * such a checkpoint is there (nothing is decoded that is not safe); where none is, the
 * render goes on without them. A checkpoint midway that could not be written for lack of
 * room or rights is no failure (*is_saved is false), that of a render that stops at a
 * step is one. */
hr_status hr_snapshot_save(const hr_snapshot *snapshot, bool *is_saved);

#endif
