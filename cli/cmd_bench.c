#include "cli/cli.h"

#include "base/log.h"
#include "cli/bench_op.h"
#include "cli/request.h"
#include "worker/worker.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    const char *model;
    int threads;
    bool ops_only;
} bench_options;

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    bench_options *options = state->input;
    char *end;
    long threads;

    if (key == 'm') {
        options->model = value;
    } else if (key == 'o') {
        options->ops_only = true;
    } else if (key == 't') {
        threads = strtol(value, &end, 10);
        if (*end != '\0' || end == value || threads < 1 || threads > 1024)
            argp_error(state, "--threads: %s is not in 1..1024", value);
        options->threads = (int)threads;
    } else if (key == ARGP_KEY_ARG) {
        argp_error(state, "bench takes options only");
    } else {
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* The shapes of the demo model and of Wan 2.1 1.3B. */
static const hr_bench_case cases[] = {
    {"linear", HR_F32, 240, 160, 160, 0, 0},
    {"linear", HR_F32, 240, 160, 640, 0, 0},
    {"linear", HR_F32, 4096, 1536, 1536, 0, 0},
    {"linear", HR_BF16, 4096, 1536, 1536, 0, 0},
    {"linear", HR_F32, 4096, 1536, 8960, 0, 0},
    {"linear", HR_BF16, 1, 1536, 9216, 0, 0},
    {"attention", HR_F32, 240, 4, 40, 0, 0},
    {"attention", HR_F32, 4096, 12, 128, 0, 0},
    {"attention", HR_BF16, 4096, 12, 128, 0, 0},
    {"conv", HR_F32, 4, 80, 128, 16, 0},
    {"conv", HR_F32, 4, 60, 104, 384, 0},
    {"conv", HR_F32, 4, 240, 416, 96, 0},
    {"norm", HR_F32, 4096, 1536, 0, 0, 0},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

static hr_status bench_ops(hr_device *device)
{
    for (int i = 0; i < N_CASES; i++) {
        hr_bench_case c = cases[i];
        hr_bench_result result;

        c.budget_seconds = 0.5;
        HR_TRY(hr_bench_run(device, &c, &result));
        printf("%s,%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 ",%s,%.6f,%.1f\n",
               c.what, c.a, c.b, c.c, c.d, hr_dtype_name(c.dtype), result.seconds,
               result.flops / result.seconds * 1e-9);
        fflush(stdout);
    }
    return HR_OK;
}

static void print_stage(const char *what, const hr_plan *plan, const hr_job *job,
                        double seconds)
{
    static const char *const numerics[] = {"exact", "fast", "f32"};

    printf("%s,%" PRId64 "x%" PRId64 "x%" PRId64 "x%d,%s,%.6f,\n", what, plan->frames,
           plan->height, plan->width, plan->n_steps, numerics[job->numerics], seconds);
}

/* Of a worker that is all by itself. */
static hr_status time_render(const hr_worker_options *options, const hr_render *render,
                             hr_render_times *times)
{
    hr_world *world;
    hr_worker *worker;
    hr_status status;

    HR_TRY(hr_world_open_alone(&world));
    status = hr_worker_open(hr_world_group(world), options, &worker);
    if (status == HR_OK) {
        status = hr_worker_render(worker, render, times);
        hr_worker_close(worker);
    }
    hr_world_close(world);
    return status;
}

/* The model's default video, in memory only. */
static hr_status bench_pipeline(const hr_model *model, hr_device *device, hr_job *job)
{
    hr_model_facts facts = hr_request_facts(hr_model_get_config(model));
    hr_render_times times;
    hr_plan plan;
    const hr_render render = {
        .job = job, .plan = &plan, .prompt = "a red ball", .negative_prompt = ""};

    hr_request_take_model(job, hr_model_get_config(model));
    HR_TRY(hr_plan_make(job, &facts, &plan));
    HR_TRY(time_render(&(hr_worker_options){.model = model,
                                            .device = device,
                                            .numerics = hr_request_numerics(job),
                                            .layout = {1, 1, 1, 1}},
                       &render, &times));
    for (int i = 0; i < HR_STAGE_COUNT; i++)
        print_stage(hr_stage_name((hr_stage)i), &plan, job, times.seconds[i]);
    print_stage("step", &plan, job, times.step_seconds);
    return HR_OK;
}

/* The operators, then the stages of the model's default video. */
static hr_status bench_all(const bench_options *options, hr_device *device)
{
    hr_model_entry entry;
    hr_model *model;
    hr_job job;
    hr_status status;

    if (options->ops_only)
        return bench_ops(device);
    HR_TRY(hr_open_model(options->model, &entry, &model));
    hr_job_init(&job);
    status = hr_job_merge(&job, &entry.defaults);
    if (status == HR_OK)
        status = bench_ops(device);
    for (int i = 0; i < 2 && status == HR_OK; i++) {
        job.numerics = i == 0 ? HR_JOB_EXACT : HR_JOB_F32;
        status = bench_pipeline(model, device, &job);
    }
    hr_job_free(&job);
    hr_model_close(model);
    hr_model_entry_free(&entry);
    return status;
}

int hr_cmd_bench(int argc, char **argv)
{
    static const struct argp_option option_list[] = {
        {"model", 'm', "NAME", 0, "the model whose default video is timed (demo)", 0},
        {"threads", 't', "N", 0, "threads (all)", 0},
        {"ops", 'o', 0, 0, "operators only", 0},
        {0},
    };
    static const struct argp argp = {option_list,
                                     parse_option,
                                     NULL,
                                     "Times operators (best of about half a second each) "
                                     "and the stages of a whole video on "
                                     "this machine. Prints CSV.",
                                     NULL,
                                     NULL,
                                     NULL};
    bench_options options = {.model = "demo"};
    hr_device *device;
    hr_job job;
    hr_status status;

    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return HR_EXIT_USAGE;
    hr_job_init(&job);
    job.threads = options.threads;
    status = hr_open_job_device(&job, &device);
    hr_job_free(&job);
    if (status != HR_OK)
        return hr_exit_code(status);
    printf("# haloreel %s, %s\n", HR_VERSION, hr_device_description(device));
    puts("what,shape,dtype,seconds,gflops");
    status = bench_all(&options, device);
    hr_device_close(device);
    return hr_exit_code(status);
}
