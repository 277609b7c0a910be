/* Linear: a grid of tiles, rows of x times pieces of the weight. The shapes alone decide
 * the tiles, so threads change nothing but who does which. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"

enum {
    MAX_ROWS = 128, /* of a tile */
    MIN_ROWS = 16,
    TILES_WANTED = 16, /* enough for four threads to end at about the same time */
    SHARES = 4         /* per thread: one that is held up does less */
};

typedef struct gemm_plan {
    const hr_linear_args *args;
    const hr_cpu *cpu;
    const hr_cpu_packed *packed;
    int64_t rows, depth, columns;
    int64_t tile_rows, row_tiles;
    bool widen;          /* bf16 rows to fp32 first */
    int64_t work_floats; /* per thread: the tile of the product, then widened rows */
    float *work;
    int64_t tiles, shares; /* of both kinds, and into how many parts they are cut */
    const hr_onednn_conv *conv[2][2]; /* [last row tile][last piece] */
} gemm_plan;

static int64_t ceil_div(int64_t n, int64_t by)
{
    return (n + by - 1) / by;
}

static int64_t rows_per_tile(int64_t rows, int64_t pieces)
{
    int64_t wanted = ceil_div(ceil_div(rows * pieces, TILES_WANTED), MIN_ROWS) * MIN_ROWS;

    return wanted < MAX_ROWS ? wanted : MAX_ROWS;
}

static gemm_plan plan_gemm(const hr_stream *stream, const hr_linear_args *args)
{
    const hr_cpu_packed *packed = args->weight->state;
    gemm_plan plan = {.args = args,
                      .cpu = hr_cpu_of(stream),
                      .packed = packed,
                      .rows = args->x.dim[0],
                      .depth = args->x.dim[1],
                      .columns = args->out.dim[1],
                      .widen = args->x.dtype == HR_BF16 && !stream->device->has_bf16};

    plan.tile_rows = rows_per_tile(plan.rows, packed->n);
    plan.row_tiles = ceil_div(plan.rows, plan.tile_rows);
    plan.work_floats = plan.tile_rows * packed->piece_width;
    if (plan.widen)
        plan.work_floats += plan.tile_rows * plan.depth;
    plan.work_floats = ceil_div(plan.work_floats, 16) * 16;
    return plan;
}

static int64_t rows_of(const gemm_plan *plan, int64_t tile)
{
    int64_t left = plan->rows - tile * plan->tile_rows;

    return left < plan->tile_rows ? left : plan->tile_rows;
}

static int64_t columns_of(const gemm_plan *plan, int64_t piece)
{
    int64_t left = plan->columns - piece * plan->packed->piece_width;

    return left < plan->packed->piece_width ? left : plan->packed->piece_width;
}

static hr_status get_primitives(gemm_plan *plan)
{
    hr_onednn_shape shape = {.height = 1,
                             .c_in = plan->depth,
                             .kernel_height = 1,
                             .kernel_width = 1,
                             .dtype =
                                 (int32_t)(plan->widen ? HR_F32 : plan->args->x.dtype)};

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
    float *product = plan->work + thread * plan->work_floats;
    hr_cpu_store store = {.args = plan->args,
                          .product = product,
                          .row = tile * plan->tile_rows,
                          .rows = rows_of(plan, tile),
                          .column = piece * plan->packed->piece_width,
                          .width = columns_of(plan, piece)};
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

/* Tiles [first, last), piece by piece of one row tile, whose rows are widened once. */
static hr_status run_tiles(const gemm_plan *plan, int64_t first, int64_t last, int thread)
{
    float *wide = plan->work + thread * plan->work_floats +
                  plan->tile_rows * plan->packed->piece_width;
    int64_t pieces = plan->packed->n;
    size_t size = hr_dtype_size(plan->args->x.dtype);

    for (int64_t i = first; i < last; i++) {
        int64_t tile = i / pieces;
        const void *x = (const char *)plan->args->x.data +
                        (size_t)(tile * plan->tile_rows * plan->depth) * size;

        if (plan->widen) {
            if (i == first || i % pieces == 0)
                plan->cpu->kernels->widen(wide, x, rows_of(plan, tile) * plan->depth);
            x = wide;
        }
        HR_TRY(run_tile(plan, tile, i % pieces, x, thread));
    }
    return HR_OK;
}

static hr_status run_share(void *user, int64_t i, int thread)
{
    const gemm_plan *plan = user;

    return run_tiles(plan, plan->tiles * i / plan->shares,
                     plan->tiles * (i + 1) / plan->shares, thread);
}

hr_status hr_cpu_op_linear(hr_stream *stream, const hr_linear_args *args)
{
    gemm_plan plan = plan_gemm(stream, args);
    int threads = stream->device->threads;
    void *work;

    HR_TRY(get_primitives(&plan));
    HR_TRY(hr_cpu_scratch(stream, (size_t)(threads * plan.work_floats) * sizeof(float),
                          &work));
    plan.work = work;
    plan.tiles = plan.row_tiles * plan.packed->n;
    plan.shares = plan.tiles < SHARES * threads ? plan.tiles : SHARES * threads;
    return hr_pool_run(hr_cpu_of(stream)->pool, run_share, &plan, plan.shares);
}
