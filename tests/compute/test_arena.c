/* The arena; on each device of HR_TEST_DEVICE. */
#include "compute/arena.h"

#include "base/memory.h"
#include "support/device.h"
#include "support/test_util.h"

enum { MAX_TENSORS = 64 };

static void tensors_are_aligned_and_apart(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    hr_tensor t[MAX_TENSORS];
    hr_arena *arena;

    (void)state;
    hr_test_ok(hr_arena_create(on.device, &arena));
    for (int i = 0; i < MAX_TENSORS; i++) {
        int64_t width = 1 + i * i * 37 % 20011;

        hr_test_ok(
            hr_arena_tensor(arena, i % 2 ? HR_F32 : HR_BF16, HR_DIMS(3, width), &t[i]));
        assert_int_equal((uintptr_t)t[i].data % 64, 0);
        assert_ptr_equal(t[i].device, on.device);
        assert_int_equal(hr_tensor_count(&t[i]), 3 * width);
        for (int k = 0; k < i; k++)
            assert_true((char *)t[k].data + hr_tensor_bytes(&t[k]) <= (char *)t[i].data ||
                        (char *)t[i].data + hr_tensor_bytes(&t[i]) <= (char *)t[k].data);
    }
    hr_arena_destroy(arena);
    hr_test_device_stop(&on);
}

static void memory_is_usable_to_its_end(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    const int64_t n = 700001; /* more than the first block holds */
    float *values = hr_alloc((size_t)n * sizeof *values), *got;
    hr_tensor small, large;
    hr_arena *arena;

    (void)state;
    assert_non_null(values);
    hr_test_random(1, values, (size_t)n);
    hr_test_ok(hr_arena_create(on.device, &arena));
    hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(11), &small));
    hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(n), &large));
    hr_test_ok(hr_copy_to_device(on.stream, &large, values));
    hr_test_ok(hr_copy_to_device(on.stream, &small, values));
    got = hr_test_download(on.stream, &large);
    assert_memory_equal(got, values, (size_t)n * sizeof *values);
    hr_free(got);
    hr_free(values);
    hr_arena_destroy(arena);
    hr_test_device_stop(&on);
}

/* A round with nested marks that needs several blocks; the addresses go to `at`. */
static void do_round(hr_arena *arena, void *at[MAX_TENSORS])
{
    hr_arena_mark start = hr_arena_get_mark(arena), inner;
    hr_tensor t;
    int n = 0;

    for (int layer = 0; layer < 6; layer++) {
        hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(50000 + layer * 9), &t));
        at[n++] = t.data;
        inner = hr_arena_get_mark(arena);
        for (int i = 0; i < 5; i++) {
            hr_test_ok(
                hr_arena_tensor(arena, HR_BF16, HR_DIMS(1000 << 2 * i, 1 + layer), &t));
            at[n++] = t.data;
        }
        hr_arena_rewind(arena, inner);
    }
    hr_arena_rewind(arena, start);
}

static void later_rounds_allocate_nothing(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    void *first[MAX_TENSORS] = {0}, *again[MAX_TENSORS] = {0};
    hr_device_stats before;
    hr_arena *arena;

    (void)state;
    hr_test_ok(hr_arena_create(on.device, &arena));
    do_round(arena, first);
    before = hr_device_get_stats(on.device);
    assert_true(before.n_allocations > 1);
    for (int round = 0; round < 3; round++) {
        do_round(arena, again);
        assert_memory_equal(again, first, sizeof first);
    }
    assert_int_equal(hr_device_get_stats(on.device).n_allocations, before.n_allocations);
    assert_int_equal(hr_device_get_stats(on.device).peak_bytes, before.peak_bytes);
    hr_arena_destroy(arena);
    hr_test_device_stop(&on);
}

static void small_work_takes_little_memory(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    hr_tensor t;
    hr_arena *arena;

    (void)state;
    hr_test_ok(hr_arena_create(on.device, &arena));
    assert_int_equal(hr_device_get_stats(on.device).live_bytes, 0);
    hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(1), &t));
    assert_true(hr_device_get_stats(on.device).live_bytes <= 1 << 20);
    hr_arena_destroy(arena);
    hr_test_device_stop(&on);
}

static void bad_requests_leave_the_arena_as_it_was(void **state)
{
    hr_test_device on = hr_test_device_start(1);
    hr_arena_mark mark;
    hr_tensor t = {0};
    hr_arena *arena;

    (void)state;
    hr_test_ok(hr_arena_create(on.device, &arena));
    mark = hr_arena_get_mark(arena);
    hr_test_fails(HR_ERR_INTERNAL, "dimension 0 = 0",
                  hr_arena_tensor(arena, HR_F32, HR_DIMS(0), &t));
    hr_test_fails(HR_ERR_NOMEM, "",
                  hr_arena_tensor(arena, HR_F32, HR_DIMS((int64_t)1 << 58), &t));
    assert_true(hr_tensor_is_absent(&t));
    assert_int_equal(hr_arena_get_mark(arena).block, mark.block);
    assert_int_equal(hr_arena_get_mark(arena).used, mark.used);
    hr_test_ok(hr_arena_tensor(arena, HR_F32, HR_DIMS(4), &t));
    hr_arena_destroy(arena);
    hr_arena_destroy(NULL);
    hr_test_device_stop(&on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_aligned_and_apart),
        cmocka_unit_test(memory_is_usable_to_its_end),
        cmocka_unit_test(later_rounds_allocate_nothing),
        cmocka_unit_test(small_work_takes_little_memory),
        cmocka_unit_test(bad_requests_leave_the_arena_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
