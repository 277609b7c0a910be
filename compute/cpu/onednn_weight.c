/* How weights lie, and packing them. */
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "compute/cpu/onednn_parts.h"

#include <omp.h>
#include <string.h>

struct hr_onednn_layout {
    hr_onednn_shape shape;
    dnnl_primitive_desc_t pd; /* its weight lies so */
    hr_onednn_layout *next;
};

/* Blocks of channels as long as the vector: the layout of kernels that take pictures of
 * every size. Version 3 prefers newer kernels, whose layouts differ by size and which are
 * slower on AVX2 (65 to 74 GF/s against 90, on one core of an EPYC Milan). */
static dnnl_status_t pd_of_blocks(const hr_onednn *onednn, const hr_onednn_shape *s,
                                  dnnl_primitive_desc_t *out)
{
    dnnl_dims_t dims = {s->c_out, s->c_in, s->kernel_height, s->kernel_width};
    dnnl_memory_desc_t md;
    dnnl_status_t status;

    DNNL_TRY(hr_onednn_md_init(&md, 4, dims, s->dtype,
                               onednn->isa == HR_ISA_AVX512 ? dnnl_OIhw16i16o
                                                            : dnnl_OIhw8i8o));
    status = hr_onednn_pd_create(onednn, s, HR_MD_REF(md), out);
    hr_onednn_md_clear(&md);
    if (status == dnnl_success && hr_onednn_is_plain_loops(*out)) {
        dnnl_primitive_desc_destroy(*out);
        status = dnnl_unimplemented;
    }
    return status;
}

/* Packed weights serve pictures of every size, so their layout is one for a common size.
 */
static hr_onednn_shape common_shape(const hr_onednn_shape *shape)
{
    int64_t around_rows = (shape->kernel_height - 1) / 2;
    int64_t around_columns = (shape->kernel_width - 1) / 2;

    return (hr_onednn_shape){.height = shape->kernel_height == 1 ? 1 : 16,
                             .width = shape->kernel_width == 1 ? 64 : 32,
                             .c_in = shape->c_in,
                             .c_out = shape->c_out,
                             .kernel_height = shape->kernel_height,
                             .kernel_width = shape->kernel_width,
                             .pad_top = around_rows,
                             .pad_bottom = around_rows,
                             .pad_left = around_columns,
                             .pad_right = around_columns,
                             .dtype = shape->dtype};
}

/* Blocks where there are kernels for it, else (bf16, other processors) what oneDNN likes.
 */
static dnnl_status_t pd_of_weight(const hr_onednn *onednn, const hr_onednn_shape *common,
                                  dnnl_primitive_desc_t *out)
{
    if (common->dtype == HR_F32) {
        dnnl_status_t status = pd_of_blocks(onednn, common, out);

        if (status == dnnl_success || hr_onednn_is_lack(status))
            return status;
    }
    return hr_onednn_pd_create(onednn, common, NULL, out);
}

/* The layout of the shape's kind; found out once. Models have thousands of weights of a
 * few kinds. */
static dnnl_status_t layout_of(hr_onednn *onednn, const hr_onednn_shape *shape,
                               const hr_onednn_layout **out)
{
    const hr_onednn_shape common = common_shape(shape);
    hr_onednn_layout *l = onednn->layouts;

    while (l != NULL && memcmp(&l->shape, &common, sizeof common) != 0)
        l = l->next;
    if (l == NULL) {
        dnnl_primitive_desc_t pd;

        DNNL_TRY(pd_of_weight(onednn, &common, &pd));
        l = hr_alloc(sizeof *l);
        if (l == NULL) {
            dnnl_primitive_desc_destroy(pd);
            return dnnl_out_of_memory;
        }
        *l = (hr_onednn_layout){.shape = common, .next = onednn->layouts, .pd = pd};
        onednn->layouts = l;
    }
    *out = l;
    return dnnl_success;
}

static hr_onednn_md_ref md_of(const hr_onednn_layout *layout)
{
    return dnnl_primitive_desc_query_md(layout->pd, dnnl_query_weights_md, 0);
}

dnnl_status_t hr_onednn_layout_of(hr_onednn *onednn, const hr_onednn_shape *shape,
                                  hr_onednn_md_ref *out)
{
    const hr_onednn_layout *layout;

    DNNL_TRY(layout_of(onednn, shape, &layout));
    *out = md_of(layout);
    return dnnl_success;
}

