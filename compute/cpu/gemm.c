#include "compute/cpu/gemm.h"

#include "base/memory.h"

#include <string.h>

enum {
    MAX_ROWS = 128, /* of a tile */
    MIN_ROWS = 16,
    TILES_WANTED = 16,     /* enough for four threads to end at about the same time; half
                            * of it for several products each, which are short */
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
    bool fetched;        /* the rows of x are not used where they lie */
    int64_t tile_floats; /* of a product of a tile */
    int n_products;      /* that live at once */
    float *work;         /* per thread: those, then fetched rows, shard by shard */
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
    gemm_plan plan = {.gemm = gemm, .cpu = hr_cpu_of(stream), .packed = packed};
    int64_t tiles = packed->in_shards > 1 ? TILES_WANTED / 2 : TILES_WANTED;
    int64_t rows = ceil_div(gemm->rows * packed->n_of_matrix, tiles);

    rows = ceil_div(rows, MIN_ROWS) * MIN_ROWS;
    rows = at_most(rows, gemm->max_rows > 0 ? gemm->max_rows : MAX_ROWS);
    plan.tile_rows = at_most(rows, gemm->rows);
    plan.row_tiles = ceil_div(gemm->rows, plan.tile_rows);
    plan.fetched =
        gemm->x == NULL || gemm->x_dtype != packed->dtype || packed->in_shards > 1;
    plan.n_products = packed->in_shards;
    if (plan.n_products > HR_CPU_STORE_PRODUCTS) /* all of a group, the sums before it */
        plan.n_products =
            HR_CPU_STORE_PRODUCTS + packed->in_shards / HR_CPU_STORE_PRODUCTS - 1;
    plan.tile_floats = plan.tile_rows * packed->piece_width;
    plan.work_floats = plan.n_products * plan.tile_floats;
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

/* The primitive of a tile. */
static const hr_onednn_conv *conv_of(const gemm_plan *plan, int64_t row_tile,
                                     int64_t piece)
{
    bool last_piece = (piece + 1) % plan->packed->per_shard == 0;

    return plan->conv[row_tile == plan->row_tiles - 1][last_piece];
}

/* One tile of the result: rows of x, dense or fetched, times a piece of the columns. */
typedef struct gemm_tile {
    const gemm_plan *plan;
    int64_t row_tile, piece;
    const char *x;
    int thread;
} gemm_tile;

/* The product of one shard by input into `out`. */
static hr_status run_shard(const gemm_tile *t, int shard, float *out)
{
    const gemm_plan *plan = t->plan;
    const hr_cpu_packed *packed = plan->packed;
    int64_t rows = rows_of(plan, t->row_tile), depth = plan->gemm->depth;
    hr_onednn_run_args run = {
        .conv = conv_of(plan, t->row_tile, t->piece),
        .weight = packed->piece[shard * packed->n + t->piece],
        .picture = t->x + (size_t)(shard * rows * (depth / packed->in_shards)) *
                              hr_dtype_size(packed->dtype),
        .out = out,
        .thread = t->thread,
    };

    return hr_onednn_run(plan->cpu->onednn, &run);
}

/* Products of some neighbours, from the tile at `products` on, to where they go. */
static hr_cpu_store store_of(const gemm_tile *t, const float *products, int n)
{
    const gemm_plan *plan = t->plan;

    return (hr_cpu_store){.product = products,
                          .n_products = n,
                          .next_product = plan->tile_floats,
                          .row = t->row_tile * plan->tile_rows,
                          .rows = rows_of(plan, t->row_tile),
                          .column = hr_cpu_piece_column(plan->packed, t->piece),
                          .width = hr_cpu_piece_columns(plan->packed, t->piece),
                          .out = plan->gemm->out};
}

/* Makes the first of n products their sum; `bias` may be absent. */
static void add_up(const gemm_tile *t, float *products, int n, const hr_tensor *bias)
{
    hr_cpu_store add = store_of(t, products, n);

    add.out = (hr_tensor){
        .data = products, .dtype = HR_F32, .n_dims = 2, .dim = {add.rows, add.width}};
    if (bias->n_dims > 0)
        add.bias = hr_tensor_slice(bias, add.column, add.width);
    add.row = add.column = 0;
    t->plan->cpu->kernels->store(&add);
}

/* Shards [first, first + n), one to each tile at `products` and behind it. */
static hr_status run_shards(const gemm_tile *t, int first, int n, float *products)
{
    for (int i = 0; i < n; i++)
        HR_TRY(run_shard(t, first + i, products + i * t->plan->tile_floats));
    return HR_OK;
}

/* More shards than can be stored at once, as sums of groups of them. */
static hr_status run_groups(const gemm_tile *t, int n_groups, float *products)
{
    const hr_tensor none = {0};

    for (int i = 0; i < n_groups; i++) {
        float *sum = products + i * t->plan->tile_floats;

        HR_TRY(run_shards(t, i * HR_CPU_STORE_PRODUCTS, HR_CPU_STORE_PRODUCTS, sum));
        add_up(t, sum, HR_CPU_STORE_PRODUCTS, i == 0 ? &t->plan->gemm->bias : &none);
    }
    return HR_OK;
}

static hr_status run_tile(const gemm_tile *t)
{
    const gemm_plan *plan = t->plan;
    int n = plan->packed->in_shards, n_groups = n / HR_CPU_STORE_PRODUCTS;
    float *products = plan->work + t->thread * plan->work_floats;
    hr_cpu_store store = store_of(t, products, n_groups > 1 ? n_groups : n);

    if (n_groups > 1) {
        HR_TRY(run_groups(t, n_groups, products));
    } else {
        HR_TRY(run_shards(t, 0, n, products));
        store.bias = plan->gemm->bias;
    }
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
    float *fetched =
        plan->work + thread * plan->work_floats + plan->n_products * plan->tile_floats;
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

/* The layouts of the weight that running the tiles would make: all tiles of a piece but
 * the last are alike. */
static hr_status measure_tiles(const gemm_plan *plan)
{
    hr_onednn_weight *laid;

    for (int64_t i = 0; i < plan->packed->n_pieces; i++)
        for (int64_t tile = plan->row_tiles > 1 ? plan->row_tiles - 2 : 0;
             tile < plan->row_tiles; tile++)
            HR_TRY(hr_onednn_lay(plan->cpu->onednn,
                                 conv_of(plan, tile, i % plan->packed->n),
                                 plan->packed->piece[i], &laid));
    return HR_OK;
}

hr_status hr_cpu_gemm_run(hr_stream *stream, const hr_cpu_gemm *gemm)
{
    gemm_plan plan = plan_gemm(stream, gemm);
    int threads = stream->device->threads;
    void *work;

    HR_TRY(get_primitives(&plan));
    HR_TRY(hr_cpu_scratch(stream, (size_t)(threads * plan.work_floats) * sizeof(float),
                          &work));
    if (hr_cpu_measures(stream))
        return measure_tiles(&plan);
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
