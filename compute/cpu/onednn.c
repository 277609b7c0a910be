#include "compute/cpu/onednn.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

#include <dnnl.h>
#include <inttypes.h>
#include <omp.h>
#include <pthread.h>
#include <string.h>

/* Version 3 made descriptors objects; 2 has them as plain structs. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t md_ref;
#    define MD_REF(md) (md)
#else
typedef const dnnl_memory_desc_t *md_ref;
#    define MD_REF(md) (&(md))
#endif

enum { N_BUCKETS = 256, ALIGNMENT = 64 };

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

struct hr_onednn_weight {
    dnnl_memory_t memory;
    void *data;
    size_t bytes;
    hr_onednn_weight *next; /* the same in another layout */
};

struct hr_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    pthread_mutex_t repacking;
    hr_isa isa;
    int threads;
    void **scratchpads; /* [threads] */
    size_t scratchpad_bytes;
    hr_onednn_conv *bucket[N_BUCKETS];
};

#define DNNL_TRY(call)                                                                   \
    do {                                                                                 \
        dnnl_status_t dnnl_try_status =                                                  \
            hr_fault("onednn.call") ? dnnl_out_of_memory : (call);                       \
        if (dnnl_try_status != dnnl_success)                                             \
            return dnnl_try_status;                                                      \
    } while (0)

static hr_status checked(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return HR_OK;
    return hr_fail(status == dnnl_out_of_memory ? HR_ERR_NOMEM : HR_ERR_DEVICE,
                   "oneDNN %d.%d: %s failed with status %d", DNNL_VERSION_MAJOR,
                   DNNL_VERSION_MINOR, what, (int)status);
}

#define CHECKED(call, what)                                                              \
    checked(hr_fault("onednn.call") ? dnnl_out_of_memory : (call), (what))

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

hr_status hr_onednn_create(hr_isa isa, int threads, hr_onednn **out)
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
    for (int i = 0; i < N_BUCKETS; i++)
        for (conv = onednn->bucket[i]; conv != NULL; conv = next) {
            next = conv->next;
            conv_destroy(onednn, conv);
        }
    for (int i = 0; onednn->scratchpads != NULL && i < onednn->threads; i++)
        hr_free(onednn->scratchpads[i]);
    hr_free(onednn->scratchpads);
    dnnl_stream_destroy(onednn->stream);
    dnnl_engine_destroy(onednn->engine);
    pthread_mutex_destroy(&onednn->repacking);
    hr_free(onednn);
}

static dnnl_status_t md_init(dnnl_memory_desc_t *md, int n_dims, const dnnl_dims_t dims,
                             int32_t dtype, dnnl_format_tag_t tag)
{
    dnnl_data_type_t type = dtype == HR_BF16 ? dnnl_bf16 : dnnl_f32;

#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(md, n_dims, dims, type, tag);
#else
    return dnnl_memory_desc_init_by_tag(md, n_dims, dims, type, tag);
#endif
}

static void md_clear(dnnl_memory_desc_t *md)
{
#if DNNL_VERSION_MAJOR >= 3
    if (*md != NULL)
        dnnl_memory_desc_destroy(*md);
#else
    (void)md;
#endif
}

/* The four descriptors of a shape; `bias` is NULL for a shape without. */
typedef struct conv_mds {
    dnnl_memory_desc_t src, weight, bias, dst;
    md_ref bias_ref;
} conv_mds;

static void mds_clear(conv_mds *mds)
{
    md_clear(&mds->src);
    md_clear(&mds->weight);
    md_clear(&mds->bias);
    md_clear(&mds->dst);
}

static dnnl_status_t mds_init(conv_mds *mds, const hr_onednn_shape *s)
{
    dnnl_dims_t src = {1, s->c_in, s->height, s->width};
    dnnl_dims_t weight = {s->c_out, s->c_in, s->kernel_height, s->kernel_width};
    dnnl_dims_t bias = {s->c_out};
    dnnl_dims_t dst = {1, s->c_out,
                       s->height + s->pad_top + s->pad_bottom - s->kernel_height + 1,
                       s->width + s->pad_left + s->pad_right - s->kernel_width + 1};

    memset(mds, 0, sizeof *mds);
    DNNL_TRY(md_init(&mds->src, 4, src, s->dtype, dnnl_nhwc));
    DNNL_TRY(md_init(&mds->weight, 4, weight, s->dtype, dnnl_format_tag_any));
    DNNL_TRY(md_init(&mds->dst, 4, dst, HR_F32, dnnl_nhwc));
    if (s->has_bias == 0)
        return dnnl_success;
    DNNL_TRY(md_init(&mds->bias, 1, bias, HR_F32, dnnl_x));
    mds->bias_ref = MD_REF(mds->bias);
    return dnnl_success;
}

