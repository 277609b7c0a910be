/* What a run takes of the disk. Local to cli/. */
#ifndef HR_CLI_RUN_DISK_H
#define HR_CLI_RUN_DISK_H

#include "cli/run_place.h"

/* Of one checkpoint: a usual size, with what is on its way in the middle of a step. */
uint64_t hr_run_disk_checkpoint(const hr_render_call *call, const hr_job *job);

/* HR_ERR_NOMEM, logged with the numbers, when there is no room for checkpoints, latents
 * and film. On the first rank, before any work. */
hr_status hr_run_disk_check(const hr_render_call *call, const hr_job *job,
                            const hr_run_place *place);

#endif
