/* What makes a render the one that it is, as lines of text "GROUP<tab>KEY<tab>VALUE": the
 * head of a receipt, and what all ranks have to agree on before they start. Local to
 * cli/. */
#ifndef HR_CLI_IDENTITY_H
#define HR_CLI_IDENTITY_H

#include "base/text.h"
#include "cli/ranks.h"
#include "cli/render_options.h"
#include "coordinator/plan.h"
#include "io/job.h"
#include "io/receipt.h"
#include "model/model.h"

/* The keys that decide about the video, not about who computes it or where it goes;
 * `prompt` is what is encoded. `latents_in` is a file that counts too, or NULL. */
hr_status hr_identity_add_job(const hr_job *job, const hr_plan *plan, const char *prompt,
                              const char *latents_in, hr_text *out);
/* Whether a run that goes on may have another value of this key: it says who computes the
 * video and what is made of it besides. Its model may lie elsewhere. */
bool hr_identity_may_differ(hr_job_key key);
/* What ranks have to have in common besides: for hr_identity_check, not for a receipt. */
hr_status hr_identity_add_call(const hr_render_options *options, hr_text *out);
/* Version and fingerprint of the running program. */
hr_status hr_identity_add_program(hr_text *out);

hr_status hr_identity_to_receipt(const char *lines, hr_receipt *receipt);

/* The same for a checkpoint (io/checkpoint.h), lines "KEY<tab>VALUE": the version of the
 * program and the job; the model's files. Owned strings. */
typedef struct hr_identity {
    char *job, *model;
} hr_identity;
/* `job_lines` and `model_lines` as above. Caller frees. */
hr_status hr_identity_make(const char *job_lines, const char *model_lines,
                           hr_identity *out);
void hr_identity_free(hr_identity *identity);
/* Compares what a run has with what it would be now: *n_differ keys differ. They go to
 * the log as a table, key, `where`, now. Local. */
hr_status hr_identity_compare(const hr_identity *there, const hr_identity *now,
                              const char *where, int *n_differ);

/* Collective: adds the model's lines, and refuses, naming rank and line, where `lines`
 * are not those of the first rank. The weights of a model are read by the first rank of
 * each host, and by those that see other files than it does: *lines of the others lack
 * them. HR_ERR_MODEL where a file of the model differs, else HR_ERR_ARG. */
hr_status hr_identity_check(const hr_ranks *ranks, const hr_model *model, hr_text *lines);

#endif
