/* haloreel submit: from a job to a Slurm job. Local to cli/; local. */
#ifndef HR_CLI_SUBMIT_H
#define HR_CLI_SUBMIT_H

#include "base/text.h"
#include "coordinator/plan.h"
#include "io/job.h"
#include "model/model.h"

#include <stdbool.h>

/* What the command line says. Strings are borrowed from it. */
typedef struct hr_submit_options {
    const char **job_files; /* [n_job_files], owned */
    size_t n_job_files;
    const char **sets; /* [n_sets] of --set, owned */
    size_t n_sets;
    bool many_jobs;              /* --jobs: each file is a task of an array */
    uint64_t *seeds;             /* of --seeds, owned; NULL when not given */
    size_t n_seeds;              /* each is a task of an array */
    int least_nodes, most_nodes; /* 0: as the plan says */
    int ranks_per_node;
    int cpus_per_rank;                               /* 0: as threads or the nodes say */
    const char *partition, *account, *template_file; /* NULL: not given */
    char *time;          /* as sbatch takes it, owned; NULL: not given */
    double time_seconds; /* 0: not given, or no limit */
    bool split_decode;
    bool dry_run;
    int max_failures;
    int signal_seconds;
    const char **sbatch; /* [n_sbatch]: sbatch options, borrowed */
    size_t n_sbatch;
    const char **decode_sbatch; /* [n_decode_sbatch] of --decode-sbatch, owned */
    size_t n_decode_sbatch;
    bool is_help; /* was asked for, and shown: nothing else to do */
} hr_submit_options;

/* Wrong usage is HR_ERR_ARG, said by argp or in a line. Caller frees. */
hr_status hr_submit_options_parse(int argc, char **argv, hr_submit_options *out);
void hr_submit_options_free(hr_submit_options *options);

/* Nodes and cores for one job that has been planned: as asked for, or the fewest nodes,
 * like this host, that hold the model and keep to the time limit (docs/slurm.md). */
typedef struct hr_submit_size {
    int least_nodes, most_nodes;
    int ranks_per_node;
    int cpus_per_rank; /* 0: left to Slurm */
} hr_submit_size;
hr_status hr_submit_size_choose(const hr_submit_options *options, const hr_job *job,
                                const hr_model *model, const hr_plan *plan,
                                hr_submit_size *out);

/* The runs of a call: one, or one for each seed or job file. */
typedef struct hr_submit_runs {
    char *folder;       /* that of the run, or around the runs: absolute */
    char *slurm_folder; /* FOLDER/slurm, where the script goes; exists */
    char *name;         /* for the queue: that of the job file, without its ending */
    char **folders;     /* [n]: absolute; FOLDER/slurm/job.yaml is what is rendered */
    bool *are_new;      /* [n]: there was no such job before */
    size_t n;
    bool is_new_script; /* nor a script */
    int n_steps;        /* of the first one */
    hr_submit_size size;
} hr_submit_runs;

/* Reads and plans the jobs, makes the run folders and writes each job there, with all
 * that was left open (seed, folder) settled. Caller frees, also after a failure. */
hr_status hr_submit_runs_make(const hr_submit_options *options, hr_submit_runs *out);
/* After a failure: removes what was written and was not there before, and folders that
 * are empty then. */
void hr_submit_runs_undo(const hr_submit_runs *runs);
void hr_submit_runs_free(hr_submit_runs *runs);

typedef enum hr_submit_kind {
    HR_SUBMIT_ALL = 0,
    HR_SUBMIT_DENOISE, /* the first of two jobs */
    HR_SUBMIT_DECODE   /* the second */
} hr_submit_kind;

/* Fills the template in and writes it into the slurm folder, as job.sbatch or
 * decode.sbatch. Appends its path. */
hr_status hr_submit_script_write(const hr_submit_options *options,
                                 const hr_submit_runs *runs, hr_submit_kind kind,
                                 hr_text *path);

/* One value that goes into the template: a word, or several. */
typedef struct hr_submit_value {
    const char *name;
    const char *const *words;
    size_t n_words;
} hr_submit_value;

/* Puts the values in place of {{NAME}}: quoted words with blanks between them, after
 * #SBATCH as sbatch reads them, elsewhere as the shell does. `path` is for messages.
 * HR_ERR_ARG (logged with the line) for a name that is not known, HR_ERR_UNSUPPORTED for
 * a control character after #SBATCH. */
hr_status hr_submit_fill(const char *path, const char *text,
                         const hr_submit_value *values, size_t n_values, hr_text *out);

#endif