static dnnl_status_t attr_init(dnnl_primitive_attr_t attr, const hr_onednn_shape *shape)
{
    dnnl_post_ops_t ops;
    dnnl_status_t status;

    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    if (shape->accumulate == 0)
        return dnnl_success;
    DNNL_TRY(dnnl_post_ops_create(&ops));
#if DNNL_VERSION_MAJOR >= 3
    status = dnnl_post_ops_append_sum(ops, 1.0F, 0, dnnl_data_type_undef);
#else
    status = dnnl_post_ops_append_sum(ops, 1.0F);
#endif
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

static dnnl_status_t pd_from_mds(const hr_onednn *onednn, const hr_onednn_shape *s,
                                 const conv_mds *mds, md_ref weight,
                                 dnnl_primitive_desc_t *out)
{
    const dnnl_dims_t strides = {1, 1}, dilates = {0, 0};
    const dnnl_dims_t before = {s->pad_top, s->pad_left};
    const dnnl_dims_t after = {s->pad_bottom, s->pad_right};
    dnnl_primitive_attr_t attr;
    dnnl_status_t status;

    DNNL_TRY(dnnl_primitive_attr_create(&attr));
    status = attr_init(attr, s);
#if DNNL_VERSION_MAJOR >= 3
    if (status == dnnl_success)
        status = dnnl_convolution_forward_primitive_desc_create(
            out, onednn->engine, dnnl_forward_inference, dnnl_convolution_direct,
            mds->src, weight, mds->bias_ref, mds->dst, strides, dilates, before, after,
            attr);
#else
    dnnl_convolution_desc_t desc;

    if (status == dnnl_success)
        status = dnnl_dilated_convolution_forward_desc_init(
            &desc, dnnl_forward_inference, dnnl_convolution_direct, &mds->src, weight,
            mds->bias_ref, &mds->dst, strides, dilates, before, after);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(out, &desc, attr, onednn->engine, NULL);
#endif
    dnnl_primitive_attr_destroy(attr);
    return status;
}

/* `weight` NULL lets oneDNN choose the layout. One thread, so that nothing about the
 * primitive depends on how many there are. */
static dnnl_status_t pd_create(const hr_onednn *onednn, const hr_onednn_shape *shape,
                               md_ref weight, dnnl_primitive_desc_t *out)
{
    conv_mds mds;
    dnnl_status_t status = mds_init(&mds, shape);

    omp_set_num_threads(1);
    if (status == dnnl_success)
        status = pd_from_mds(onednn, shape, &mds,
                             weight != NULL ? weight : MD_REF(mds.weight), out);
    mds_clear(&mds);
    return status;
}

static bool is_plain_loops(const_dnnl_primitive_desc_t pd)
{
    const char *name = "";

    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) !=
               dnnl_success ||
           strncmp(name, "ref", 3) == 0;
}

/* Blocks of channels as long as the vector: the layout of kernels that take pictures of
 * every size. Version 3 prefers newer kernels, whose layouts differ by size and which are
 * slower on AVX2 (65 to 74 GF/s against 90, on one core of an EPYC Milan). */
static dnnl_status_t pd_of_blocks(const hr_onednn *onednn, const hr_onednn_shape *s,
                                  dnnl_primitive_desc_t *out)
{
    dnnl_dims_t dims = {s->c_out, s->c_in, s->kernel_height, s->kernel_width};
    dnnl_memory_desc_t md;
    dnnl_status_t status;

    DNNL_TRY(md_init(&md, 4, dims, s->dtype,
                     onednn->isa == HR_ISA_AVX512 ? dnnl_OIhw16i16o : dnnl_OIhw8i8o));
    status = pd_create(onednn, s, MD_REF(md), out);
    md_clear(&md);
    if (status == dnnl_success && is_plain_loops(*out)) {
        dnnl_primitive_desc_destroy(*out);
        status = dnnl_unimplemented;
    }
    return status;
}

/* No answer to whether there is a kernel. Another one may give other bits, so nobody
 * takes it in its place. */
static bool is_lack(dnnl_status_t status)
{
    return status == dnnl_out_of_memory || status == dnnl_runtime_error;
}

