#include "worker/long_jobs.h"

const hr_pipeline_model hr_long_sharded = {"wan21-tiny", 0, 3, 4};
const hr_pipeline_model hr_long_deep = {"wan21-odd", 1, 5, 1};
const hr_pipeline_model hr_long_experts = {"wan22-moe", 0, 2, 2};

void hr_long_job(hr_job *job)
{
    job->steps = 3;
    job->frames = 41;
    job->window_frames = 9;
    job->window_overlap = 4;
    job->anchor = HR_ANCHOR_FIRST;
}

void hr_long_job_experts(hr_job *job)
{
    hr_long_job(job);
    job->steps = 5;
}

void hr_long_job_fixed(hr_job *job)
{
    hr_long_job(job);
    job->grid = HR_GRID_FIXED;
    job->window_overlap = 8;
    job->window_frames = 13;
    job->anchor = HR_ANCHOR_NONE;
    job->blend = HR_BLEND_TRIANGLE;
    job->sampler = HR_JOB_EULER;
}

void hr_long_job_previous(hr_job *job)
{
    hr_long_job(job);
    job->anchor = HR_ANCHOR_PREVIOUS;
    job->rng = HR_JOB_PHILOX;
    job->noise = HR_NOISE_INDEPENDENT;
    job->sampler = HR_JOB_DPMPP;
    job->decode = HR_DECODE_WINDOWED;
}

void hr_long_job_short(hr_job *job)
{
    hr_long_job(job);
    job->frames = 17;
}

void hr_long_job_clip(hr_job *job)
{
    hr_long_job(job);
    job->frames = 9;
}
