/* The transformer in parts: tensor ranks and stages, on HR_TEST_RANKS ranks and each
 * HR_TEST_DEVICE, have the bits of the whole one. */
#include "model/toy_transformer.h"
#include "support/device.h"
#include "support/ranks.h"

#include "base/memory.h"

#include <string.h>

/* 8, 4, 2 and 1 virtual shards, odd widths among them. */
static const hr_toy_size sizes[] = {
    {8, 12, 2, 8 * 9}, {4, 20, 3, 4 * 25}, {6, 8, 2, 6 * 7}, {3, 20, 2, 100}};
static const int n_shards[] = {8, 4, 2, 1};
enum { N_SIZES = sizeof sizes / sizeof sizes[0] };

/* One rank's device, weights and input. */
typedef struct fixture {
    hr_transformer_config config;
    hr_weights *weights;
    hr_test_device on;
    hr_arena *arena;
    hr_rope *rope;
    hr_tensor latents, embeds;
    int64_t n_tokens;
} fixture;

static hr_test_device start_dry_device(void)
{
    hr_test_device on;

    hr_test_ok(hr_device_open(&(hr_device_options){.name = "dry"}, &on.device));
    hr_test_ok(hr_stream_create(on.device, &on.stream));
    return on;
}

/* `broken`: the tensor that holds a NaN, or NULL. `on` is the fixture's from now on. */
static void start_with(fixture *f, const hr_toy_size *size, const int64_t grid[3],
                       const char *broken, hr_test_device on)
{
    static float values[1 << 17];
    hr_transformer_config c = hr_toy_config(size);
    int64_t dim[4] = {grid[0], c.in_channels, grid[1], grid[2]};
    int64_t n = grid[0] * c.in_channels * grid[1] * grid[2];

    assert_true(n <= (int64_t)(sizeof values / sizeof values[0]));
    memset(f, 0, sizeof *f);
    f->config = c;
    f->weights = hr_toy_weights(&f->config, broken);
    f->on = on;
    f->n_tokens = grid[0] * grid[1] / 2 * (grid[2] / 2);
    hr_test_ok(hr_arena_create(f->on.device, &f->arena));
    hr_test_ok(
        hr_rope_create(&f->config, f->on.stream, grid[0], grid[1], grid[2], &f->rope));
    hr_test_random(99, values, (size_t)n);
    f->latents = hr_test_upload(f->on.stream, HR_F32, 4, dim, values);
    hr_test_random(98, values, 7 * (size_t)c.text_dim);
    f->embeds = hr_test_upload(f->on.stream, HR_F32, HR_DIMS(7, c.text_dim), values);
}

static void start(fixture *f, const hr_toy_size *size, const int64_t grid[3])
{
    start_with(f, size, grid, NULL, hr_test_device_start(1));
}

static void stop(fixture *f)
{
    hr_tensor_free(&f->latents);
    hr_tensor_free(&f->embeds);
    hr_rope_destroy(f->rope);
    hr_arena_destroy(f->arena);
    hr_test_device_stop(&f->on);
    hr_weights_close(f->weights);
}

static const int64_t small_grid[3] = {3, 6, 10};

/* Opens the part, runs it once from `hidden` or the latents, closes it. `hidden` is what
 * goes from part to part; the result is the velocity or NULL. */
static float *run_part(fixture *f, const hr_transformer_part *part, hr_numerics numerics,
                       hr_tensor *hidden)
{
    hr_text_rows rows = {.embeds = f->embeds, .text_length = 12};
    hr_forward args = {.rope = f->rope, .latents = f->latents, .timestep = 777.5};
    hr_transformer *t;
    hr_text_context *context;
    float *velocity = NULL;

    hr_test_ok(
        hr_transformer_open(&f->config, part, f->weights, f->on.stream, numerics, &t));
    hr_test_ok(hr_text_context_create(t, f->on.stream, f->arena, &rows, &context));
    args.context = context;
    args.hidden_in = args.hidden_out = *hidden;
    if (part->has_head)
        hr_test_ok(hr_tensor_create(f->on.device, HR_F32, 4, f->latents.dim, &args.out));
    hr_test_ok(hr_transformer_run(t, f->on.stream, f->arena, &args));
    hr_test_ok(hr_stream_sync(f->on.stream));
    if (part->has_head)
        velocity = hr_test_download(f->on.stream, &args.out);
    hr_tensor_free(&args.out);
    hr_text_context_destroy(context);
    hr_transformer_close(t);
    return velocity;
}

