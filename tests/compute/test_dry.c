/* The dry device: it counts what the cpu device would need, and refuses what that would
 * refuse. */
#include "base/memory.h"
#include "compute/arena.h"
#include "compute/ops.h"
#include "support/test_util.h"

static hr_device *open_device(const char *name)
{
    hr_device *device = NULL;

    hr_test_ok(hr_device_open(&(hr_device_options){.name = name}, &device));
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
        /* Its estimate of packed weights is not below the truth, nor far above. */
        assert_true(a.peak_bytes >= b.peak_bytes);
        assert_true((double)a.peak_bytes <= 1.1 * (double)b.peak_bytes);
        hr_device_close(dry);
        hr_device_close(cpu);
    }
}

static void small_convolutions_are_counted_with_their_blocks(void **state)
{
    static const int64_t shapes[][5] = {
        {3, 5, 1, 1, 1}, {16, 16, 3, 3, 3}, {24, 6, 3, 1, 1}, {96, 48, 1, 3, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        hr_device *devices[2] = {open_device("dry"), open_device("cpu")};
        size_t live[2];

        for (int d = 0; d < 2; d++) {
            hr_stream *stream;
            hr_packed *packed;
            hr_tensor w;

            hr_test_ok(hr_stream_create(devices[d], &stream));
            hr_test_ok(hr_tensor_create(devices[d], HR_F32, 5, shapes[i], &w));
            hr_test_ok(hr_op_fill(stream, &(hr_fill_args){.out = w}));
            hr_test_ok(hr_pack_conv(stream, &w, &packed));
            hr_tensor_free(&w);
            live[d] = hr_device_get_stats(devices[d]).live_bytes;
            hr_packed_destroy(packed);
            hr_stream_destroy(stream);
            hr_device_close(devices[d]);
        }
        assert_true(live[0] >= live[1] && live[0] <= 3 * live[1]);
    }
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
    assert_int_equal(hr_mem_live_bytes(), before);
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
        cmocka_unit_test(small_convolutions_are_counted_with_their_blocks),
        cmocka_unit_test(a_model_larger_than_any_machine_is_counted),
        cmocka_unit_test(contracts_hold),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
