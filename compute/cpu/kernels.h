/* Inside cpu/ only: the kernels, compiled once per instruction set from the same source
 * (kernels/). Each works on one thread and never looks at how many there are. */
#ifndef HR_COMPUTE_CPU_KERNELS_H
#define HR_COMPUTE_CPU_KERNELS_H

#include "compute/backend.h"

/* Does units [first, last) of an operator; `args` is the struct of its operator. What a
 * unit is says the list below. */
typedef void (*hr_cpu_kernel)(const void *args, int64_t first, int64_t last);

/* Writes rows [first, first + n) of the left side of a product to `to`, dense: what a
 * pixel of a convolution is made from, [kt, kh, kw, C]. */
typedef void (*hr_cpu_fetch_fn)(const void *args, int64_t first, int64_t n, float *to);

/* X(operator, tensor whose shape decides, units of that tensor): the operators that are
 * nothing but a loop over independent units. */
#define HR_CPU_LOOP_LIST(X)                                                              \
    X(norm, x, hr_tensor_rows)                                                           \
    X(row_squares, x, hr_tensor_rows)                                                    \
    X(rope, x, first_dim)                                                                \
    X(gated_add, x, hr_tensor_rows)                                                      \
    X(activate, x, hr_tensor_count)                                                      \
    X(geglu, a, hr_tensor_count)                                                         \
    X(lincomb, out, hr_tensor_count)                                                     \
    X(gather_rows, out, first_dim)                                                       \
    X(patchify, out, first_dim)                                                          \
    X(unpatchify, x, first_dim)                                                          \
    X(denormalize, out, hr_tensor_rows)                                                  \
    X(upsample, out, hr_tensor_rows)                                                     \
    X(split_frames, out, hr_tensor_rows)                                                 \
    X(add_duplicated, out, hr_tensor_rows)                                               \
    X(to_rgb, out, hr_tensor_rows)                                                       \
    X(fill, out, hr_tensor_count)

/* How attention is cut; the same for all instruction sets but `panel`. */
enum { HR_CPU_ATTENTION_QUERIES = 96, HR_CPU_ATTENTION_KEYS = 128 };

/* Keys and values of one head, repacked by blocks of HR_CPU_ATTENTION_KEYS. A block of
 * keys is [keys / panel][D][panel], one of values [Dp / panel][keys][panel] with Dp = D
 * rounded up to the panel; what lies past the end is zero. */
typedef struct hr_cpu_attention_head {
    const hr_attention_args *args;
    int64_t head;
    float *keys, *values;
} hr_cpu_attention_head;

/* A piece of a matrix product on its way out: rows [row, row + rows) and columns [column,
 * column + width) of out = activation(product + bias), or of out += product + bias. Two
 * or four products are added as a binary tree, the bias to the first. */
enum { HR_CPU_STORE_PRODUCTS = 4 };
typedef struct hr_cpu_store {
    const float *product; /* [rows, width] */
    int n_products;       /* 1, 2 or 4 */
    int64_t next_product; /* floats from one to the next */
    int64_t row, rows, column, width;
    hr_tensor out, bias; /* out: fp [.., columns]; bias: F32 [columns], optional */
    hr_activation activation;
    bool accumulate;
} hr_cpu_store;

typedef struct hr_cpu_kernels {
#define HR_CPU_KERNEL_SLOT(name, tensor, units) hr_cpu_kernel name;
    HR_CPU_LOOP_LIST(HR_CPU_KERNEL_SLOT)
#undef HR_CPU_KERNEL_SLOT
    void (*store)(const hr_cpu_store *store);
    hr_cpu_fetch_fn unfold;                                    /* of conv */
    void (*widen)(const uint16_t *from, int64_t n, float *to); /* bf16 to fp32 */
    int panel;
    void (*attention_pack)(const hr_cpu_attention_head *head, int64_t block);
    /* Queries [first, first + HR_CPU_ATTENTION_QUERIES) of the head; `work` holds
     * attention_work(D) floats. */
    void (*attention)(const hr_cpu_attention_head *head, int64_t first, float *work);
    size_t (*attention_work)(int64_t head_dim);
} hr_cpu_kernels;

/* For a level that is available. */
const hr_cpu_kernels *hr_cpu_kernels_of(hr_isa isa);

#endif
