/* The dry device: it counts what the cpu device would need, and refuses what that would
 * refuse. */
#include "base/memory.h"
#include "compute/arena.h"
#include "compute/ops.h"
#include "support/device.h"
#include "support/test_util.h"

static hr_device *open_device(const char *name)
{
    hr_device *device = NULL;

    hr_test_ok(hr_device_open(&(hr_device_options){.name = name, .isa = hr_test_isa()},
                              &device));
    return device;
}

static void it_says_so(void **state)
{
    hr_device *dry = open_device("dry"), *cpu = open_device("cpu");

    (void)state;
    assert_true(hr_device_is_dry(dry));
    assert_string_equal(hr_device_name(dry), "dry");
    assert_int_equal(hr_device_has_bf16(dry), hr_device_has_bf16(cpu));
    hr_device_close(dry);
    hr_device_close(cpu);
}

static void reads_give_zeros(void **state)
{
    hr_device *device = open_device("dry");
    float source[3] = {1, 2, 3}, got[3] = {7, 7, 7};
    hr_stream *stream;
    hr_tensor t;

    (void)state;
    hr_test_ok(hr_stream_create(device, &stream));
    hr_test_ok(hr_tensor_create(device, HR_F32, HR_DIMS(3), &t));
    hr_test_ok(hr_copy_to_device(stream, &t, source));
    hr_test_ok(hr_copy_to_host(stream, got, &t));
    hr_test_ok(hr_stream_sync(stream));
    assert_true(got[0] == 0 && got[1] == 0 && got[2] == 0);
    hr_tensor_free(&t);
    hr_stream_destroy(stream);
    hr_device_close(device);
}

/* Three layers of a model as wide as the largest one, with activations in an arena. */
static void do_work(hr_device *device, int64_t rows, int64_t width)
{
    hr_packed *packed[3];
    hr_arena *arena;
    hr_stream *stream;
    hr_tensor w, x, y;

    hr_test_ok(hr_stream_create(device, &stream));
    hr_test_ok(hr_arena_create(device, &arena));
    for (int i = 0; i < 3; i++) {
        hr_test_ok(hr_tensor_create(device, HR_F32, HR_DIMS(width, width), &w));
        hr_test_ok(hr_op_fill(stream, &(hr_fill_args){.out = w}));
        hr_test_ok(hr_pack_linear(stream, &w, &packed[i]));
        hr_tensor_free(&w);
    }
    hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(rows, width), &x));
    hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(rows, width), &y));
    hr_test_ok(hr_op_fill(stream, &(hr_fill_args){.out = x}));
    for (int i = 0; i < 3; i++) {
        hr_test_ok(hr_op_linear(
            stream, &(hr_linear_args){.x = x, .weight = packed[i], .out = y}));
        hr_test_ok(hr_op_gated_add(stream, &(hr_gated_add_args){.x = x, .y = y}));
    }
    hr_test_ok(hr_stream_sync(stream));
    for (int i = 0; i < 3; i++)
        hr_packed_destroy(packed[i]);
    hr_arena_destroy(arena);
    hr_stream_destroy(stream);
}

static void it_counts_as_the_cpu_does(void **state)
{
    static const int64_t widths[] = {64, 100, 255};

    (void)state;
    for (int i = 0; i < 3; i++) {
        hr_device *dry = open_device("dry"), *cpu = open_device("cpu");
        hr_device_stats a, b;

        do_work(dry, 33, widths[i]);
        do_work(cpu, 33, widths[i]);
        a = hr_device_get_stats(dry);
        b = hr_device_get_stats(cpu);
        assert_int_equal(a.live_bytes, 0);
        assert_int_equal(a.n_allocations, b.n_allocations);
        assert_true(a.flops == b.flops &&
                    a.flops == 6.0 * 33 * (double)(widths[i] * widths[i]));
        assert_int_equal(a.peak_bytes, b.peak_bytes);
        assert_int_equal(a.peak_all_bytes, b.peak_all_bytes);
        assert_true(a.peak_all_bytes > a.peak_bytes);
        do_work(dry, 33, widths[i]); /* a stream's memory ends with it */
        assert_int_equal(hr_device_get_stats(dry).peak_all_bytes, a.peak_all_bytes);
        hr_device_close(dry);
        hr_device_close(cpu);
    }
}

/* Bytes that packed weights of that shape take on a device. `shards` NULL: of a
 * convolution. */
static size_t packed_bytes(const char *name, const hr_shards *shards, hr_dtype dtype,
                           int n_dims, const int64_t *dim)
{
    hr_device *device = open_device(name);
    hr_stream *stream;
    hr_packed *packed;
    hr_tensor w;
    size_t bytes;

    hr_test_ok(hr_stream_create(device, &stream));
    hr_test_ok(hr_tensor_create(device, dtype, n_dims, dim, &w));
    hr_test_ok(hr_op_fill(stream, &(hr_fill_args){.out = w}));
    hr_test_ok(shards == NULL ? hr_pack_conv(stream, &w, &packed)
                              : hr_pack_linear_shards(stream, &w, shards, &packed));
    hr_tensor_free(&w);
    bytes = hr_device_get_stats(device).live_bytes;
    hr_packed_destroy(packed);
    hr_stream_destroy(stream);
    hr_device_close(device);
    return bytes;
}

