#include "compute/cpu/gemm.h"

#include "base/memory.h"

#include <string.h>

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
    bool fetched; /* the rows of x are not used where they lie */
    int levels;   /* tiles of products that live at once: the tree's depth */
    float *work;  /* per thread: those tiles, then fetched rows, shard by shard */
    int64_t work_floats;
    int64_t tiles, shares; /* rows times pieces, and into how many parts they are cut */
    const hr_onednn_conv *conv[2][2]; /* [last row tile][last piece of a shard] */
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
    gemm_plan plan = {
        .gemm = gemm, .cpu = hr_cpu_of(stream), .packed = packed, .levels = 1};
    int64_t rows = ceil_div(gemm->rows * packed->n_of_matrix, TILES_WANTED);

    rows = ceil_div(rows, MIN_ROWS) * MIN_ROWS;
    rows = at_most(rows, gemm->max_rows > 0 ? gemm->max_rows : MAX_ROWS);
    plan.tile_rows = at_most(rows, gemm->rows);
    plan.row_tiles = ceil_div(gemm->rows, plan.tile_rows);
    plan.fetched =
        gemm->x == NULL || gemm->x_dtype != packed->dtype || packed->in_shards > 1;
    for (int n = packed->in_shards; n > 1; n /= 2)
        plan.levels++;
    plan.work_floats = plan.levels * plan.tile_rows * packed->piece_width;
    if (plan.fetched)
        plan.work_floats += plan.tile_rows * gemm->depth;
    plan.work_floats = ceil_div(plan.work_floats, 16) * 16;
    return plan;
}

static int64_t rows_of(const gemm_plan *plan, int64_t tile)
{
    return at_most(plan->gemm->rows - tile * plan->tile_rows, plan->tile_rows);
}

static hr_status get_primitives(gemm_plan *plan)
{
    hr_onednn_shape shape = {.height = 1,
                             .c_in = plan->gemm->depth / plan->packed->in_shards,
                             .kernel_height = 1,
                             .kernel_width = 1,
                             .dtype = (int32_t)plan->packed->dtype};

    for (int last_row = 0; last_row < 2; last_row++)
        for (int last_piece = 0; last_piece < 2; last_piece++) {
            shape.width = rows_of(plan, last_row ? plan->row_tiles - 1 : 0);
            shape.c_out =
                hr_cpu_piece_columns(plan->packed, last_piece ? plan->packed->n - 1 : 0);
            HR_TRY(hr_onednn_get(plan->cpu->onednn, &shape,
                                 &plan->conv[last_row][last_piece]));
        }
    return HR_OK;
}

/* One tile of the result: rows of x, dense or fetched, times a piece of the columns. */
typedef struct gemm_tile {
    const gemm_plan *plan;
    int64_t row_tile, piece;
    const char *x;
    int thread;
} gemm_tile;

/* The product of shard `shard` into `out`, with the bias where it is the first of several
 * (a single one gets it when it is stored). */
static hr_status run_shard(const gemm_tile *t, int shard, float *out)
{
    const gemm_plan *plan = t->plan;
    const hr_cpu_packed *packed = plan->packed;
    int64_t rows = rows_of(plan, t->row_tile), depth = plan->gemm->depth;
    bool last_piece = (t->piece + 1) % packed->per_shard == 0;
    hr_onednn_run_args run = {
        .conv = plan->conv[t->row_tile == plan->row_tiles - 1][last_piece],
        .weight = packed->piece[shard * packed->n + t->piece],
        .picture = t->x + (size_t)(shard * rows * (depth / packed->in_shards)) *
                              hr_dtype_size(packed->dtype),
        .out = out,
        .thread = t->thread,
    };

    return hr_onednn_run(plan->cpu->onednn, &run);
}

/* What brings a product of the tile to where it goes: to `out` from column `column` on,
 * or, where `to` is given, to another product. */
static hr_cpu_store store_of(const gemm_tile *t, const float *product, float *to)
{
    const gemm_plan *plan = t->plan;
    hr_cpu_store store = {.product = product,
                          .row = t->row_tile * plan->tile_rows,
                          .rows = rows_of(plan, t->row_tile),
                          .column = hr_cpu_piece_column(plan->packed, t->piece),
                          .width = hr_cpu_piece_columns(plan->packed, t->piece),
                          .out = plan->gemm->out};

    if (to == NULL)
        return store;
    store.row = store.column = 0;
    store.out = (hr_tensor){
        .data = to, .dtype = HR_F32, .n_dims = 2, .dim = {store.rows, store.width}};
    return store;
}

