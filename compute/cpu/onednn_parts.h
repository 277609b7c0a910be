/* Inside onednn*.c only: what they share, and descriptors, which hide what differs
 * between oneDNN 2 and 3. Local. Descriptors are made for one thread, so that nothing
 * about a primitive depends on how many there are. */
#ifndef HR_COMPUTE_CPU_ONEDNN_PARTS_H
#define HR_COMPUTE_CPU_ONEDNN_PARTS_H

#include "compute/backend.h"
#include "compute/cpu/onednn.h"

#include <dnnl.h>
#include <pthread.h>

/* Version 3 made descriptors objects; 2 has them as plain structs. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t hr_onednn_md_ref;
#    define HR_MD_REF(md) (md)
#else
typedef const dnnl_memory_desc_t *hr_onednn_md_ref;
#    define HR_MD_REF(md) (&(md))
#endif

enum { HR_ONEDNN_BUCKETS = 256, HR_ONEDNN_ALIGNMENT = 64 };

/* How weights of one kind lie. */
typedef struct hr_onednn_layout hr_onednn_layout;

struct hr_onednn {
    hr_device *device; /* that counts what is taken; or NULL */
    bool measures;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    pthread_mutex_t repacking;
    hr_isa isa;
    int threads;
    void **scratchpads; /* [threads] */
    size_t scratchpad_bytes;
    hr_onednn_layout *layouts;
    hr_onednn_conv *bucket[HR_ONEDNN_BUCKETS];
};

struct hr_onednn_weight {
    dnnl_memory_t memory;
    void *data;
    size_t bytes;
    hr_onednn_weight *next; /* the same in another layout */
};

/* The files that use these two include base/fault.h. */
#define DNNL_TRY(call)                                                                   \
    do {                                                                                 \
        dnnl_status_t dnnl_try_status =                                                  \
            hr_fault("onednn.call") ? dnnl_out_of_memory : (call);                       \
        if (dnnl_try_status != dnnl_success)                                             \
            return dnnl_try_status;                                                      \
    } while (0)

#define CHECKED(call, what)                                                              \
    hr_onednn_checked(hr_fault("onednn.call") ? dnnl_out_of_memory : (call), (what))

/* Logs a failure, as HR_ERR_NOMEM or HR_ERR_DEVICE. */
hr_status hr_onednn_checked(dnnl_status_t status, const char *what);
/* No answer to whether there is a kernel. Another one may give other bits, so nobody
 * takes it in its place. */
bool hr_onednn_is_lack(dnnl_status_t status);

/* A dense description; hr_onednn_md_clear frees it. */
dnnl_status_t hr_onednn_md_init(dnnl_memory_desc_t *md, int n_dims,
                                const dnnl_dims_t dims, int32_t dtype,
                                dnnl_format_tag_t tag);
void hr_onednn_md_clear(dnnl_memory_desc_t *md);
/* Of the shape's convolution with a weight that lies so; NULL lets oneDNN choose. The
 * caller destroys it. */
dnnl_status_t hr_onednn_pd_create(const hr_onednn *onednn, const hr_onednn_shape *shape,
                                  hr_onednn_md_ref weight, dnnl_primitive_desc_t *out);
bool hr_onednn_is_plain_loops(const_dnnl_primitive_desc_t pd);

/* The layout in which weights of the shape's kind are packed; lent, lives as long as
 * `onednn`. */
dnnl_status_t hr_onednn_layout_of(hr_onednn *onednn, const hr_onednn_shape *shape,
                                  hr_onednn_md_ref *out);
void hr_onednn_layouts_destroy(hr_onednn *onednn);
void hr_onednn_count(const hr_onednn *onednn, int64_t bytes);
/* What `from` holds, in another layout. */
hr_status hr_onednn_weight_create(const hr_onednn *onednn, hr_onednn_md_ref md,
                                  dnnl_memory_t from, hr_onednn_weight **out);

#endif