static void convolutions_are_counted_as_they_lie(void **state)
{
    static const int64_t shapes[][5] = {
        {3, 5, 1, 1, 1}, {16, 16, 3, 3, 3}, {24, 6, 3, 1, 1}, {96, 48, 1, 3, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        assert_int_equal(packed_bytes("dry", NULL, HR_F32, 5, shapes[i]),
                         packed_bytes("cpu", NULL, HR_F32, 5, shapes[i]));
}

/* As whole vectors and pieces of columns are, which differ by dtype and instruction set.
 */
static void matrices_are_counted_as_they_lie(void **state)
{
    static const int64_t shapes[][2] = {{8, 8}, {40, 24}, {160, 640}, {704, 104}};
    static const hr_shards shards[] = {{.n = 1, .total = 1},
                                       {.axis = HR_SHARDS_BY_IN, .n = 2, .total = 2},
                                       {.axis = HR_SHARDS_BY_OUT, .n = 2, .total = 4}};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (size_t k = 0; k < sizeof shards / sizeof shards[0]; k++)
            for (hr_dtype dtype = HR_F32; dtype <= HR_BF16; dtype++)
                assert_int_equal(packed_bytes("dry", &shards[k], dtype, 2, shapes[i]),
                                 packed_bytes("cpu", &shards[k], dtype, 2, shapes[i]));
}

/* What is counted is what is taken, but for the records of the pieces. */
static void packed_bytes_are_memory(void **state)
{
    const int64_t shape[] = {700, 300};
    hr_device *device = open_device("cpu");
    size_t counted, taken;
    hr_stream *stream;
    hr_packed *packed;
    hr_tensor w;

    (void)state;
    hr_test_ok(hr_stream_create(device, &stream));
    hr_test_ok(hr_tensor_create(device, HR_BF16, 2, shape, &w));
    hr_test_ok(hr_op_fill(stream, &(hr_fill_args){.out = w}));
    for (int i = 0; i < 2; i++) { /* the first grows the stream's scratch */
        counted = hr_device_get_stats(device).live_bytes;
        taken = hr_mem_live_bytes();
        hr_test_ok(hr_pack_linear(stream, &w, &packed));
        counted = hr_device_get_stats(device).live_bytes - counted;
        taken = hr_mem_live_bytes() - taken;
        hr_packed_destroy(packed);
    }
    assert_true(counted >= 700 * 300 * 2);
    assert_true(taken >= counted && taken <= counted + 1024);
    hr_tensor_free(&w);
    hr_stream_destroy(stream);
    hr_device_close(device);
}

static void a_model_larger_than_any_machine_is_counted(void **state)
{
    hr_device *device = open_device("dry");
    const int64_t width = (int64_t)1 << 22;
    size_t before = hr_mem_live_bytes();

    (void)state;
    do_work(device, (int64_t)1 << 24, width);
    assert_true((double)hr_device_get_stats(device).peak_bytes > 3.0 * 4 * 0x1p44);
    assert_true(hr_device_get_stats(device).flops == 6 * 0x1p68);
    /* It only remembers how such weights would lie. */
    assert_true(hr_mem_live_bytes() < before + 4096);
    hr_device_close(device);
}

static void contracts_hold(void **state)
{
    hr_device *device = open_device("dry");
    hr_stream *stream;
    hr_tensor a, b;

    (void)state;
    hr_test_ok(hr_stream_create(device, &stream));
    hr_test_ok(hr_tensor_create(device, HR_F32, HR_DIMS(3), &a));
    hr_test_ok(hr_tensor_create(device, HR_F32, HR_DIMS(4), &b));
    assert_true((char *)a.data + hr_tensor_bytes(&a) <= (char *)b.data);
    hr_test_fails(HR_ERR_INTERNAL, "operator activate",
                  hr_op_activate(stream, &(hr_activate_args){.x = a, .out = b}));
    hr_tensor_free(&a);
    hr_tensor_free(&b);
    hr_stream_destroy(stream);
    hr_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_so),
        cmocka_unit_test(reads_give_zeros),
        cmocka_unit_test(it_counts_as_the_cpu_does),
        cmocka_unit_test(convolutions_are_counted_as_they_lie),
        cmocka_unit_test(matrices_are_counted_as_they_lie),
        cmocka_unit_test(packed_bytes_are_memory),
        cmocka_unit_test(a_model_larger_than_any_machine_is_counted),
        cmocka_unit_test(contracts_hold),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
