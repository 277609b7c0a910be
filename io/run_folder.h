/* The run folder: job.yaml, status.json, logs, receipt and what a run makes, each at its
 * place (docs/run-folder.md). Local; the first rank alone opens it. */
#ifndef HR_IO_RUN_FOLDER_H
#define HR_IO_RUN_FOLDER_H

#include "base/status.h"
#include "io/job.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hr_run_options {
    const char
        *folder; /* NULL: beside `file`, its name with .run in place of the ending */
    const char
        *file; /* where a film (.mp4) or a still picture (.png) goes; NULL: the folder */
    hr_job_video video;
    bool is_still; /* one frame: a picture, whatever kind of film was asked for */
    bool previews; /* makes preview/ */
    bool force;    /* what is there may be replaced */
} hr_run_options;

/* All paths are owned. At most one of video, picture and frames_folder is set: the
 * result. */
typedef struct hr_run_folder {
    char *folder;
    char *video;          /* FOLDER/video.mp4 or the file */
    char *picture;        /* FOLDER/picture.png or the file */
    char *frames_folder;  /* FOLDER/frames */
    char *preview_folder; /* FOLDER/preview, which exists; NULL without previews */
    char *job_file;       /* FOLDER/job.yaml */
    char *status_file;    /* FOLDER/status.json */
    char *receipt_file;   /* FOLDER/receipt.json */
    char *log_file;       /* FOLDER/log/rank-0000.log; the folder log exists */
    char *scratch_folder; /* FOLDER/scratch, which exists until close */
    int lock;             /* file descriptor of the folder; held until close */
} hr_run_folder;

/* Makes the folder with its parents (and those of the file) and locks it. Refused: a
 * result that is there already and a file whose ending does not fit (HR_ERR_ARG), a
 * folder that another process renders into (HR_ERR_ARG), that cannot be made or written
 * (HR_ERR_IO). With `force` an old result stays until the new one takes its name. Caller
 * closes. */
hr_status hr_run_folder_open(const hr_run_options *options, hr_run_folder *out);
/* Removes the scratch folder, unlocks and frees; takes a zeroed one. */
void hr_run_folder_close(hr_run_folder *run);

/* After a success: removes what an earlier, replaced run left of the other kinds (a film
 * beside a picture, ...), so that the folder keeps one result. */
void hr_run_folder_drop_others(const hr_run_folder *run);

/* Writes job.yaml: the job with all its set keys. */
hr_status hr_run_folder_save_job(const hr_run_folder *run, const hr_job *job);

/* The path of the result, NULL when there is none. Borrowed. */
const char *hr_run_folder_result(const hr_run_folder *run);

/* The log of any rank in a run folder that the first rank has opened: hr_free it. */
hr_status hr_run_folder_log_of(const char *folder, int rank, char **out);

/* Makes a folder and its parents; one that exists is fine. */
hr_status hr_folder_create(const char *path);

/* Bytes free for this user on the disk of an existing path. */
hr_status hr_disk_available(const char *path, uint64_t *out);
/* HR_ERR_NOMEM (logged with both numbers) when fewer than `bytes` are free for `what`. */
hr_status hr_disk_require(const char *path, uint64_t bytes, const char *what);

#endif
