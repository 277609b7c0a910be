#include "cli/bench_op.h"

#include "base/clock.h"
#include "compute/arena.h"

/* What the operators are timed with. */
typedef struct bench {
    hr_device *device;
    hr_stream *stream;
    hr_arena *arena;
} bench;

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

static hr_status prepare_linear(bench *b, const hr_bench_case *c, bench_call *call)
{
    hr_tensor weight;

    HR_TRY(make(b, c->dtype, HR_DIMS(c->c, c->b), &weight));
    HR_TRY(make(b, c->dtype, HR_DIMS(c->a, c->b), &call->linear.x));
    HR_TRY(make(b, HR_F32, HR_DIMS(c->a, c->c), &call->linear.out));
    HR_TRY(hr_pack_linear(b->stream, &weight, &call->packed));
    call->linear.weight = call->packed;
    return HR_OK;
}

static hr_status prepare_conv(bench *b, const hr_bench_case *c, bench_call *call)
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

static hr_status prepare(bench *b, const hr_bench_case *c, bench_call *call)
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

static hr_status run_call(bench *b, const hr_bench_case *c, const bench_call *call)
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

/* The best of several runs. */
static hr_status time_call(bench *b, const hr_bench_case *c, const bench_call *call,
                           hr_bench_result *out)
{
    double began, seconds, flops_before, until;

    HR_TRY(run_call(b, c, call)); /* makes the primitive */
    out->seconds = 1e30;
    until = hr_clock_seconds() + c->budget_seconds;
    do {
        flops_before = hr_device_get_stats(b->device).flops;
        began = hr_clock_seconds();
        HR_TRY(run_call(b, c, call));
        seconds = hr_clock_seconds() - began;
        out->flops = hr_device_get_stats(b->device).flops - flops_before;
        if (seconds < out->seconds)
            out->seconds = seconds;
    } while (hr_clock_seconds() < until);
    return HR_OK;
}

static hr_status bench_on(bench *b, const hr_bench_case *c, hr_bench_result *out)
{
    bench_call call = {0};
    hr_bench_result result = {0};
    hr_status status;

    HR_TRY_GOTO(hr_stream_create(b->device, &b->stream), done);
    HR_TRY_GOTO(hr_arena_create(b->device, &b->arena), done);
    HR_TRY_GOTO(prepare(b, c, &call), done);
    HR_TRY_GOTO(time_call(b, c, &call, &result), done);
    *out = result;
done:
    hr_packed_destroy(call.packed);
    return status;
}

hr_status hr_bench_run(hr_device *device, const hr_bench_case *c, hr_bench_result *out)
{
    bench b = {.device = device};
    hr_status status = bench_on(&b, c, out);

    hr_arena_destroy(b.arena);
    hr_stream_destroy(b.stream);
    return status;
}
