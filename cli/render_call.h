/* One call of `haloreel render`: what all its videos share. They differ in prompt and
 * seed only. Local to cli/; all functions are collective over the ranks of the call. */
#ifndef HR_CLI_RENDER_CALL_H
#define HR_CLI_RENDER_CALL_H

#include "cli/batch.h"
#include "cli/machine.h"
#include "cli/outlook.h"
#include "cli/ranks.h"
#include "cli/render_options.h"
#include "cli/time_limit.h"
#include "worker/worker.h"

typedef struct hr_render_call {
    hr_ranks ranks;
    hr_render_options options;
    hr_model_entry entry;
    hr_model *model;
    hr_machine machine;
    hr_device *device;
    hr_worker *worker; /* NULL until the first video needs it */
    hr_plan plan;
    hr_outlook outlook;
    hr_batch batch;
    bool is_batch;
    hr_text again; /* what goes on with a batch that is stopped; empty: nothing */
    hr_time_limit time_limit; /* on the first rank */
    hr_text model_lines;      /* of receipts: cli/identity.h */
} hr_render_call;

/* From the command line to a device, or a refusal on all ranks alike. options.is_help:
 * nothing else is to be done. */
hr_status hr_render_call_open(const hr_command_line *line, hr_render_call *call);
/* Takes a zeroed call; leaves the ranks open. Local. */
void hr_render_call_close(hr_render_call *call);

/* All but the places of a run folder, so fit for an estimate. Strings are borrowed.
 * Local. */
hr_render hr_render_call_video(const hr_render_call *call, const hr_video *video);
/* The layout for this video. */
hr_status hr_render_call_choose(hr_render_call *call, const hr_render *render,
                                hr_layout *out);
/* The worker for this video and those like it; refuses before any weights are read what
 * does not fit into memory. */
hr_status hr_render_call_open_worker(hr_render_call *call, const hr_render *render);

/* Renders into the video's run folder (cli/render_video.c). */
hr_status hr_render_video(hr_render_call *call, hr_video *video);
/* `render --verify` (cli/verify.c). */
hr_status hr_render_verify(hr_render_call *call);

#endif
