/* Attention by blocks with a running softmax (Dao et al., FlashAttention, algorithm 1):
 * for each block of keys the scores of some queries, their exponentials relative to the
 * largest score so far, and the sums so far scaled down whenever that grows. */
#include "compute/cpu/kernels/level.h"

enum {
    PANEL = 2 * VEC, /* columns of a tile of the product, held in registers ... */
    ROWS = VEC == 16 ? 12 : 6, /* ... times rows */
    QUERIES = HR_CPU_ATTENTION_QUERIES,
    KEYS = HR_CPU_ATTENTION_KEYS,
};

/* What a group of queries needs while keys pass by. */
typedef struct query_block {
    float *q;       /* [QUERIES][D] */
    float *scores;  /* [QUERIES][KEYS] */
    float *out;     /* [QUERIES][Dp], not yet divided by sum */
    float *largest; /* [QUERIES] scores so far */
    float *sum;     /* [QUERIES] of exponentials so far */
    int64_t first, rows;
    int64_t groups; /* of ROWS rows */
    int64_t depth, padded_depth;
} query_block;

static int64_t round_up(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

size_t HR_LEVEL_NAME(hr_cpu_attention_work)(int64_t head_dim)
{
    return QUERIES * (size_t)(head_dim + KEYS + round_up(head_dim, PANEL) + 2);
}

/* Row `i` of the head. */
static const void *row_of(const hr_tensor *t, int64_t head, int64_t i)
{
    return element(t, (i * t->dim[1] + head) * t->dim[2]);
}

/* Transposes row `j` of a panel: vectors are read, elements written PANEL apart. */
static void pack_key(float *panel, int64_t j, const void *row, const hr_tensor *k)
{
    for (int64_t d = 0; d < k->dim[2]; d += VEC) {
        vec x = vec_get(row, k->dtype, d, k->dim[2]);

        for (int64_t i = 0; i < VEC && d + i < k->dim[2]; i++)
            panel[(d + i) * PANEL + j] = x[i];
    }
}

static void pack_value(float *block, int64_t key, const void *row, const hr_tensor *v)
{
    for (int64_t d = 0; d < v->dim[2]; d += VEC)
        vec_store(block + d / PANEL * KEYS * PANEL + key * PANEL + d % PANEL,
                  vec_get(row, v->dtype, d, v->dim[2]));
}

void HR_LEVEL_NAME(hr_cpu_attention_pack)(const hr_cpu_attention_head *head,
                                          int64_t block)
{
    const hr_tensor *k = &head->args->k, *v = &head->args->v;
    int64_t depth = k->dim[2], padded = round_up(depth, PANEL);
    int64_t first = block * KEYS, n = k->dim[0] - first;
    float *keys = head->keys + first * depth, *values = head->values + first * padded;

    n = n < KEYS ? n : KEYS;
    if (n < KEYS)
        memset(keys, 0, (size_t)(KEYS * depth) * sizeof(float));
    if (n < KEYS || depth < padded)
        memset(values, 0, (size_t)(KEYS * padded) * sizeof(float));
    for (int64_t j = 0; j < n; j++) {
        pack_key(keys + j / PANEL * depth * PANEL, j % PANEL,
                 row_of(k, head->head, first + j), k);
        pack_value(values, j, row_of(v, head->head, first + j), v);
    }
}

/* Rows past the last query, up to a whole group, are zero. */
static void copy_queries(const hr_cpu_attention_head *head, const query_block *block)
{
    const hr_tensor *q = &head->args->q;
    int64_t n = block->depth;

    for (int64_t i = 0; i < block->rows; i++)
        for (int64_t d = 0; d < n; d += VEC)
            vec_put(block->q + i * n, HR_F32, d, n,
                    vec_get(row_of(q, head->head, block->first + i), q->dtype, d, n));
    memset(block->q + block->rows * n, 0,
           (size_t)((block->groups * ROWS - block->rows) * n) * sizeof(float));
}

/* Where the rows of a matrix lie: row i at data + i * step. */
typedef struct strided {
    float *data;
    int64_t step;
} strided;

/* A tile of a product, ROWS x PANEL: out (+)= a b, with b a dense [depth][PANEL]. Inlined
 * with constant steps; the sums stay in registers. */
static inline __attribute__((always_inline)) void
multiply(strided a, const float *b, int64_t depth, strided out, int add)
{
    vec sum[ROWS][2];

#pragma GCC unroll 12
    for (int i = 0; i < ROWS; i++) {
        sum[i][0] = add ? vec_load(out.data + i * out.step) : (vec){0};
        sum[i][1] = add ? vec_load(out.data + i * out.step + VEC) : (vec){0};
    }
    for (int64_t k = 0; k < depth; k++) {
        vec b0 = vec_load(b + k * PANEL), b1 = vec_load(b + k * PANEL + VEC);

#pragma GCC unroll 12
        for (int i = 0; i < ROWS; i++) {
            vec x = vec_set(a.data[i * a.step + k]);

            sum[i][0] = vec_fma(x, b0, sum[i][0]);
            sum[i][1] = vec_fma(x, b1, sum[i][1]);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < ROWS; i++) {
        vec_store(out.data + i * out.step, sum[i][0]);
        vec_store(out.data + i * out.step + VEC, sum[i][1]);
    }
}

static void multiply_keys(const query_block *block, const float *keys, int64_t n)
{
    for (int64_t j = 0; j < n; j += PANEL)
        for (int64_t g = 0; g < block->groups; g++)
            multiply((strided){block->q + g * ROWS * block->depth, block->depth},
                     keys + j * block->depth, block->depth,
                     (strided){block->scores + g * ROWS * KEYS + j, KEYS}, 0);
}

static void multiply_values(const query_block *block, const float *values, int64_t n)
{
    int64_t width = block->padded_depth;

    for (int64_t d = 0; d < width; d += PANEL)
        for (int64_t g = 0; g < block->groups; g++)
            multiply((strided){block->scores + g * ROWS * KEYS, KEYS}, values + d * KEYS,
                     n, (strided){block->out + g * ROWS * width + d, width}, 1);
}

/* Scores of query i and n keys from `first`: scaled and with biases; returns the largest.
 * Lanes past the end are -infinite. */
static float finish_scores(const hr_attention_args *args, int64_t head, int64_t i,
                           int64_t first, float *scores, int64_t n)
{
    const float *key_bias = NULL, *relative = NULL;
    int64_t n_queries = args->q.dim[0], n_keys = args->k.dim[0];
    vec largest = vec_set(-INFINITY);

    if (args->key_bias.n_dims > 0)
        key_bias = (const float *)args->key_bias.data + first;
    if (args->relative_bias.n_dims > 0)
        relative = (const float *)args->relative_bias.data +
                   head * (n_queries + n_keys - 1) + first - i + n_queries - 1;
    for (int64_t j = 0; j < n; j += VEC) {
        vec s = vec_load(scores + j) * args->scale;

        if (key_bias != NULL)
            s += vec_get(key_bias, HR_F32, j, n);
        if (relative != NULL)
            s += vec_get(relative, HR_F32, j, n);
        for (int64_t lane = n - j; lane < VEC; lane++)
            s[lane] = -INFINITY;
        vec_store(scores + j, s);
        largest = vec_max(largest, s);
    }
    return vec_largest(largest);
}

/* Scores of row i to exponentials; what was summed before shrinks when the largest grows.
 */
static void softmax_row(const query_block *block, int64_t i, float largest, int64_t n)
{
    float *scores = block->scores + i * KEYS, *out = block->out + i * block->padded_depth;
    float before = block->largest[i], shrink;
    vec sum = {0};

    if (largest < before)
        largest = before;
    if (largest == -INFINITY) {
        memset(scores, 0, KEYS * sizeof(float));
        return;
    }
    for (int64_t j = 0; j < n; j += VEC) {
        vec p = vec_exp(vec_load(scores + j) - largest);

        vec_store(scores + j, p);
        sum += p;
    }
    if (largest != before) {
        shrink = vec_exp(vec_set(before - largest))[0];
        block->largest[i] = largest;
        block->sum[i] *= shrink;
        for (int64_t d = 0; d < block->padded_depth; d += VEC)
            vec_store(out + d, vec_load(out + d) * shrink);
    }
    block->sum[i] += vec_sum(sum);
}

static void pass_keys(const hr_cpu_attention_head *head, const query_block *block,
                      int64_t first)
{
    int64_t n = head->args->k.dim[0] - first;

    n = n < KEYS ? n : KEYS;
    multiply_keys(block, head->keys + first * block->depth, n);
    for (int64_t i = 0; i < block->rows; i++)
        softmax_row(block, i,
                    finish_scores(head->args, head->head, block->first + i, first,
                                  block->scores + i * KEYS, n),
                    n);
    multiply_values(block, head->values + first * block->padded_depth, n);
}

static void write_out(const hr_cpu_attention_head *head, const query_block *block)
{
    const hr_tensor *t = &head->args->out;

    for (int64_t i = 0; i < block->rows; i++) {
        void *row = element(t, ((block->first + i) * t->dim[1] + head->head) * t->dim[2]);
        const float *sums = block->out + i * block->padded_depth;

        for (int64_t d = 0; d < block->depth; d += VEC)
            vec_put(row, t->dtype, d, block->depth, vec_load(sums + d) / block->sum[i]);
    }
}

void HR_LEVEL_NAME(hr_cpu_attention)(const hr_cpu_attention_head *head, int64_t first,
                                     float *work)
{
    const hr_tensor *q = &head->args->q;
    int64_t depth = q->dim[2], padded = round_up(depth, PANEL);
    query_block block = {.q = work,
                         .scores = work + QUERIES * depth,
                         .out = work + QUERIES * (depth + KEYS),
                         .largest = work + QUERIES * (depth + KEYS + padded),
                         .sum = work + QUERIES * (depth + KEYS + padded + 1),
                         .first = first,
                         .rows = q->dim[0] - first,
                         .depth = depth,
                         .padded_depth = padded};

    if (block.rows > QUERIES)
        block.rows = QUERIES;
    block.groups = round_up(block.rows, ROWS) / ROWS;
    copy_queries(head, &block);
    memset(block.out, 0, (size_t)(QUERIES * padded) * sizeof(float));
    for (int i = 0; i < QUERIES; i++) {
        block.largest[i] = -INFINITY;
        block.sum[i] = 0;
    }
    for (int64_t key = 0; key < head->args->k.dim[0]; key += KEYS)
        pass_keys(head, &block, key);
    write_out(head, &block);
}