static float *run_alone(fixture *f, hr_numerics numerics)
{
    const hr_transformer_part whole = hr_toy_whole(&f->config);
    hr_tensor none = {0};

    return run_part(f, &whole, numerics, &none);
}

/* A rank's place among the first `size` ranks, which share the shards; the others are in
 * no group. */
static hr_transformer_part tensor_part(const fixture *f, hr_group *all, int size,
                                       hr_group **group)
{
    hr_transformer_part part = hr_toy_whole(&f->config);
    int rank = hr_group_rank(all);
    const hr_group_split_args args = {.color = rank < size ? 0 : -1,
                                      .members = size,
                                      .my_rank = rank,
                                      .traffic = HR_TRAFFIC_TENSOR};

    hr_test_ok(hr_group_split(all, &args, group));
    part.tensor_size = size;
    part.tensor_rank = rank;
    part.tensor_group = *group;
    return part;
}

/* Layers [first, first + n) of a part. */
static hr_transformer_part stage_of(const hr_transformer_part *part, int64_t first,
                                    int64_t n)
{
    hr_transformer_part stage = *part;

    stage.first_layer = first;
    stage.n_layers = n;
    stage.has_entry = first == 0;
    stage.has_head = first + n == part->n_layers;
    return stage;
}

/* The same by one stage per layer, one after another. */
static float *run_stages(fixture *f, const hr_transformer_part *part,
                         hr_numerics numerics)
{
    float *velocity = NULL;
    hr_tensor hidden;

    hr_test_ok(hr_tensor_create(f->on.device, HR_F32,
                                HR_DIMS(f->n_tokens, hr_transformer_width(&f->config)),
                                &hidden));
    for (int64_t i = 0; i < part->n_layers; i++) {
        hr_transformer_part stage = stage_of(part, i, 1);

        velocity = run_part(f, &stage, numerics, &hidden);
    }
    hr_tensor_free(&hidden);
    return velocity;
}

static bool same_bits(const fixture *f, float *a, const float *b)
{
    bool same = memcmp(a, b, hr_tensor_bytes(&f->latents)) == 0;

    hr_free(a);
    return same;
}

/* Tensor groups of every size that the ranks and the model allow, as one stage and as
 * several. */
static void compare_parts(hr_group *all, fixture *f, hr_numerics numerics)
{
    float *want = run_alone(f, numerics);
    bool has_values = false;

    for (size_t i = 0; i < (size_t)hr_tensor_count(&f->latents); i++)
        has_values = has_values || want[i] > 0.1F;
    assert_true(has_values);
    for (int size = 1;
         size <= hr_group_size(all) && size <= hr_transformer_n_shards(&f->config);
         size *= 2) {
        bool together = true, staged = true;
        hr_group *group;
        hr_transformer_part part = tensor_part(f, all, size, &group);
        hr_tensor none = {0};

        if (group != NULL) {
            together = same_bits(f, run_part(f, &part, numerics, &none), want);
            staged = same_bits(f, run_stages(f, &part, numerics), want);
        }
        hr_test_on_all(all, together);
        hr_test_on_all(all, staged);
        hr_group_destroy(group);
    }
    hr_free(want);
}

static void parts_have_the_bits_of_the_whole(hr_group *all)
{
    static const hr_numerics numerics[] = {HR_NUMERICS_F32, HR_NUMERICS_EXACT};

    for (int i = 0; i < 2 * N_SIZES; i++) {
        fixture f;

        start(&f, &sizes[i / 2], small_grid);
        assert_int_equal(hr_transformer_n_shards(&f.config), n_shards[i / 2]);
        compare_parts(all, &f, numerics[i % 2]);
        stop(&f);
    }
}

