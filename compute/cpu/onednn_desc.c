/* Descriptors: what differs between oneDNN 2 and 3 is here. */
#include "base/fault.h"
#include "base/log.h"
#include "compute/cpu/onednn_parts.h"

#include <omp.h>
#include <string.h>

hr_status hr_onednn_checked(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return HR_OK;
    if (status == dnnl_out_of_memory)
        return hr_fail(HR_ERR_NOMEM, "out of memory: oneDNN %d.%d: %s",
                       DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, what);
    return hr_fail(HR_ERR_DEVICE, "oneDNN %d.%d: %s failed with status %d",
                   DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, what, (int)status);
}

bool hr_onednn_is_lack(dnnl_status_t status)
{
    return status == dnnl_out_of_memory || status == dnnl_runtime_error;
}

dnnl_status_t hr_onednn_md_init(dnnl_memory_desc_t *md, int n_dims,
                                const dnnl_dims_t dims, int32_t dtype,
                                dnnl_format_tag_t tag)
{
    dnnl_data_type_t type = dtype == HR_BF16 ? dnnl_bf16 : dnnl_f32;

#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(md, n_dims, dims, type, tag);
#else
    return dnnl_memory_desc_init_by_tag(md, n_dims, dims, type, tag);
#endif
}

void hr_onednn_md_clear(dnnl_memory_desc_t *md)
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
    hr_onednn_md_ref bias_ref;
} conv_mds;

static void mds_clear(conv_mds *mds)
{
    hr_onednn_md_clear(&mds->src);
    hr_onednn_md_clear(&mds->weight);
    hr_onednn_md_clear(&mds->bias);
    hr_onednn_md_clear(&mds->dst);
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
    DNNL_TRY(hr_onednn_md_init(&mds->src, 4, src, s->dtype, dnnl_nhwc));
    DNNL_TRY(hr_onednn_md_init(&mds->weight, 4, weight, s->dtype, dnnl_format_tag_any));
    DNNL_TRY(hr_onednn_md_init(&mds->dst, 4, dst, HR_F32, dnnl_nhwc));
    if (s->has_bias == 0)
        return dnnl_success;
    DNNL_TRY(hr_onednn_md_init(&mds->bias, 1, bias, HR_F32, dnnl_x));
    mds->bias_ref = HR_MD_REF(mds->bias);
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
                                 const conv_mds *mds, hr_onednn_md_ref weight,
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

dnnl_status_t hr_onednn_pd_create(const hr_onednn *onednn, const hr_onednn_shape *shape,
                                  hr_onednn_md_ref weight, dnnl_primitive_desc_t *out)
{
    conv_mds mds;
    dnnl_status_t status = mds_init(&mds, shape);

    omp_set_num_threads(1);
    if (status == dnnl_success)
        status = pd_from_mds(onednn, shape, &mds,
                             weight != NULL ? weight : HR_MD_REF(mds.weight), out);
    mds_clear(&mds);
    return status;
}

bool hr_onednn_is_plain_loops(const_dnnl_primitive_desc_t pd)
{
    const char *name = "";

    return dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, (void *)&name) !=
               dnnl_success ||
           strncmp(name, "ref", 3) == 0;
}
