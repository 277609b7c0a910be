#include "compute/cpu/gemm.h"

#include "base/memory.h"

enum {
    MAX_ROWS = 128, /* of a tile */
    MIN_ROWS = 16,
    TILES_WANTED = 16,     /* enough for four threads to end at about the same time */
    SHARES = 4,            /* per thread: one that is held up does less */
    MIN_PRODUCTS = 1 << 20 /* below, waking threads costs more than it saves */
};

/* A grid of tiles, rows times pieces of the weight. The shapes alone decide it, so
 * threads change nothing but who does which. */
typedef struct gemm_plan {
    const hr_cpu_gemm *gemm;
    const hr_cpu *cpu;
    const hr_cpu_packed *packed;
    int64_t tile_rows, row_tiles;
    float *work; /* per thread: the tile of the product, then fetched rows */
    int64_t work_floats;
    int64_t tiles, shares; /* rows times pieces, and into how many parts they are cut */
    const hr_onednn_conv *conv[2][2]; /* [last row tile][last piece] */
} gemm_plan;

static int64_t ceil_div(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

static int64_t at_most(int64_t n, int64_t limit)
{
    return n < limit ? n : limit;
}

static gemm_plan plan_gemm(const hr_stream *stream, const hr_cpu_gemm *gemm)
{
    const hr_cpu_packed *packed = gemm->weight->state;
    gemm_plan plan = {.gemm = gemm, .cpu = hr_cpu_of(stream), .packed = packed};
    int64_t rows = ceil_div(gemm->rows * packed->n, TILES_WANTED);

    rows = ceil_div(rows, MIN_ROWS) * MIN_ROWS;
    rows = at_most(rows, gemm->max_rows > 0 ? gemm->max_rows : MAX_ROWS);
    plan.tile_rows = at_most(rows, gemm->rows);
    plan.row_tiles = ceil_div(gemm->rows, plan.tile_rows);
    plan.work_floats = plan.tile_rows * packed->piece_width;
    if (gemm->x == NULL)
        plan.work_floats += plan.tile_rows * gemm->depth;
    plan.work_floats = ceil_div(plan.work_floats, 16) * 16;
    return plan;
}

static int64_t rows_of(const gemm_plan *plan, int64_t tile)
{
    return at_most(plan->gemm->rows - tile * plan->tile_rows, plan->tile_rows);
}

static int64_t columns_of(const gemm_plan *plan, int64_t piece)
{
    int64_t columns = plan->gemm->weight->dim[0], width = plan->packed->piece_width;

    return at_most(columns - piece * width, width);
}

static hr_status get_primitives(gemm_plan *plan)
{
    hr_onednn_shape shape = {.height = 1,
                             .c_in = plan->gemm->depth,
                             .kernel_height = 1,
                             .kernel_width = 1,
                             .dtype = (int32_t)plan->packed->dtype};

    for (int last_row = 0; last_row < 2; last_row++)
        for (int last_piece = 0; last_piece < 2; last_piece++) {
            shape.width = rows_of(plan, last_row ? plan->row_tiles - 1 : 0);
            shape.c_out = columns_of(plan, last_piece ? plan->packed->n - 1 : 0);
            HR_TRY(hr_onednn_get(plan->cpu->onednn, &shape,
                                 &plan->conv[last_row][last_piece]));
        }
    return HR_OK;
}

static hr_status run_tile(const gemm_plan *plan, int64_t tile, int64_t piece,
                          const void *x, int thread)
{
    const hr_cpu_gemm *gemm = plan->gemm;
    float *product = plan->work + thread * plan->work_floats;
    hr_cpu_store store = {.product = product,
                          .row = tile * plan->tile_rows,
                          .rows = rows_of(plan, tile),
                          .column = piece * plan->packed->piece_width,
                          .width = columns_of(plan, piece),
                          .out = gemm->out,
                          .bias = gemm->bias,
                          .activation = gemm->activation,
                          .accumulate = gemm->accumulate};
    hr_onednn_run_args run = {
        .conv = plan->conv[tile == plan->row_tiles - 1][piece == plan->packed->n - 1],
        .weight = plan->packed->piece[piece],
        .picture = x,
        .out = product,
        .thread = thread,
    };

    HR_TRY(hr_onednn_run(plan->cpu->onednn, &run));
    plan->cpu->kernels->store(&store);
    return HR_OK;
}

/* Tiles [first, last), piece by piece of one row tile, whose rows are fetched once. */
static hr_status run_tiles(const gemm_plan *plan, int64_t first, int64_t last, int thread)
{
    const hr_cpu_gemm *gemm = plan->gemm;
    float *fetched = plan->work + thread * plan->work_floats +
                     plan->tile_rows * plan->packed->piece_width;
    size_t row_bytes = (size_t)gemm->depth * hr_dtype_size(plan->packed->dtype);

    for (int64_t i = first; i < last; i++) {
        int64_t tile = i / plan->packed->n, piece = i % plan->packed->n;
        int64_t row = tile * plan->tile_rows;
        const void *x = fetched;

        if (gemm->x != NULL)
            x = (const char *)gemm->x + (size_t)row * row_bytes;
        else if (i == first || piece == 0)
            gemm->fetch(gemm->fetch_args, row, rows_of(plan, tile), fetched);
        HR_TRY(run_tile(plan, tile, piece, x, thread));
    }
    return HR_OK;
}

static hr_status run_share(void *user, int64_t i, int thread)
{
    const gemm_plan *plan = user;

    return run_tiles(plan, plan->tiles * i / plan->shares,
                     plan->tiles * (i + 1) / plan->shares, thread);
}

hr_status hr_cpu_gemm_run(hr_stream *stream, const hr_cpu_gemm *gemm)
{
    gemm_plan plan = plan_gemm(stream, gemm);
    int threads = stream->device->threads;
    void *work;

    HR_TRY(get_primitives(&plan));
    HR_TRY(hr_cpu_scratch(stream, (size_t)(threads * plan.work_floats) * sizeof(float),
                          &work));
    plan.work = work;
    plan.tiles = plan.row_tiles * plan.packed->n;
    plan.shares = at_most(plan.tiles, SHARES * threads);
    if (gemm->rows * gemm->depth * gemm->weight->dim[0] < MIN_PRODUCTS)
        plan.shares = 1;
    return hr_pool_run(hr_cpu_of(stream)->pool, run_share, &plan, plan.shares);
}

hr_status hr_cpu_op_linear(hr_stream *stream, const hr_linear_args *args)
{
    const hr_cpu_packed *packed = args->weight->state;
    hr_cpu_gemm gemm = {.weight = args->weight,
                        .rows = args->x.dim[0],
                        .depth = args->x.dim[1],
                        .out = args->out,
                        .bias = args->bias,
                        .activation = args->activation};

    if (packed->dtype == args->x.dtype) {
        gemm.x = args->x.data;
    } else {
        gemm.fetch = hr_cpu_of(stream)->kernels->widen;
        gemm.fetch_args = args;
    }
    return hr_cpu_gemm_run(stream, &gemm);
}