/* More rows than are worked on at a time. */
static void so_have_long_sequences(hr_group *all)
{
    static const hr_toy_size size = {2, 8, 1, 16};
    static const int64_t grid[3] = {5, 58, 58};
    fixture f;

    start(&f, &size, grid);
    compare_parts(all, &f, HR_NUMERICS_EXACT);
    stop(&f);
}

static uint64_t bytes_of_part(const fixture *f, const hr_transformer_part *part)
{
    uint64_t before = hr_weights_bytes_read(f->weights);
    hr_transformer *t;

    hr_test_ok(hr_transformer_open(&f->config, part, f->weights, f->on.stream,
                                   HR_NUMERICS_F32, &t));
    hr_transformer_close(t);
    return hr_weights_bytes_read(f->weights) - before;
}

/* The whole model less one layer is what stages without that layer read; of a layer a
 * rank reads its share, what all have, and the biases of three sums where it is first. */
static void a_rank_reads_only_its_part(hr_group *all)
{
    int size = hr_group_size(all) >= 4 ? 4 : hr_group_size(all) >= 2 ? 2 : 1;
    fixture f;
    hr_group *group;
    hr_transformer_part part, first, last;
    int64_t layer;

    start(&f, &sizes[1], small_grid);
    part = tensor_part(&f, all, size, &group);
    if (group != NULL) {
        layer = hr_toy_sharded(&f.config) / size + hr_toy_unsharded(&f.config);
        if (part.tensor_rank == 0)
            layer += 3 * hr_transformer_width(&f.config);
        first = stage_of(&part, 0, 1);
        last = stage_of(&part, 0, 2);
        assert_int_equal(bytes_of_part(&f, &last) - bytes_of_part(&f, &first), 4 * layer);
        last = stage_of(&part, 1, 1);
        first = stage_of(&part, 1, 2);
        assert_true(bytes_of_part(&f, &first) < bytes_of_part(&f, &part));
        assert_true(bytes_of_part(&f, &last) < bytes_of_part(&f, &first));
    }
    hr_group_destroy(group);
    stop(&f);
}

/* The last element, so that of the last shard, is a NaN. */
static void values_of_other_parts_are_not_checked(hr_group *all)
{
    static const char *const broken = "blocks.1.attn1.to_v.weight";
    hr_transformer_part part;
    hr_group *group;
    fixture f;

    start_with(&f, &sizes[0], small_grid, broken, hr_test_device_start(1));
    part = tensor_part(&f, all, hr_group_size(all) >= 2 ? 2 : 1, &group);
    if (group != NULL && part.tensor_rank == part.tensor_size - 1)
        hr_test_fails(HR_ERR_MODEL,
                      "tensor blocks.1.attn1.to_v.weight: element 9215 is not a finite",
                      hr_transformer_check_values(&f.config, &part, f.weights));
    else if (group != NULL)
        hr_test_ok(hr_transformer_check_values(&f.config, &part, f.weights));
    part = stage_of(&part, 0, 1);
    if (group != NULL)
        hr_test_ok(hr_transformer_check_values(&f.config, &part, f.weights));
    hr_group_destroy(group);
    stop(&f);
}

static hr_status count_tick(void *user)
{
    int *n = user;

    return ++*n == 2 ? HR_ERR_CANCELLED : HR_OK;
}

/* Three layers: between them twice; the second one fails. */
static void a_tick_can_end_a_forward(hr_group *all)
{
    hr_text_rows rows = {.text_length = 12};
    hr_forward args = {.timestep = 5, .tick = count_tick};
    hr_transformer_part whole;
    hr_transformer *t;
    hr_text_context *context;
    fixture f;
    int n = 0;

    (void)all;
    start(&f, &sizes[1], small_grid);
    whole = hr_toy_whole(&f.config);
    rows.embeds = f.embeds;
    args.rope = f.rope;
    args.latents = f.latents;
    args.user = &n;
    hr_test_ok(hr_tensor_create(f.on.device, HR_F32, 4, f.latents.dim, &args.out));
    hr_test_ok(hr_transformer_open(&f.config, &whole, f.weights, f.on.stream,
                                   HR_NUMERICS_F32, &t));
    hr_test_ok(hr_text_context_create(t, f.on.stream, f.arena, &rows, &context));
    args.context = context;
    assert_int_equal(hr_transformer_run(t, f.on.stream, f.arena, &args),
                     HR_ERR_CANCELLED);
    assert_int_equal(n, 2);
    hr_test_ok(hr_transformer_run(t, f.on.stream, f.arena, &args));
    assert_int_equal(n, 4);
    hr_test_ok(hr_stream_sync(f.on.stream));
    hr_tensor_free(&args.out);
    hr_text_context_destroy(context);
    hr_transformer_close(t);
    stop(&f);
}

