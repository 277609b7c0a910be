#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <omp.h>

/* Heads are done in groups, so that their packed keys and values take no more than this.
 */
static const int64_t pack_bytes_wanted = 32 << 20;

typedef struct attention_plan {
    const hr_cpu_kernels *kernels;
    const hr_attention_args *args;
    int64_t key_blocks, query_blocks;
    int64_t key_floats, value_floats; /* per head */
    int64_t group;                    /* heads at a time */
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

static void run_group(const attention_plan *plan, int64_t first, int64_t heads)
{
    int64_t packs = heads * plan->key_blocks, blocks = heads * plan->query_blocks;

    omp_set_num_threads(1);
#pragma omp parallel num_threads(plan->threads)
    {
        float *work = plan->work + omp_get_thread_num() * plan->work_floats;

#pragma omp for schedule(static)
        for (int64_t i = 0; i < packs; i++) {
            hr_cpu_attention_head head = head_of(plan, first, i / plan->key_blocks);

            plan->kernels->attention_pack(&head, i % plan->key_blocks);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < blocks; i++) {
            hr_cpu_attention_head head = head_of(plan, first, i / plan->query_blocks);

            plan->kernels->attention(
                &head, i % plan->query_blocks * HR_CPU_ATTENTION_QUERIES, work);
        }
    }
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
    plan.packed = scratch;
    plan.work = plan.packed + packed_floats;
    for (int64_t head = 0; head < heads; head += plan.group)
        run_group(&plan, head, heads - head < plan.group ? heads - head : plan.group);
    return HR_OK;
}