/* Packed weights serve pictures of every size, so their layout is one for a common size:
 * blocks where there are kernels for it, else (bf16, other processors) what oneDNN likes.
 */
static dnnl_status_t pd_of_weight(const hr_onednn *onednn, const hr_onednn_shape *shape,
                                  dnnl_primitive_desc_t *out)
{
    hr_onednn_shape common = {.height = shape->kernel_height == 1 ? 1 : 16,
                              .width = shape->kernel_width == 1 ? 64 : 32,
                              .c_in = shape->c_in,
                              .c_out = shape->c_out,
                              .kernel_height = shape->kernel_height,
                              .kernel_width = shape->kernel_width,
                              .dtype = shape->dtype};

    common.pad_top = common.pad_bottom = (shape->kernel_height - 1) / 2;
    common.pad_left = common.pad_right = (shape->kernel_width - 1) / 2;
    if (shape->dtype == HR_F32) {
        dnnl_status_t status = pd_of_blocks(onednn, &common, out);

        if (status == dnnl_success || is_lack(status))
            return status;
    }
    return pd_create(onednn, &common, NULL, out);
}

hr_status hr_onednn_is_fast(const hr_onednn *onednn, const hr_onednn_shape *shape,
                            bool *out)
{
    dnnl_primitive_desc_t pd;
    dnnl_status_t status = pd_of_weight(onednn, shape, &pd);

    if (is_lack(status))
        return checked(status, "look for a kernel");
    *out = false;
    if (status != dnnl_success)
        return HR_OK;
    *out = !is_plain_loops(pd);
    dnnl_primitive_desc_destroy(pd);
    return HR_OK;
}

static dnnl_status_t reorder(const hr_onednn *onednn, dnnl_memory_t from,
                             dnnl_memory_t to)
{
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive = NULL;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    md_ref from_md, to_md;
    dnnl_status_t status;

    DNNL_TRY(dnnl_memory_get_memory_desc(from, &from_md));
    DNNL_TRY(dnnl_memory_get_memory_desc(to, &to_md));
    DNNL_TRY(dnnl_reorder_primitive_desc_create(&pd, from_md, onednn->engine, to_md,
                                                onednn->engine, NULL));
    status = dnnl_primitive_create(&primitive, pd);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(primitive, onednn->stream, 2, args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(onednn->stream);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

/* Makes the memory of dense weights. */
static dnnl_status_t plain_memory(const hr_onednn *onednn, const hr_onednn_shape *s,
                                  const void *plain, dnnl_memory_t *out)
{
    dnnl_dims_t dims = {s->c_out, s->c_in, s->kernel_height, s->kernel_width};
    dnnl_memory_desc_t md;
    dnnl_status_t status;

    DNNL_TRY(md_init(&md, 4, dims, s->dtype, dnnl_oihw));
    status =
        dnnl_memory_create(out, MD_REF(md), onednn->engine, (void *)(uintptr_t)plain);
    md_clear(&md);
    return status;
}

/* The weights `from` in the layout that `pd` wants. */
static hr_status weight_create(const hr_onednn *onednn, const_dnnl_primitive_desc_t pd,
                               dnnl_memory_t from, hr_onednn_weight **out)
{
    md_ref md = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    hr_onednn_weight *weight;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *weight, "packed weights", &memory));
    weight = memory;
    weight->bytes = dnnl_memory_desc_get_size(md);
    weight->data = hr_alloc_aligned(weight->bytes, ALIGNMENT);
    if (weight->data == NULL) {
        status = hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for packed weights",
                         weight->bytes);
        goto fail;
    }
    HR_TRY_GOTO(
        CHECKED(dnnl_memory_create(&weight->memory, md, onednn->engine, weight->data),
                "memory"),
        fail);
    HR_TRY_GOTO(checked(reorder(onednn, from, weight->memory), "packing of weights"),
                fail);
    *out = weight;
    return HR_OK;
fail:
    hr_onednn_weight_destroy(weight);
    return status;
}

hr_status hr_onednn_pack(hr_onednn *onednn, const hr_onednn_shape *shape,
                         const void *weight, hr_onednn_weight **out)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_memory_t plain = NULL;
    hr_status status;

    HR_TRY_GOTO(checked(plain_memory(onednn, shape, weight, &plain), "memory"), done);
    HR_TRY_GOTO(checked(pd_of_weight(onednn, shape, &pd), "choice of a weight layout"),
                done);
    status = weight_create(onednn, pd, plain, out);
