/* The job of a run that is there already: of its folder, or inside its file of latents.
 * Local. */
#ifndef HR_CLI_RUN_JOB_H
#define HR_CLI_RUN_JOB_H

#include "cli/render_options.h"

/* options->job holds what the command line sets; takes all else from the run that
 * options->resume or decode_only names. Refused, HR_ERR_ARG: keys that would make it
 * another video. The folder of a resumed run is the one that was named, whatever the
 * job's file says; that of --decode-only has to be given. Its layout is taken where it
 * fits n_ranks. */
hr_status hr_run_job_take(hr_render_options *options, int n_ranks);

#endif
