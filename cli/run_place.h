/* Where a video's run lives and what it goes on from: the first rank decides, all know.
 * Local to cli/. */
#ifndef HR_CLI_RUN_PLACE_H
#define HR_CLI_RUN_PLACE_H

#include "cli/identity.h"
#include "cli/render_call.h"
#include "cli/resume.h"
#include "io/run_folder.h"

typedef struct hr_run_place {
    hr_run_folder folder; /* on the first rank */
    hr_found found;
    char *path; /* of the folder, everywhere */
    char *job_yaml;
    hr_identity identity;                   /* all of it, everywhere */
    char *checkpoints, *latents, *segments; /* paths, everywhere */
    char *scratch;                          /* this rank's folder for frame states */
    uint64_t checkpoint_bytes;              /* about the size of one */
    bool can_save; /* all ranks see the folder: it gets checkpoints and latents.h5 */
} hr_run_place;

/* Collective: opens and locks the folder, looks what is in it, makes it ready and writes
 * job.yaml, unless nothing is left to do. A refusal leaves the ranks together. Caller
 * closes, after a failure too; takes a zeroed one. */
hr_status hr_run_place_open(hr_render_call *call, hr_video *video, hr_run_place *out);
void hr_run_place_close(hr_run_place *place);

/* For the worker; borrows from the place. */
hr_checkpointing hr_run_place_checkpointing(const hr_run_place *place, const hr_job *job);

/* Local: whether the folder of the only video holds a run already, of whatever job: its
 * files may be replaced when it goes on. */
bool hr_run_place_has_run(const hr_render_call *call);

/* Collective: the seed that the call does not give is that of the run in its folder. */
hr_status hr_run_place_take_seed(hr_render_call *call);

#endif