static void refuses_impossible_parts(hr_group *all)
{
    hr_transformer_part part;
    fixture f;

    (void)all;
    start(&f, &sizes[1], small_grid);
    part = hr_toy_whole(&f.config);
    part.n_layers++;
    hr_test_fails(HR_ERR_INTERNAL, "4 layers from 0 on are not in 0..2",
                  hr_transformer_check_values(&f.config, &part, f.weights));
    part = hr_toy_whole(&f.config);
    part.tensor_size = 8;
    hr_test_fails(HR_ERR_INTERNAL, "rank 0 of 8 cannot share 4 virtual shards",
                  hr_transformer_check_values(&f.config, &part, f.weights));
    part.tensor_size = 2;
    hr_test_fails(HR_ERR_INTERNAL, "not the group of 2 tensor ranks",
                  hr_transformer_check_values(&f.config, &part, f.weights));
    stop(&f);
}

/* The dry device in a pretended world: per layer and rank the sums of squares of queries
 * and keys, then of the queries for the text, then three sums of the residual stream's
 * size; once the squares of the text's keys. */
static void a_dry_run_counts_what_goes_between_ranks(hr_group *all)
{
    hr_text_rows rows = {.text_length = 12};
    hr_forward args = {.timestep = 5};
    int64_t width, n_floats;
    hr_transformer_part part;
    hr_transformer *t;
    hr_text_context *context;
    hr_world *world;
    hr_group *group;
    fixture f;

    (void)all;
    start_with(&f, &sizes[0], small_grid, NULL, start_dry_device());
    hr_test_ok(hr_world_open_pretended(1, 4, 4, &world));
    part = tensor_part(&f, hr_world_group(world), 4, &group);
    width = hr_transformer_width(&f.config);
    n_floats = f.config.n_layers * (3 * f.n_tokens * (1 + width) + 8);
    rows.embeds = f.embeds;
    args.rope = f.rope;
    args.latents = f.latents;
    hr_test_ok(hr_tensor_create(f.on.device, HR_F32, 4, f.latents.dim, &args.out));
    hr_test_ok(hr_transformer_open(&f.config, &part, f.weights, f.on.stream,
                                   HR_NUMERICS_EXACT, &t));
    hr_test_ok(hr_text_context_create(t, f.on.stream, f.arena, &rows, &context));
    args.context = context;
    hr_test_ok(hr_transformer_run(t, f.on.stream, f.arena, &args));
    assert_int_equal(hr_world_traffic(world).bytes[HR_TRAFFIC_TENSOR],
                     n_floats * (int64_t)sizeof(float) * 2); /* log2 of 4 ranks */
    assert_int_equal(hr_weights_bytes_read(f.weights), 0);
    hr_tensor_free(&args.out);
    hr_text_context_destroy(context);
    hr_transformer_close(t);
    hr_group_destroy(group);
    hr_world_close(world);
    stop(&f);
}

int main(void)
{
    const hr_rank_test tests[] = {
        HR_RANK_TEST(parts_have_the_bits_of_the_whole),
        HR_RANK_TEST(so_have_long_sequences),
        HR_RANK_TEST(a_rank_reads_only_its_part),
        HR_RANK_TEST(values_of_other_parts_are_not_checked),
        HR_RANK_TEST(a_tick_can_end_a_forward),
        HR_RANK_TEST(refuses_impossible_parts),
        HR_RANK_TEST(a_dry_run_counts_what_goes_between_ranks),
    };

    return hr_test_run_on_ranks("model/transformer_ranks", tests,
                                sizeof tests / sizeof tests[0]);
}
