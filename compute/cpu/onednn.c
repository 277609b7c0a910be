/* The engine, primitives and running them. */
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "compute/cpu/onednn_parts.h"

#include <string.h>

/* What one thread hands to a primitive; the handles are set anew for each run. */
typedef struct thread_memories {
    dnnl_memory_t src, bias, dst, scratchpad;
} thread_memories;

struct hr_onednn_conv {
    hr_onednn_shape shape;
    hr_onednn_conv *next; /* in the bucket */
    dnnl_primitive_t primitive;
    dnnl_primitive_desc_t repacked; /* wants the weight in its own layout; or NULL */
    const char *name;
    thread_memories *memories; /* [threads] */
};

/* Where one of the process's devices has done it before, oneDNN answers that it is too
 * late. */
static void limit_isa(hr_isa isa)
{
#if defined(__x86_64__)
    if (isa == HR_ISA_PLAIN)
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
    else if (isa == HR_ISA_AVX2)
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
#else
    (void)isa;
#endif
}

hr_status hr_onednn_create(hr_isa isa, int threads, hr_device *device, hr_onednn **out)
{
    void *memory;
    hr_onednn *onednn;
    hr_status status;

    limit_isa(isa);
    HR_TRY(hr_alloc_or_fail(sizeof *onednn, "oneDNN's engine", &memory));
    onednn = memory;
    pthread_mutex_init(&onednn->repacking, NULL);
    onednn->isa = isa;
    onednn->threads = threads;
    onednn->device = device;
    onednn->measures = device != NULL && device->measures;
    HR_TRY_GOTO(
        hr_alloc_or_fail((size_t)threads * sizeof(void *), "scratch pads", &memory),
        fail);
    onednn->scratchpads = memory;
    HR_TRY_GOTO(CHECKED(dnnl_engine_create(&onednn->engine, dnnl_cpu, 0), "engine"),
                fail);
    HR_TRY_GOTO(CHECKED(dnnl_stream_create(&onednn->stream, onednn->engine,
                                           dnnl_stream_default_flags),
                        "stream"),
                fail);
    *out = onednn;
    return HR_OK;
fail:
    hr_onednn_destroy(onednn);
    return status;
}

/* oneDNN's destroy functions take NULL. */
static void conv_destroy(const hr_onednn *onednn, hr_onednn_conv *conv)
{
    for (int i = 0; conv->memories != NULL && i < onednn->threads; i++) {
        dnnl_memory_destroy(conv->memories[i].src);
        dnnl_memory_destroy(conv->memories[i].bias);
        dnnl_memory_destroy(conv->memories[i].dst);
        dnnl_memory_destroy(conv->memories[i].scratchpad);
    }
    hr_free(conv->memories);
    dnnl_primitive_destroy(conv->primitive);
    dnnl_primitive_desc_destroy(conv->repacked);
    hr_free(conv);
}

void hr_onednn_destroy(hr_onednn *onednn)
{
    hr_onednn_conv *conv, *next;

    if (onednn == NULL)
        return;
    for (int i = 0; i < HR_ONEDNN_BUCKETS; i++)
        for (conv = onednn->bucket[i]; conv != NULL; conv = next) {
            next = conv->next;
            conv_destroy(onednn, conv);
        }
    for (int i = 0; onednn->scratchpads != NULL && i < onednn->threads; i++)
        hr_free(onednn->scratchpads[i]);
    hr_free(onednn->scratchpads);
    hr_onednn_layouts_destroy(onednn);
    dnnl_stream_destroy(onednn->stream);
    dnnl_engine_destroy(onednn->engine);
    pthread_mutex_destroy(&onednn->repacking);
    hr_free(onednn);
}

void hr_onednn_count(const hr_onednn *onednn, int64_t bytes)
{
    if (onednn->device != NULL)
        hr_device_count_scratch(onednn->device, bytes);
}

