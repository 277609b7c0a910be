/* From a job to a render: what the sub-commands do with a model and a job before any
 * work. Local. */
#ifndef HR_CLI_REQUEST_H
#define HR_CLI_REQUEST_H

#include "coordinator/plan.h"
#include "model/model.h"
#include "worker/worker.h"

/* The numbers of a model that the coordinator plans with. */
hr_model_facts hr_request_facts(const hr_model_config *config);

/* Fills in what only the model's own files know: sampler, shift, text length. Call after
 * hr_job_merge. */
void hr_request_take_model(hr_job *job, const hr_model_config *config);

/* The two and what is around them: opens the job's model (the default one unless set),
 * fills the job in and plans it. On failure what was opened stays for the caller, who
 * closes model and entry. */
hr_status hr_request_resolve(hr_job *job, hr_model_entry *entry, hr_model **model,
                             hr_plan *plan);

/* All but the places of files, so fit for an estimate. Strings are borrowed; `prompt` is
 * what is encoded. */
hr_render hr_request_render(const hr_job *job, const hr_plan *plan, const char *prompt);

hr_numerics hr_request_numerics(const hr_job *job);

#endif