done:
    dnnl_primitive_desc_destroy(pd);
    dnnl_memory_destroy(plain);
    return status;
}

void hr_onednn_weight_destroy(hr_onednn_weight *weight)
{
    hr_onednn_weight *next;

    for (; weight != NULL; weight = next) {
        next = weight->next;
        dnnl_memory_destroy(weight->memory);
        hr_free(weight->data);
        hr_free(weight);
    }
}

size_t hr_onednn_weight_bytes(const hr_onednn_weight *weight)
{
    return weight->bytes;
}

static size_t bucket_of(const hr_onednn_shape *shape)
{
    const unsigned char *byte = (const unsigned char *)shape;
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (size_t i = 0; i < sizeof *shape; i++)
        hash = (hash ^ byte[i]) * 16777619U;
    return hash % N_BUCKETS;
}

static hr_status grow_scratchpads(hr_onednn *onednn, size_t bytes)
{
    if (bytes <= onednn->scratchpad_bytes)
        return HR_OK;
    for (int i = 0; i < onednn->threads; i++) {
        hr_free(onednn->scratchpads[i]);
        onednn->scratchpads[i] = hr_alloc_aligned(bytes, ALIGNMENT);
        if (onednn->scratchpads[i] == NULL) {
            onednn->scratchpad_bytes = 0;
            return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for oneDNN", bytes);
        }
    }
    onednn->scratchpad_bytes = bytes;
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
    md_ref bias = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1);

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

static hr_status conv_init(hr_onednn *onednn, hr_onednn_conv *conv,
                           const_dnnl_primitive_desc_t pd)
{
    void *memory;

    HR_TRY(hr_alloc_or_fail((size_t)onednn->threads * sizeof(thread_memories),
                            "a convolution", &memory));
    conv->memories = memory;
    HR_TRY(CHECKED(dnnl_primitive_create(&conv->primitive, pd), "primitive"));
    HR_TRY(checked(memories_init(onednn, conv, pd), "memory"));
    HR_TRY(checked(
        dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&conv->name),
        "query"));
    return grow_scratchpads(
        onednn, dnnl_memory_desc_get_size(
                    dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0)));
}

/* oneDNN 3's kernels each want the one layout that suits the size of the picture. Where
 * it has none but plain loops for the packed layout, the primitive gets its own. */
static dnnl_status_t conv_desc(const hr_onednn *onednn, hr_onednn_conv *conv,
                               dnnl_primitive_desc_t *out)
{
    dnnl_primitive_desc_t packed, own;
    dnnl_status_t status;

    DNNL_TRY(pd_of_weight(onednn, &conv->shape, &packed));
    status =
        pd_create(onednn, &conv->shape,
                  dnnl_primitive_desc_query_md(packed, dnnl_query_weights_md, 0), out);
    dnnl_primitive_desc_destroy(packed);
    if (status != dnnl_success || !is_plain_loops(*out))
        return status;
    status = pd_create(onednn, &conv->shape, NULL, &own);
    if (status != dnnl_success)
        return is_lack(status) ? status : dnnl_success;
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
    HR_TRY_GOTO(checked(conv_desc(onednn, conv, &pd), "convolution"), done);
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

/* The weight in the primitive's own layout, made when first needed. */
static hr_status repacked(hr_onednn *onednn, const hr_onednn_conv *conv,
                          hr_onednn_weight *weight, hr_onednn_weight **out)
{
    md_ref wanted =
        dnnl_primitive_desc_query_md(conv->repacked, dnnl_query_weights_md, 0);
    hr_status status = HR_OK;
    hr_onednn_weight *w;

    pthread_mutex_lock(&onednn->repacking);
    for (w = weight; w != NULL; w = w->next) {
        md_ref has = NULL;

        if (dnnl_memory_get_memory_desc(w->memory, &has) == dnnl_success &&
            dnnl_memory_desc_equal(has, wanted) != 0)
            break;
    }
    if (w == NULL) {
        status = weight_create(onednn, conv->repacked, weight->memory, &w);
        if (status == HR_OK) {
            w->next = weight->next;
            weight->next = w;
        }
    }
    pthread_mutex_unlock(&onednn->repacking);
    if (status == HR_OK)
        *out = w;
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
    hr_onednn_weight *weight = args->weight;

    if (args->conv->repacked != NULL)
        HR_TRY(repacked(onednn, args->conv, args->weight, &weight));
    return checked(run_with(onednn, args, weight->memory), "run");
}