static size_t bucket_of(const hr_onednn_shape *shape)
{
    uint64_t words[sizeof *shape / sizeof(uint64_t)], hash = 0;

    memcpy(words, shape, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15U; /* 2^64 over the golden ratio */
    return (size_t)(hash >> 32) % HR_ONEDNN_BUCKETS;
}

static hr_status grow_scratchpads(hr_onednn *onednn, size_t bytes)
{
    if (bytes <= onednn->scratchpad_bytes)
        return HR_OK;
    hr_onednn_count(onednn, -(int64_t)onednn->scratchpad_bytes * onednn->threads);
    for (int i = 0; i < onednn->threads && !onednn->measures; i++) {
        hr_free(onednn->scratchpads[i]);
        onednn->scratchpads[i] = hr_alloc_aligned(bytes, HR_ONEDNN_ALIGNMENT);
        if (onednn->scratchpads[i] == NULL) {
            onednn->scratchpad_bytes = 0;
            return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for oneDNN", bytes);
        }
    }
    onednn->scratchpad_bytes = bytes;
    hr_onednn_count(onednn, (int64_t)bytes * onednn->threads);
    return HR_OK;
}

static dnnl_status_t memory_of(const hr_onednn *onednn, const_dnnl_primitive_desc_t pd,
                               dnnl_query_t what, dnnl_memory_t *out)
{
    return dnnl_memory_create(out, dnnl_primitive_desc_query_md(pd, what, 0),
                              onednn->engine, NULL);
}

static dnnl_status_t memories_init(const hr_onednn *onednn, const hr_onednn_conv *conv,
                                   const_dnnl_primitive_desc_t pd)
{
    hr_onednn_md_ref bias = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1);

    for (int i = 0; i < onednn->threads; i++) {
        thread_memories *m = &conv->memories[i];

        DNNL_TRY(memory_of(onednn, pd, dnnl_query_src_md, &m->src));
        DNNL_TRY(memory_of(onednn, pd, dnnl_query_dst_md, &m->dst));
        DNNL_TRY(memory_of(onednn, pd, dnnl_query_scratchpad_md, &m->scratchpad));
        if (conv->shape.has_bias != 0)
            DNNL_TRY(dnnl_memory_create(&m->bias, bias, onednn->engine, NULL));
    }
    return dnnl_success;
}

static hr_status make_runnable(const hr_onednn *onednn, hr_onednn_conv *conv,
                               const_dnnl_primitive_desc_t pd)
{
    void *memory;

    HR_TRY(hr_alloc_or_fail((size_t)onednn->threads * sizeof(thread_memories),
                            "a convolution", &memory));
    conv->memories = memory;
    HR_TRY(CHECKED(dnnl_primitive_create(&conv->primitive, pd), "primitive"));
    HR_TRY(hr_onednn_checked(memories_init(onednn, conv, pd), "memory"));
    return hr_onednn_checked(
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&conv->name),
        "query");
}

static hr_status conv_init(hr_onednn *onednn, hr_onednn_conv *conv,
                           const_dnnl_primitive_desc_t pd)
{
    if (!onednn->measures)
        HR_TRY(make_runnable(onednn, conv, pd));
    return grow_scratchpads(
        onednn, dnnl_memory_desc_get_size(
                    dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0)));
}

/* oneDNN 3's kernels each want the one layout that suits the size of the picture. Where
 * it has none but plain loops for the packed layout, the primitive gets its own. */
static dnnl_status_t conv_desc(hr_onednn *onednn, hr_onednn_conv *conv,
                               dnnl_primitive_desc_t *out)
{
    hr_onednn_md_ref packed;
    dnnl_primitive_desc_t own;
    dnnl_status_t status;

    DNNL_TRY(hr_onednn_layout_of(onednn, &conv->shape, &packed));
    status = hr_onednn_pd_create(onednn, &conv->shape, packed, out);
    if (status != dnnl_success || !hr_onednn_is_plain_loops(*out))
        return status;
    status = hr_onednn_pd_create(onednn, &conv->shape, NULL, &own);
    if (status != dnnl_success)
        return hr_onednn_is_lack(status) ? status : dnnl_success;
    dnnl_primitive_desc_destroy(*out);
    *out = own;
    return dnnl_primitive_desc_clone(&conv->repacked, own);
}

static hr_status conv_create(hr_onednn *onednn, const hr_onednn_shape *shape,
                             hr_onednn_conv **out)
{
    dnnl_primitive_desc_t pd = NULL;
    hr_onednn_conv *conv;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *conv, "a convolution", &memory));
    conv = memory;
    conv->shape = *shape;
    HR_TRY_GOTO(hr_onednn_checked(conv_desc(onednn, conv, &pd), "convolution"), done);
    status = conv_init(onednn, conv, pd);
