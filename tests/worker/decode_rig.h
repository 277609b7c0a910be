/* Decoding a made-up video with the ranks of a group, for the tests of this folder. */
#ifndef HR_TESTS_DECODE_RIG_H
#define HR_TESTS_DECODE_RIG_H

#include "support/golden.h"
#include "support/ranks.h"
#include "worker/decode.h"

enum { HR_DECODE_NO_FRAME = -1 };

/* What a video is made of, and where something goes wrong. */
typedef struct hr_decode_case {
    const char *case_name;
    int64_t height, width, n_frames; /* latent */
    int64_t window;                  /* latent frames; 0: streamed */
    const char *frames_file, *film, *segments;
    const char *stored; /* file to decode; NULL: frames are made on each rank */
    hr_receipt *receipt;
    int64_t fail_at; /* fetching this frame fails on the last rank */
    int64_t n_until; /* a stop is wanted when so many frames were fetched; 0: never */
    bool is_dry;
    /* found out: */
    int64_t n_fetched;
    size_t device_peak, host_growth;
    double flops;
    uint64_t rows_bytes;
} hr_decode_case;

/* A worker on the ranks of a group, with the plan of a video. */
typedef struct hr_decode_rig {
    hr_golden *golden;
    hr_model *model;
    hr_device *device;
    hr_worker *worker;
    hr_group *group;
    hr_job job;
    hr_plan plan;
    hr_decode_case *video;
} hr_decode_rig;

hr_decode_rig *hr_decode_rig_start(hr_group *group, hr_decode_case *v);
void hr_decode_rig_stop(hr_decode_rig *r);

/* Latent frame `frame` of the video. */
void hr_decode_rig_latent(const hr_plan *p, int64_t frame, float *out);
/* Decodes with the ranks of the group. */
hr_status hr_decode_rig_run(hr_group *group, hr_decode_case *v);
/* On rank 0 alone, while the others do not. */
hr_status hr_decode_rig_alone(hr_decode_case *v);

/* For one step of the video; to be freed. */
hr_receipt *hr_decode_rig_receipt(const hr_decode_case *v);
void hr_decode_rig_same_receipts(const hr_receipt *a, const hr_receipt *b);

#endif
