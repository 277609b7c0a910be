/* What a run folder holds of the run that a call asks for. Local; the first rank looks,
 * with the folder's lock. */
#ifndef HR_CLI_RESUME_H
#define HR_CLI_RESUME_H

#include "cli/identity.h"
#include "io/run_folder.h"

typedef enum hr_found_kind {
    HR_FOUND_NOTHING = 0, /* to go on from */
    HR_FOUND_CHECKPOINT,
    HR_FOUND_LATENTS, /* denoised */
    HR_FOUND_DONE     /* nothing is left to do */
} hr_found_kind;

typedef struct hr_found {
    hr_found_kind kind;
    char *path;     /* of the checkpoint or latents; owned, NULL otherwise */
    int steps_done; /* of all frames */
} hr_found;

/* What is asked for. */
typedef struct hr_wanted {
    const hr_run_folder *run;
    hr_identity *identity;   /* a line that only the run's files have is taken over */
    const char *decode_only; /* the file to decode, NULL: look into the folder */
    int n_steps, stop_after_step;
    bool force;          /* with decode_only: a result that is there is replaced */
    bool is_resume;      /* the job is that of the folder */
    bool has_side_files; /* --latents-out, --frames-out: a run that is done will not do */
} hr_wanted;

/* Whole runs and files of another job: HR_ERR_CHECKPOINT, logged with
 * a table. Damaged checkpoints are named and older ones used; where none is whole,
 * HR_ERR_CHECKPOINT, and nothing is changed in the folder. Where one is, the damaged
 * ones get the ending .damaged: they are not counted any more. A damaged receipt is
 * named, and HR_ERR_FORMAT only where there is a result and nothing else tells its job.
 * Caller frees. */
hr_status hr_resume_look(const hr_wanted *wanted, hr_found *out);
/* One line for the log. */
void hr_resume_say(const hr_wanted *wanted, const hr_found *found);
void hr_found_free(hr_found *found);

/* The seed of the run in a folder that holds one; *has_one otherwise false. A run is one
 * that left a receipt, latents or a checkpoint. */
hr_status hr_resume_find_seed(const char *folder, uint64_t *seed, bool *has_one);

#endif