done:
    dnnl_primitive_desc_destroy(pd);
    if (status == HR_OK)
        *out = conv;
    else
        conv_destroy(onednn, conv);
    return status;
}

hr_status hr_onednn_get(hr_onednn *onednn, const hr_onednn_shape *shape,
                        const hr_onednn_conv **out)
{
    hr_onednn_conv **bucket = &onednn->bucket[bucket_of(shape)], *conv;

    for (conv = *bucket; conv != NULL; conv = conv->next)
        if (memcmp(&conv->shape, shape, sizeof *shape) == 0) {
            *out = conv;
            return HR_OK;
        }
    HR_TRY(conv_create(onednn, shape, &conv));
    conv->next = *bucket;
    *bucket = conv;
    *out = conv;
    return HR_OK;
}

const char *hr_onednn_conv_name(const hr_onednn_conv *conv)
{
    return conv->name;
}

/* The same weight in the layout that is wanted; NULL when there is none yet. */
static hr_onednn_weight *find_layout(hr_onednn_weight *weight, hr_onednn_md_ref wanted)
{
    hr_onednn_md_ref has = NULL;

    for (; weight != NULL; weight = weight->next)
        if (dnnl_memory_get_memory_desc(weight->memory, &has) == dnnl_success &&
            dnnl_memory_desc_equal(has, wanted) != 0)
            break;
    return weight;
}

static hr_status repacked(hr_onednn *onednn, const hr_onednn_conv *conv,
                          hr_onednn_weight *weight, hr_onednn_weight **out)
{
    hr_onednn_md_ref wanted =
        dnnl_primitive_desc_query_md(conv->repacked, dnnl_query_weights_md, 0);
    hr_onednn_weight *w = find_layout(weight, wanted);

    if (w == NULL) {
        HR_TRY(hr_onednn_weight_create(onednn, wanted, weight->memory, &w));
        hr_onednn_count(onednn, (int64_t)w->bytes);
        w->next = weight->next;
        weight->next = w;
    }
    *out = w;
    return HR_OK;
}

hr_status hr_onednn_lay(hr_onednn *onednn, const hr_onednn_conv *conv,
                        hr_onednn_weight *weight, hr_onednn_weight **out)
{
    hr_status status;

    *out = weight;
    if (conv->repacked == NULL)
        return HR_OK;
    pthread_mutex_lock(&onednn->repacking);
    status = repacked(onednn, conv, weight, out);
    pthread_mutex_unlock(&onednn->repacking);
    return status;
}

static dnnl_status_t run_with(const hr_onednn *onednn, const hr_onednn_run_args *args,
                              dnnl_memory_t weight)
{
    const thread_memories *m = &args->conv->memories[args->thread];
    dnnl_exec_arg_t exec[] = {{DNNL_ARG_SRC, m->src},
                              {DNNL_ARG_WEIGHTS, weight},
                              {DNNL_ARG_DST, m->dst},
                              {DNNL_ARG_SCRATCHPAD, m->scratchpad},
                              {DNNL_ARG_BIAS, m->bias}};

    DNNL_TRY(dnnl_memory_set_data_handle(m->src, (void *)(uintptr_t)args->picture));
    DNNL_TRY(dnnl_memory_set_data_handle(m->dst, args->out));
    DNNL_TRY(
        dnnl_memory_set_data_handle(m->scratchpad, onednn->scratchpads[args->thread]));
    if (m->bias != NULL)
        DNNL_TRY(dnnl_memory_set_data_handle(m->bias, (void *)(uintptr_t)args->bias));
    return dnnl_primitive_execute(args->conv->primitive, onednn->stream,
                                  m->bias != NULL ? 5 : 4, exec);
}

hr_status hr_onednn_run(hr_onednn *onednn, const hr_onednn_run_args *args)
{
    hr_onednn_weight *weight;

    HR_TRY(hr_onednn_lay(onednn, args->conv, args->weight, &weight));
    return hr_onednn_checked(run_with(onednn, args, weight->memory), "run");
}
