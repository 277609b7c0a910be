#include "cli/cli.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/request.h"
#include "compute/arena.h"

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

/* What the operators are timed with. */
typedef struct bench {
    hr_device *device;
    hr_stream *stream;
    hr_arena *arena;
} bench;

typedef struct bench_case {
    const char *what; /* linear, conv, attention, norm */
    hr_dtype dtype;
    int64_t a, b, c, d; /* linear: M, in, out; conv: T, H, W, channels; attention: L,
                           heads, D; norm: rows, width */
} bench_case;

/* The shapes of the demo model and of Wan 2.1 1.3B. */
static const bench_case cases[] = {
    {"linear", HR_F32, 240, 160, 160, 0},     {"linear", HR_F32, 240, 160, 640, 0},
    {"linear", HR_F32, 4096, 1536, 1536, 0},  {"linear", HR_BF16, 4096, 1536, 1536, 0},
    {"linear", HR_F32, 4096, 1536, 8960, 0},  {"linear", HR_BF16, 1, 1536, 9216, 0},
    {"attention", HR_F32, 240, 4, 40, 0},     {"attention", HR_F32, 4096, 12, 128, 0},
    {"attention", HR_BF16, 4096, 12, 128, 0}, {"conv", HR_F32, 4, 80, 128, 16},
    {"conv", HR_F32, 4, 60, 104, 384},        {"conv", HR_F32, 4, 240, 416, 96},
    {"norm", HR_F32, 4096, 1536, 0, 0},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

/* One call of an operator with its arguments. */
typedef struct bench_call {
    hr_packed *packed;
    hr_linear_args linear;
    hr_conv_args conv;
    hr_attention_args attention;
    hr_norm_args norm;
} bench_call;

/* A tensor of the arena, filled with something that is no denormal. */
static hr_status make(bench *b, hr_dtype dtype, int n_dims, const int64_t *dim,
                      hr_tensor *out)
{
    HR_TRY(hr_arena_tensor(b->arena, dtype, n_dims, dim, out));
    return hr_op_fill(b->stream, &(hr_fill_args){.out = *out, .value = 0.25F});
}

static hr_status prepare_linear(bench *b, const bench_case *c, bench_call *call)
{
    hr_tensor weight;

    HR_TRY(make(b, c->dtype, HR_DIMS(c->c, c->b), &weight));
    HR_TRY(make(b, c->dtype, HR_DIMS(c->a, c->b), &call->linear.x));
    HR_TRY(make(b, HR_F32, HR_DIMS(c->a, c->c), &call->linear.out));
    HR_TRY(hr_pack_linear(b->stream, &weight, &call->packed));
    call->linear.weight = call->packed;
    return HR_OK;
}

static hr_status prepare_conv(bench *b, const bench_case *c, bench_call *call)
{
    hr_tensor weight;

    HR_TRY(make(b, HR_F32, HR_DIMS(c->d, c->d, 3, 3, 3), &weight));
    HR_TRY(make(b, HR_F32, HR_DIMS(c->a + 2, c->b, c->c, c->d), &call->conv.x));
    HR_TRY(make(b, HR_F32, HR_DIMS(c->a, c->b, c->c, c->d), &call->conv.out));
    HR_TRY(hr_pack_conv(b->stream, &weight, &call->packed));
    call->conv.weight = call->packed;
    call->conv.pad_top = call->conv.pad_bottom = 1;
    call->conv.pad_left = call->conv.pad_right = 1;
    return HR_OK;
}

static hr_status prepare(bench *b, const bench_case *c, bench_call *call)
{
    if (c->what[0] == 'l')
        return prepare_linear(b, c, call);
    if (c->what[0] == 'c')
        return prepare_conv(b, c, call);
    if (c->what[0] == 'n') {
        HR_TRY(make(b, HR_F32, HR_DIMS(c->a, c->b), &call->norm.x));
        call->norm.eps = 1e-6F;
        return make(b, HR_F32, HR_DIMS(c->a, c->b), &call->norm.out);
    }
    HR_TRY(make(b, c->dtype, HR_DIMS(c->a, c->b, c->c), &call->attention.q));
    HR_TRY(make(b, c->dtype, HR_DIMS(c->a, c->b, c->c), &call->attention.k));
    HR_TRY(make(b, c->dtype, HR_DIMS(c->a, c->b, c->c), &call->attention.v));
    call->attention.scale = 0.1F;
    return make(b, c->dtype, HR_DIMS(c->a, c->b, c->c), &call->attention.out);
}

static hr_status run_call(bench *b, const bench_case *c, const bench_call *call)
{
    if (c->what[0] == 'l')
        HR_TRY(hr_op_linear(b->stream, &call->linear));
    else if (c->what[0] == 'c')
        HR_TRY(hr_op_conv(b->stream, &call->conv));
    else if (c->what[0] == 'n')
        HR_TRY(hr_op_norm(b->stream, &call->norm));
    else
        HR_TRY(hr_op_attention(b->stream, &call->attention));
    return hr_stream_sync(b->stream);
}

/* The best of several runs that take about half a second together. */
static hr_status time_call(bench *b, const bench_case *c, const bench_call *call,
                           double *best, double *flops)
{
    double began, seconds, flops_before, until;

    HR_TRY(run_call(b, c, call)); /* makes the primitive */
    *best = 1e30;
    until = hr_clock_seconds() + 0.5;
    do {
        flops_before = hr_device_get_stats(b->device).flops;
        began = hr_clock_seconds();
        HR_TRY(run_call(b, c, call));
        seconds = hr_clock_seconds() - began;
        *flops = hr_device_get_stats(b->device).flops - flops_before;
        if (seconds < *best)
            *best = seconds;
    } while (hr_clock_seconds() < until);
    return HR_OK;
}

static hr_status bench_op(bench *b, const bench_case *c)
{
    hr_arena_mark mark = hr_arena_get_mark(b->arena);
    bench_call call = {0};
    double seconds, flops;
    hr_status status;

    HR_TRY_GOTO(prepare(b, c, &call), done);
    HR_TRY_GOTO(time_call(b, c, &call, &seconds, &flops), done);
    printf("%s,%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 ",%s,%.6f,%.1f\n", c->what,
           c->a, c->b, c->c, c->d, hr_dtype_name(c->dtype), seconds,
           flops / seconds * 1e-9);
    fflush(stdout);
done:
    hr_packed_destroy(call.packed);
    hr_arena_rewind(b->arena, mark);
    return status;
}

static hr_status bench_ops(hr_device *device)
{
    bench b = {.device = device};
    hr_status status;

    HR_TRY_GOTO(hr_stream_create(device, &b.stream), done);
    HR_TRY_GOTO(hr_arena_create(device, &b.arena), done);
    for (int i = 0; i < N_CASES; i++)
        HR_TRY_GOTO(bench_op(&b, &cases[i]), done);
done:
    hr_arena_destroy(b.arena);
    hr_stream_destroy(b.stream);
    return status;
}

static void print_stage(const char *what, const hr_plan *plan, const hr_job *job,
                        double seconds)
{
    static const char *const numerics[] = {"exact", "fast", "f32"};

    printf("%s,%" PRId64 "x%" PRId64 "x%" PRId64 "x%d,%s,%.6f,\n", what, plan->frames,
           plan->height, plan->width, plan->n_steps, numerics[job->numerics], seconds);
}

/* The model's default video, in memory only. */
static hr_status bench_pipeline(const hr_model *model, hr_device *device, hr_job *job)
{
    hr_model_facts facts = hr_request_facts(hr_model_get_config(model));
    hr_group alone = hr_group_alone();
    hr_render_times times;
    hr_worker *worker;
    hr_plan plan;
    hr_render render = {
        .job = job, .plan = &plan, .prompt = "a red ball", .negative_prompt = ""};
    hr_status status;

    hr_request_take_model(job, hr_model_get_config(model));
    HR_TRY(hr_plan_make(job, &facts, &plan));
    HR_TRY(hr_worker_open(&alone,
                          &(hr_worker_options){.model = model,
                                               .device = device,
                                               .numerics = hr_request_numerics(job)},
                          &worker));
    status = hr_worker_render(worker, &render, &times);
    hr_worker_close(worker);
    HR_TRY(status);
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
