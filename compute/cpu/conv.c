/* Convolution, in one of two ways (packed.c chooses). Direct: out is cut into bands, some
 * rows of one frame, each done by one thread; a kernel over time is a sum of 2-d ones,
 * added up while the band is in the cache. Or as a matrix product of unfolded pixels. */
#include "compute/cpu/gemm.h"

enum {
    UNFOLDED_BYTES = 512 * 1024, /* of a tile: what the L2 of many machines holds ... */
    MIN_ROWS = 32, /* ... but never so few that the weights are read too often */
    MAX_ROWS = 256,
    BAND_BYTES = 256 * 1024, /* of out: half of a usual L2 */
    BANDS_WANTED = 16        /* enough for four threads to end at about the same time */
};

typedef struct band {
    int64_t in_row, in_rows, out_row;
    const hr_onednn_conv
        *conv[2]; /* for the first step in time, and for those after it */
} band;

typedef struct conv_plan {
    const hr_conv_args *args;
    const hr_cpu *cpu;
    const hr_cpu_packed *packed;
    int64_t band_rows, n_bands; /* of a frame */
    band *bands;                /* [n_bands] */
} conv_plan;

static int64_t ceil_div(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

static conv_plan plan_conv(const hr_stream *stream, const hr_conv_args *args)
{
    const int64_t *out = args->out.dim;
    conv_plan plan = {
        .args = args, .cpu = hr_cpu_of(stream), .packed = args->weight->state};
    int64_t rows = BAND_BYTES / (out[2] * out[3] * 4);

    rows = at_most(rows, ceil_div(out[0] * out[1], BANDS_WANTED));
    rows = at_most(rows, out[1]);
    plan.band_rows = rows > 0 ? rows : 1;
    plan.n_bands = ceil_div(out[1], plan.band_rows);
    return plan;
}

/* Which rows a band reads, and how many of its kernel's rows hang over the edges. */
static hr_status init_band(const conv_plan *plan, int64_t i, band *b)
{
    const hr_conv_args *args = plan->args;
    const int64_t *weight = args->weight->dim, *x = args->x.dim;
    int64_t rows = at_most(plan->band_rows, args->out.dim[1] - i * plan->band_rows);
    int64_t from = i * plan->band_rows - args->pad_top;
    int64_t to = from + rows + weight[3] - 1; /* past the last row */
    hr_onednn_shape shape = {.width = x[2],
                             .c_in = x[3],
                             .c_out = weight[0],
                             .kernel_height = weight[3],
                             .kernel_width = weight[4],
                             .pad_top = from < 0 ? -from : 0,
                             .pad_bottom = to > x[1] ? to - x[1] : 0,
                             .pad_left = args->pad_left,
                             .pad_right = args->pad_right,
                             .dtype = HR_F32,
                             .has_bias = args->bias.n_dims > 0,
                             .accumulate = args->accumulate};

    b->out_row = i * plan->band_rows;
    b->in_row = from + shape.pad_top;
    b->in_rows = shape.height = to - shape.pad_bottom - b->in_row;
    HR_TRY(hr_onednn_get(plan->cpu->onednn, &shape, &b->conv[0]));
    shape.has_bias = 0;
    shape.accumulate = 1;
    return plan->packed->n_pieces > 1
               ? hr_onednn_get(plan->cpu->onednn, &shape, &b->conv[1])
               : HR_OK;
}

static hr_status run_band(void *user, int64_t i, int thread)
{
    const conv_plan *plan = user;
    const band *b = &plan->bands[i % plan->n_bands];
    int64_t frame = i / plan->n_bands;
    const int64_t *x = plan->args->x.dim, *out = plan->args->out.dim;
    hr_onednn_run_args run = {.bias = plan->args->bias.data,
                              .out = (float *)plan->args->out.data +
                                     (frame * out[1] + b->out_row) * out[2] * out[3],
                              .thread = thread};

    for (int step = 0; step < plan->packed->n_pieces; step++) {
        run.conv = b->conv[step > 0];
        run.weight = plan->packed->piece[step];
        run.picture = (const float *)plan->args->x.data +
                      ((frame + step) * x[1] + b->in_row) * x[2] * x[3];
        HR_TRY(hr_onednn_run(plan->cpu->onednn, &run));
    }
    return HR_OK;
}

/* The layouts of the weight that running the bands would make. */
static hr_status measure_bands(const conv_plan *plan)
{
    hr_onednn *onednn = plan->cpu->onednn;
    hr_onednn_weight *laid;
    band b;

    for (int64_t i = 0; i < plan->n_bands; i++) {
        HR_TRY(init_band(plan, i, &b));
        for (int step = 0; step < plan->packed->n_pieces; step++)
            HR_TRY(hr_onednn_lay(onednn, b.conv[step > 0], plan->packed->piece[step],
                                 &laid));
    }
    return HR_OK;
}

static hr_status run_direct(hr_stream *stream, const hr_conv_args *args)
{
    conv_plan plan = plan_conv(stream, args);
    int64_t n = args->out.dim[0] * plan.n_bands;
    void *bands;

    HR_TRY(hr_cpu_scratch(stream, (size_t)plan.n_bands * sizeof(band), &bands));
    if (hr_cpu_measures(stream))
        return measure_bands(&plan);
    plan.bands = bands;
    for (int64_t i = 0; i < plan.n_bands; i++)
        HR_TRY(init_band(&plan, i, &plan.bands[i]));
    return hr_pool_run(hr_cpu_of(stream)->pool, run_band, &plan, n);
}

static hr_status run_unfolded(hr_stream *stream, const hr_conv_args *args)
{
    const int64_t *weight = args->weight->dim;
    int64_t positions = weight[2] * weight[3] * weight[4];
    int64_t pads = args->pad_top + args->pad_bottom + args->pad_left + args->pad_right;
    hr_cpu_gemm gemm = {.weight = args->weight,
                        .rows = hr_tensor_rows(&args->out),
                        .depth = positions * weight[1],
                        .out = args->out,
                        .bias = args->bias,
                        .accumulate = args->accumulate};

    if (positions == 1 && pads == 0) {
        gemm.x = args->x.data;
        gemm.x_dtype = args->x.dtype;
        return hr_cpu_gemm_run(stream, &gemm);
    }
    gemm.fetch = hr_cpu_of(stream)->kernels->unfold;
    gemm.fetch_args = args;
    gemm.max_rows = at_most(UNFOLDED_BYTES / (gemm.depth * 4), MAX_ROWS);
    if (gemm.max_rows < MIN_ROWS)
        gemm.max_rows = MIN_ROWS;
    return hr_cpu_gemm_run(stream, &gemm);
}

hr_status hr_cpu_op_conv(hr_stream *stream, const hr_conv_args *args)
{
    const hr_cpu_packed *packed = args->weight->state;

    return packed->direct ? run_direct(stream, args) : run_unfolded(stream, args);
}