/* The tree over shards [first, first + n), into the tile of products at `out`; the tiles
 * behind it are for sums that wait. */
static hr_status run_shards(const gemm_tile *t, int first, int n, float *out)
{
    const gemm_plan *plan = t->plan;
    float *right = out + plan->tile_rows * plan->packed->piece_width;
    hr_cpu_store add;

    if (n > 1) {
        HR_TRY(run_shards(t, first, n / 2, out));
        HR_TRY(run_shards(t, first + n / 2, n / 2, right));
        add = store_of(t, right, out);
        add.accumulate = true;
        plan->cpu->kernels->store(&add);
        return HR_OK;
    }
    HR_TRY(run_shard(t, first, out));
    if (first > 0 || plan->packed->in_shards == 1 || plan->gemm->bias.n_dims == 0)
        return HR_OK;
    add = store_of(t, out, out);
    add.bias = hr_tensor_slice(&plan->gemm->bias,
                               hr_cpu_piece_column(plan->packed, t->piece), add.width);
    plan->cpu->kernels->store(&add);
    return HR_OK;
}

static hr_status run_tile(const gemm_tile *t)
{
    const gemm_plan *plan = t->plan;
    float *product = plan->work + t->thread * plan->work_floats;
    hr_cpu_store store = store_of(t, product, NULL);

    HR_TRY(run_shards(t, 0, plan->packed->in_shards, product));
    if (plan->packed->in_shards == 1)
        store.bias = plan->gemm->bias;
    store.activation = plan->gemm->activation;
    store.accumulate = plan->gemm->accumulate;
    plan->cpu->kernels->store(&store);
    return HR_OK;
}

/* Rows [row, row + n) as the product wants them: [in_shards][n][depth of a shard] in its
 * type. */
static void fetch(const gemm_plan *plan, int64_t row, int64_t n, float *to)
{
    const hr_cpu_gemm *gemm = plan->gemm;
    int64_t shards = plan->packed->in_shards, depth = gemm->depth / shards;
    size_t size = hr_dtype_size(gemm->x_dtype),
           out_size = hr_dtype_size(plan->packed->dtype);
    const char *x = gemm->x;
    char *out = (char *)to;

    if (gemm->x == NULL) {
        gemm->fetch(gemm->fetch_args, row, n, to);
        return;
    }
    x += (size_t)(row * gemm->depth) * size;
    if (shards == 1) { /* all rows are one */
        depth *= n;
        n = 1;
    }
    for (int64_t i = 0; i < shards * n; i++, out += (size_t)depth * out_size) {
        const char *from = x + (size_t)(i % n * gemm->depth + i / n * depth) * size;

        if (gemm->x_dtype == plan->packed->dtype)
            memcpy(out, from, (size_t)depth * size);
        else
            plan->cpu->kernels->widen((const uint16_t *)(const void *)from, depth,
                                      (float *)(void *)out);
    }
}

/* Tiles [first, last), piece by piece of one row tile, whose rows are fetched once. */
static hr_status run_tiles(const gemm_plan *plan, int64_t first, int64_t last, int thread)
{
    const hr_cpu_gemm *gemm = plan->gemm;
    float *fetched = plan->work + thread * plan->work_floats +
                     plan->levels * plan->tile_rows * plan->packed->piece_width;
    size_t row_bytes = (size_t)gemm->depth * hr_dtype_size(plan->packed->dtype);

    for (int64_t i = first; i < last; i++) {
        gemm_tile t = {.plan = plan,
                       .row_tile = i / plan->packed->n,
                       .piece = i % plan->packed->n,
                       .x = (const char *)fetched,
                       .thread = thread};
        int64_t row = t.row_tile * plan->tile_rows;

        if (!plan->fetched)
            t.x = (const char *)gemm->x + (size_t)row * row_bytes;
        else if (i == first || t.piece == 0)
            fetch(plan, row, rows_of(plan, t.row_tile), fetched);
        HR_TRY(run_tile(&t));
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
    hr_cpu_gemm gemm = {.weight = args->weight,
                        .rows = args->x.dim[0],
                        .depth = args->x.dim[1],
                        .x = args->x.data,
                        .x_dtype = args->x.dtype,
                        .out = args->out,
                        .bias = args->bias,
                        .activation = args->activation};

    return hr_cpu_gemm_run(stream, &gemm);
}
