#include "base/memory.h"
#include "compute/cpu/cpu.h"

/* Heads are done in groups, so that their packed keys and values take no more than this.
 */
static const int64_t pack_bytes_wanted = 32 << 20;

typedef struct attention_plan {
    const hr_cpu_kernels *kernels;
    const hr_attention_args *args;
    int64_t key_blocks, query_blocks;
    int64_t key_floats, value_floats; /* per head */
    int64_t group;                    /* heads at a time */
    int64_t first;                    /* head of the group at work */
    int threads;
    float *packed; /* [group] keys and values */
    float *work;   /* [threads] */
    int64_t work_floats;
} attention_plan;

static int64_t round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

static attention_plan plan_attention(const hr_stream *stream,
                                     const hr_attention_args *args)
{
    const hr_cpu_kernels *kernels = hr_cpu_of(stream)->kernels;
    int64_t keys = round_up(args->k.dim[0], HR_CPU_ATTENTION_KEYS);
    int64_t heads = args->q.dim[1], depth = args->q.dim[2];
    attention_plan plan = {.kernels = kernels,
                           .args = args,
                           .key_blocks = keys / HR_CPU_ATTENTION_KEYS,
                           .key_floats = keys * depth,
                           .value_floats = keys * round_up(depth, kernels->panel),
                           .threads = stream->device->threads};

    plan.query_blocks =
        round_up(args->q.dim[0], HR_CPU_ATTENTION_QUERIES) / HR_CPU_ATTENTION_QUERIES;
    plan.group = pack_bytes_wanted / ((plan.key_floats + plan.value_floats) * 4);
    if (plan.group < 1)
        plan.group = 1;
    if (plan.group > heads)
        plan.group = heads;
    plan.work_floats = round_up((int64_t)kernels->attention_work(depth), 16);
    return plan;
}

static hr_cpu_attention_head head_of(const attention_plan *plan, int64_t first, int64_t i)
{
    float *packed = plan->packed + i * (plan->key_floats + plan->value_floats);

    return (hr_cpu_attention_head){.args = plan->args,
                                   .head = first + i,
                                   .keys = packed,
                                   .values = packed + plan->key_floats};
}

static hr_status pack_block(void *user, int64_t i, int thread)
{
    const attention_plan *plan = user;
    hr_cpu_attention_head head = head_of(plan, plan->first, i / plan->key_blocks);

    (void)thread;
    plan->kernels->attention_pack(&head, i % plan->key_blocks);
    return HR_OK;
}

static hr_status attend_block(void *user, int64_t i, int thread)
{
    const attention_plan *plan = user;
    hr_cpu_attention_head head = head_of(plan, plan->first, i / plan->query_blocks);

    plan->kernels->attention(&head, i % plan->query_blocks * HR_CPU_ATTENTION_QUERIES,
                             plan->work + thread * plan->work_floats);
    return HR_OK;
}

static hr_status run_group(hr_pool *pool, attention_plan *plan, int64_t heads)
{
    HR_TRY(hr_pool_run(pool, pack_block, plan, heads * plan->key_blocks));
    return hr_pool_run(pool, attend_block, plan, heads * plan->query_blocks);
}

hr_status hr_cpu_op_attention(hr_stream *stream, const hr_attention_args *args)
{
    attention_plan plan = plan_attention(stream, args);
    int64_t heads = args->q.dim[1];
    int64_t packed_floats = plan.group * (plan.key_floats + plan.value_floats);
    void *scratch;
    size_t bytes;

    HR_TRY(hr_size_mul((size_t)(packed_floats + plan.threads * plan.work_floats),
                       sizeof(float), &bytes));
    HR_TRY(hr_cpu_scratch(stream, bytes, &scratch));
    if (hr_cpu_measures(stream))
        return HR_OK;
    plan.packed = scratch;
    plan.work = plan.packed + packed_floats;
    for (plan.first = 0; plan.first < heads; plan.first += plan.group)
        HR_TRY(
            run_group(hr_cpu_of(stream)->pool, &plan,
                      heads - plan.first < plan.group ? heads - plan.first : plan.group));
    return HR_OK;
}
