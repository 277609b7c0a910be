/* The run folder: job.yaml, status.json, logs, receipt and what a run makes, each at its
 * place (docs/run-folder.md). Local; the first rank alone opens it. */
#ifndef HR_IO_RUN_FOLDER_H
#define HR_IO_RUN_FOLDER_H

#include "base/hash.h"
#include "base/status.h"
#include "io/disk.h"
#include "io/job.h"
#include "io/lock.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hr_run_options {
    const char
        *folder; /* NULL: beside `file`, its name with .run in place of the ending */
    const char
        *file; /* where a film (.mp4) or a still picture (.png) goes; NULL: the folder */
    hr_job_video video;
    bool is_still;      /* one frame: a picture, whatever kind of film was asked for */
    bool previews;      /* makes preview/ */
    const char *job_id; /* of Slurm, for the lock; NULL: none */
    bool is_named;      /* the user chose the place: says which parents are made */
    bool fresh;         /* what the folder holds is moved to FOLDER.old-1, or -2, ... */
} hr_run_options;

/* All paths are owned. At most one of video, picture and frames_folder is set: the
 * result. */
typedef struct hr_run_folder {
    char *folder;
    char *video;             /* FOLDER/video.mp4 or the file */
    char *picture;           /* FOLDER/picture.png or the file */
    char *frames_folder;     /* FOLDER/frames */
    char *preview_folder;    /* FOLDER/preview, which exists; NULL without previews */
    char *job_file;          /* FOLDER/job.yaml */
    char *status_file;       /* FOLDER/status.json */
    char *receipt_file;      /* FOLDER/receipt.json */
    char *log_file;          /* FOLDER/log/rank-0000.log; the folder log exists */
    char *scratch_folder;    /* FOLDER/scratch, which exists until close */
    char *checkpoint_folder; /* FOLDER/checkpoint */
    char *latents_file;      /* FOLDER/latents.h5: denoised */
    char *segments_folder;   /* FOLDER/segments: pieces of the film */
    hr_lock *lock;           /* held until close */
} hr_run_folder;

/* Makes the folder with its parents and takes its lock; what is in it stays. Refused: a
 * file whose ending does not fit (HR_ERR_ARG), a folder that another process works in
 * (HR_ERR_ARG), in which a folder of a run is a link (HR_ERR_ARG), that cannot be made or
 * written (HR_ERR_IO). Caller closes. */
hr_status hr_run_folder_open(const hr_run_options *options, hr_run_folder *out);
/* Removes the scratch folder and an empty checkpoint folder, unlocks and frees; takes a
 * zeroed one. */
void hr_run_folder_close(hr_run_folder *run);

typedef enum hr_run_begin {
    HR_RUN_NEW = 0, /* the first run, or another one; a result that is there is refused */
    HR_RUN_OVER, /* another run; an old result stays until the new one takes its name */
    HR_RUN_ON    /* the run whose files are there */
} hr_run_begin;

/* Makes what is missing for work. But with HR_RUN_ON it removes what an older run left:
 * logs, previews, receipt, latents, checkpoints, segments. */
hr_status hr_run_folder_begin(const hr_run_folder *run, hr_run_begin how);
/* HR_ERR_ARG, logged, when there is a result of any kind. */
hr_status hr_run_folder_refuse_results(const hr_run_folder *run);

/* After a success: removes what an earlier, replaced run left of the other kinds (a film
 * beside a picture, ...), so that the folder keeps one result, and damaged checkpoints
 * (.damaged). */
void hr_run_folder_drop_others(const hr_run_folder *run);

/* Writes job.yaml: the job with all its set keys, and in a comment the hash of what makes
 * the run the one that it is. */
hr_status hr_run_folder_save_job(const hr_run_folder *run, const hr_job *job,
                                 const hr_hash *identity);
/* Whether job.yaml has that hash. */
bool hr_run_folder_is_of(const hr_run_folder *run, const hr_hash *identity);

/* The path that open would give the folder; hr_free it. */
hr_status hr_run_folder_choose(const hr_run_options *options, char **out);

/* The path of the result, NULL when there is none. Borrowed. */
const char *hr_run_folder_result(const hr_run_folder *run);

/* The log of any rank in a run folder that the first rank has opened: hr_free it. */
hr_status hr_run_folder_log_of(const char *folder, int rank, char **out);

#endif
