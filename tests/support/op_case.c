#include "support/op_case.h"

#include "base/memory.h"
#include "support/device.h"
#include "support/reference.h"
#include "support/test_util.h"
#include "support/tolerance.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_HOST_TENSORS = 32,
    MAX_TENSORS = HR_LINCOMB_MAX + 1,
    MAX_THREADS = 4,
    MARGIN = 40
};

/* What is fixed for an operator. */
typedef struct op_kind {
    const char *name;
    hr_status (*run)(hr_stream *stream, const void *args);
    hr_reference_fn reference;
    size_t args_bytes;
    int n_tensors;
    int result;              /* index of the tensor that is written */
    const hr_shards *shards; /* of linear; NULL: whole */
} op_kind;

typedef union any_args {
#define ARGS_MEMBER(name, n_tensors) hr_##name##_args name;
    HR_OP_LIST(ARGS_MEMBER)
    hr_tensor tensors[MAX_TENSORS];
} any_args;

static struct {
    void *memory[MAX_HOST_TENSORS];
    int n;
    uint32_t seed;
    bool native_bf16; /* of the device that ran last */
} host;

static hr_tensor host_tensor(hr_dtype dtype, int n_dims, const int64_t *dim)
{
    hr_tensor t = {.dtype = dtype, .n_dims = n_dims};

    memcpy(t.dim, dim, (size_t)n_dims * sizeof *dim);
    assert_true(host.n < MAX_HOST_TENSORS);
    t.data = hr_alloc((size_t)hr_tensor_count(&t) * sizeof(float));
    assert_non_null(t.data);
    host.memory[host.n++] = t.data;
    return t;
}

static void round_to_dtype(hr_tensor *t)
{
    float *values = t->data;

    for (int64_t i = 0; i < hr_tensor_count(t) && t->dtype == HR_BF16; i++)
        values[i] = hr_bf16_to_f32(hr_f32_to_bf16(values[i]));
}

hr_tensor hr_case_random(hr_dtype dtype, int n_dims, const int64_t *dim)
{
    hr_tensor t = host_tensor(dtype, n_dims, dim);

    hr_test_random(host.seed++, t.data, (size_t)hr_tensor_count(&t));
    round_to_dtype(&t);
    return t;
}

hr_tensor hr_case_values(hr_dtype dtype, int n_dims, const int64_t *dim,
                         const float *values)
{
    hr_tensor t = host_tensor(dtype, n_dims, dim);

    memcpy(t.data, values, (size_t)hr_tensor_count(&t) * sizeof(float));
    round_to_dtype(&t);
    return t;
}

hr_tensor hr_case_empty(hr_dtype dtype, int n_dims, const int64_t *dim)
{
    hr_tensor t = host_tensor(dtype, n_dims, dim);

    memset(t.data, 0xff, (size_t)hr_tensor_count(&t) * sizeof(float));
    return t;
}

hr_tensor hr_case_ids(int64_t n, int32_t limit)
{
    hr_tensor t = host_tensor(HR_I32, 1, &n);
    int32_t *ids = t.data;

    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)((i * 7919 + host.seed) % limit);
    host.seed++;
    return t;
}

void hr_case_scale(hr_tensor *t, float factor)
{
    float *values = t->data;

    for (int64_t i = 0; i < hr_tensor_count(t); i++)
        values[i] *= factor;
    round_to_dtype(t);
}

int hr_case_clear(void **state)
{
    (void)state;
    for (int i = 0; i < host.n; i++)
        hr_free(host.memory[i]);
    host.n = 0;
    return 0;
}

/* The raw elements of a host tensor in its dtype, with `shift` elements in front of them
 * and MARGIN behind; those are poison. */
static void *with_margins(const hr_tensor *t, int64_t shift, int64_t *n_all)
{
    size_t size = hr_dtype_size(t->dtype), n = (size_t)hr_tensor_count(t);
    char *raw;

    *n_all = (int64_t)n + shift + MARGIN;
    raw = hr_alloc((size_t)*n_all * size);
    assert_non_null(raw);
    memset(raw, 0xa5, (size_t)*n_all * size);
    if (t->dtype == HR_I32)
        memcpy(raw + (size_t)shift * size, t->data, n * size);
    else
        assert_int_equal(
            hr_dtype_convert(raw + (size_t)shift * size, t->dtype, t->data, HR_F32, n),
            0);
    return raw;
}

/* One operand on the device: the whole allocation, and what was written there at first.
 */
typedef struct operand {
    hr_tensor whole;
    void *before;
    int64_t shift; /* where the tensor begins in it */
} operand;