void hr_onednn_layouts_destroy(hr_onednn *onednn)
{
    hr_onednn_layout *l, *next;

    for (l = onednn->layouts; l != NULL; l = next) {
        next = l->next;
        dnnl_primitive_desc_destroy(l->pd);
        hr_free(l);
    }
}

hr_status hr_onednn_is_fast(hr_onednn *onednn, const hr_onednn_shape *shape, bool *out)
{
    const hr_onednn_layout *layout;
    dnnl_status_t status = layout_of(onednn, shape, &layout);

    if (hr_onednn_is_lack(status))
        return hr_onednn_checked(status, "look for a kernel");
    *out = status == dnnl_success && !hr_onednn_is_plain_loops(layout->pd);
    return HR_OK;
}

hr_status hr_onednn_weight_bytes(hr_onednn *onednn, const hr_onednn_shape *shape,
                                 size_t *out)
{
    hr_onednn_md_ref md = NULL;

    HR_TRY(hr_onednn_checked(hr_onednn_layout_of(onednn, shape, &md),
                             "choice of a weight layout"));
    *out = dnnl_memory_desc_get_size(md);
    return HR_OK;
}
/* On this thread alone, whatever the program has set. */
static dnnl_status_t reorder(const hr_onednn *onednn, dnnl_memory_t from,
                             dnnl_memory_t to)
{
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t primitive = NULL;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    hr_onednn_md_ref from_md, to_md;
    dnnl_status_t status;

    omp_set_num_threads(1);
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

    DNNL_TRY(hr_onednn_md_init(&md, 4, dims, s->dtype, dnnl_oihw));
    status =
        dnnl_memory_create(out, HR_MD_REF(md), onednn->engine, (void *)(uintptr_t)plain);
    hr_onednn_md_clear(&md);
    return status;
}

/* Where it only measures: none. */
static hr_status weight_data(const hr_onednn *onednn, hr_onednn_weight *weight)
{
    if (onednn->measures)
        return HR_OK;
    weight->data = hr_alloc_aligned(weight->bytes, HR_ONEDNN_ALIGNMENT);
    if (weight->data == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for packed weights",
                       weight->bytes);
    return HR_OK;
}

hr_status hr_onednn_weight_create(const hr_onednn *onednn, hr_onednn_md_ref md,
                                  dnnl_memory_t from, hr_onednn_weight **out)
{
    hr_onednn_weight *weight;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *weight, "packed weights", &memory));
    weight = memory;
    weight->bytes = dnnl_memory_desc_get_size(md);
    HR_TRY_GOTO(weight_data(onednn, weight), fail);
    HR_TRY_GOTO(
        CHECKED(dnnl_memory_create(&weight->memory, md, onednn->engine, weight->data),
                "memory"),
        fail);
    if (!onednn->measures)
        HR_TRY_GOTO(hr_onednn_checked(reorder(onednn, from, weight->memory),
                                      "packing of weights"),
                    fail);
    *out = weight;
    return HR_OK;
fail:
    hr_onednn_weight_destroy(onednn, weight);
    return status;
}

hr_status hr_onednn_pack(hr_onednn *onednn, const hr_onednn_shape *shape,
                         const void *weight, hr_onednn_weight **out)
{
    dnnl_memory_t plain = NULL;
    hr_onednn_md_ref md = NULL;
    hr_status status;

    HR_TRY_GOTO(hr_onednn_checked(plain_memory(onednn, shape, weight, &plain), "memory"),
                done);
    HR_TRY_GOTO(hr_onednn_checked(hr_onednn_layout_of(onednn, shape, &md),
                                  "choice of a weight layout"),
                done);
    status = hr_onednn_weight_create(onednn, md, plain, out);
done:
    dnnl_memory_destroy(plain);
    return status;
}

/* The first layout is counted as packed weights, the others here. */
void hr_onednn_weight_destroy(const hr_onednn *onednn, hr_onednn_weight *weight)
{
    hr_onednn_weight *next;

    for (; weight != NULL; weight = next) {
        next = weight->next;
        if (next != NULL)
            hr_onednn_count(onednn, -(int64_t)next->bytes);
        dnnl_memory_destroy(weight->memory);
        hr_free(weight->data);
        hr_free(weight);
    }
}