static operand upload(hr_stream *stream, const hr_tensor *t, int64_t shift,
                      hr_tensor *view)
{
    operand made;
    hr_tensor part;
    int64_t n_all;

    made.shift = shift;
    made.before = with_margins(t, shift, &n_all);
    made.whole = hr_test_upload_raw(stream, t->dtype, 1, &n_all, made.before);
    part = hr_tensor_slice(&made.whole, shift, hr_tensor_count(t));
    *view = hr_tensor_reshape(&part, t->n_dims, t->dim);
    return made;
}

/* Asserts that only the first n elements of the tensor have changed; returns the
 * whole. */
static void *download(hr_stream *stream, const operand *o, int64_t n)
{
    size_t size = hr_dtype_size(o->whole.dtype), total = hr_tensor_bytes(&o->whole);
    size_t from = (size_t)o->shift * size, to = from + (size_t)n * size;
    char *after = hr_test_download_raw(stream, &o->whole);

    assert_memory_equal(after, o->before, from);
    if (to < total)
        assert_memory_equal(after + to, (char *)o->before + to, total - to);
    return after;
}

/* The first operand with the same data, or i itself. */
static int first_alias(const hr_tensor *tensors, int i)
{
    for (int k = 0; k < i; k++)
        if (tensors[k].data == tensors[i].data && !hr_tensor_is_absent(&tensors[k]))
            return k;
    return i;
}

static hr_packed *pack(const op_kind *kind, hr_stream *stream, const hr_tensor *weight)
{
    hr_packed *packed = NULL;
    hr_tensor t =
        hr_test_upload(stream, weight->dtype, weight->n_dims, weight->dim, weight->data);

    if (kind->shards != NULL)
        hr_test_ok(hr_pack_linear_shards(stream, &t, kind->shards, &packed));
    else if (kind->reference == hr_reference_linear)
        hr_test_ok(hr_pack_linear(stream, &t, &packed));
    else
        hr_test_ok(hr_pack_conv(stream, &t, &packed));
    hr_tensor_free(&t);
    return packed;
}

/* Elements in front of a tensor. An unaligned picture still starts at a pixel. */
static int64_t shift_of(const op_kind *kind, const hr_tensor *t, bool aligned)
{
    if (aligned)
        return 0;
    return kind->reference == hr_reference_conv ? hr_tensor_width(t) : 1;
}

/* Runs the operator once; returns the raw elements of its result. */
static void *run_once(const op_kind *kind, const any_args *args, const hr_tensor *weight,
                      int threads, bool aligned)
{
    hr_test_device on = hr_test_device_start(threads);
    any_args there = *args;
    operand operands[MAX_TENSORS] = {0};
    hr_packed *packed = weight == NULL ? NULL : pack(kind, on.stream, weight);
    const hr_tensor *want = &args->tensors[kind->result];
    int written = first_alias(args->tensors, kind->result);
    size_t result_bytes = hr_tensor_bytes(want), size = hr_dtype_size(want->dtype);
    void *result = hr_alloc(result_bytes);

    assert_non_null(result);
    host.native_bf16 = hr_device_has_bf16(on.device);
    for (int i = 0; i < kind->n_tensors; i++) {
        int first = first_alias(args->tensors, i);

        if (hr_tensor_is_absent(&args->tensors[i]))
            continue;
        if (first == i)
            operands[i] =
                upload(on.stream, &args->tensors[i],
                       shift_of(kind, &args->tensors[i], aligned), &there.tensors[i]);
        else
            there.tensors[i] = there.tensors[first];
    }
    if (kind->reference == hr_reference_linear)
        there.linear.weight = packed;
    if (kind->reference == hr_reference_conv)
        there.conv.weight = packed;
    hr_test_ok(kind->run(on.stream, &there));
    for (int i = 0; i < kind->n_tensors; i++) {
        void *after;

        if (operands[i].before == NULL)
            continue;
        after =
            download(on.stream, &operands[i], i == written ? hr_tensor_count(want) : 0);
        if (i == written)
            memcpy(result, (char *)after + (size_t)operands[i].shift * size,
                   result_bytes);
        hr_free(after);
        hr_free(operands[i].before);
        hr_tensor_free(&operands[i].whole);
    }
    hr_packed_destroy(packed);
    hr_test_device_stop(&on);
    return result;
}

static const hr_tolerance *tolerance_of(const char *op)
{
    for (size_t i = 0; i < sizeof hr_tolerances / sizeof hr_tolerances[0]; i++)
        if (strcmp(hr_tolerances[i].op, op) == 0)
            return &hr_tolerances[i];
    fail_msg("no tolerance for operator %s", op);
    return NULL;
}

static double rms(const double *x, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum / (double)n);
}

static void show_failure(const op_kind *kind, const any_args *args, const char *what)
{
    char shape[96];

    print_error("%s: %s; tensors:", kind->name, what);
    for (int i = 0; i < kind->n_tensors; i++)
        print_error(" %s%s", hr_dtype_name(args->tensors[i].dtype),
                    hr_tensor_shape_text(&args->tensors[i], shape));
    print_error("\n");
    fail();
}

static void compare(const op_kind *kind, const any_args *args, const void *raw,
                    const double *want)
{
    const hr_tolerance *limit = tolerance_of(kind->name);
    const hr_tensor *t = &args->tensors[kind->result];
    double rtol = limit->rtol + (t->dtype == HR_BF16 ? hr_tolerance_of_bf16 : 0);
    int64_t n = hr_tensor_count(t);
    double atol = limit->atol;
    char what[128];

    if (kind->reference == hr_reference_attention && args->attention.q.dtype == HR_BF16 &&
        host.native_bf16)
        atol += hr_tolerance_native_bf16_attention;
    atol *= rms(want, n);
    for (int64_t i = 0; i < n; i++) {
        double got = t->dtype == HR_BF16 ? hr_bf16_to_f32(((const uint16_t *)raw)[i])
                                         : ((const float *)raw)[i];

        if (fabs(got - want[i]) <= atol + rtol * fabs(want[i]))
            continue;
        snprintf(what, sizeof what, "element %lld of %lld is %.9g, expected %.9g +- %.2g",
                 (long long)i, (long long)n, got, want[i], atol + rtol * fabs(want[i]));
        show_failure(kind, args, what);
    }
}

static void run_case(const op_kind *kind, const void *args_given, const hr_tensor *weight)
{
    any_args args = {0};
    void *first, *again;
    double *want;
    const hr_tensor *out;
    char what[64];
    hr_tensor kernel = {0}; /* always with a time step */

    hr_device_close(hr_test_device_open(1)); /* skips here where there is none */
    memcpy(&args, args_given, kind->args_bytes);
    out = &args.tensors[kind->result];
    want = hr_alloc((size_t)hr_tensor_count(out) * sizeof *want);
    assert_non_null(want);
    if (weight != NULL)
        kernel = *weight;
    if (weight != NULL && weight->n_dims == 4)
        kernel = hr_tensor_reshape(weight, HR_DIMS(weight->dim[0], weight->dim[1], 1,
                                                   weight->dim[2], weight->dim[3]));
    kind->reference(args_given, &kernel, want);
    for (int aligned = 0; aligned < 2; aligned++) {
        first = run_once(kind, &args, weight, 1, aligned);
        compare(kind, &args, first, want);
        for (int threads = 2; threads <= MAX_THREADS; threads++) {
            again = run_once(kind, &args, weight, threads, aligned);
            snprintf(what, sizeof what, "other bits with %d threads than with 1",
                     threads);
            if (memcmp(first, again, hr_tensor_bytes(out)) != 0)
                show_failure(kind, &args, what);
            hr_free(again);
        }
        hr_free(first);
    }
    hr_free(want);
}

/* The result is the last tensor but for gated_add, which works in place. */
#define RESULT(name, n_tensors)                                                          \
    (hr_reference_##name == hr_reference_gated_add ? 0 : (n_tensors)-1)
#define DEFINE_CASE(name, n_tensors)                                                     \
    static hr_status run_##name(hr_stream *stream, const void *args)                     \
    {                                                                                    \
        return hr_op_##name(stream, args);                                               \
    }                                                                                    \
    void hr_case_run_##name(const hr_##name##_args *args, const hr_tensor *weight)       \
    {                                                                                    \
        op_kind kind = {#name,        run_##name, hr_reference_##name,                   \
                        sizeof *args, n_tensors,  RESULT(name, n_tensors),               \
                        NULL};                                                           \
        run_case(&kind, args, weight);                                                   \
    }
HR_OP_LIST(DEFINE_CASE)

void hr_case_run_shards(const hr_linear_args *args, const hr_tensor *weight,
                        const hr_shards *shards)
{
    op_kind kind = {.name = "linear",
                    .run = run_linear,
                    .reference = hr_reference_linear,
                    .args_bytes = sizeof *args,
                    .n_tensors = 3,
                    .result = RESULT(linear, 3),
                    .shards = shards};

    run_case(&kind, args, weight);
}
