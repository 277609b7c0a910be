#include "base/memory.h"

#include "support/test_util.h"

#include <string.h>

static void blocks_and_bytes_are_counted(void **state)
{
    size_t blocks = hr_mem_live_blocks(), bytes = hr_mem_live_bytes();
    void *a = hr_alloc(100), *b = hr_alloc_aligned(1000, 64);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(hr_mem_live_blocks(), blocks + 2);
    assert_int_equal(hr_mem_live_bytes(), bytes + 1100);
    assert_true(hr_mem_peak_bytes() >= bytes + 1100);
    hr_free(a);
    hr_free(b);
    hr_free(NULL);
    assert_int_equal(hr_mem_live_blocks(), blocks);
    assert_int_equal(hr_mem_live_bytes(), bytes);
}

static void memory_is_zero_and_aligned(void **state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        unsigned char *memory = hr_alloc_aligned(37, alignment);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % alignment, 0);
        for (int i = 0; i < 37; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, 37);
        hr_free(memory);
    }
}

static void zero_bytes_give_a_pointer(void **state)
{
    void *memory = hr_alloc(0);

    (void)state;
    assert_non_null(memory);
    hr_free(memory);
}

static void impossible_sizes_give_null(void **state)
{
    void *out = NULL;

    (void)state;
    assert_null(hr_alloc(SIZE_MAX));
    assert_null(hr_alloc(SIZE_MAX / 2));
    assert_null(hr_alloc_aligned(SIZE_MAX - 10, 64));
    hr_test_fails(HR_ERR_NOMEM, "for a moon",
                  hr_alloc_or_fail(SIZE_MAX / 2, "a moon", &out));
    assert_null(out);
}

static void realloc_keeps_what_fits(void **state)
{
    char *text = hr_strdup("halo"), *more, *less;

    (void)state;
    more = hr_realloc(text, 5000);
    assert_non_null(more);
    assert_string_equal(more, "halo");
    less = hr_realloc(more, 2);
    assert_non_null(less);
    assert_memory_equal(less, "ha", 2);
    assert_null(hr_realloc(less, SIZE_MAX / 2));
    assert_memory_equal(less, "ha", 2);
    hr_free(less);
    less = hr_realloc(NULL, 8);
    assert_non_null(less);
    hr_free(less);
}

static void strings_are_copied(void **state)
{
    char *whole = hr_strdup("reel"), *part = hr_strndup("reel", 2);

    (void)state;
    assert_string_equal(whole, "reel");
    assert_string_equal(part, "re");
    hr_free(whole);
    hr_free(part);
}

static void sizes_that_overflow_are_refused(void **state)
{
    size_t out = 7;

    (void)state;
    hr_test_ok(hr_size_mul(SIZE_MAX / 3, 3, &out));
    assert_int_equal(out, SIZE_MAX / 3 * 3);
    hr_test_ok(hr_size_add(SIZE_MAX - 1, 1, &out));
    assert_int_equal(out, SIZE_MAX);
    hr_test_ok(hr_size_mul(0, SIZE_MAX, &out));
    assert_int_equal(out, 0);
    hr_test_fails(HR_ERR_NOMEM, "size too large", hr_size_mul(SIZE_MAX / 2, 3, &out));
    hr_test_fails(HR_ERR_NOMEM, "size too large", hr_size_add(SIZE_MAX, 1, &out));
}

static void available_memory_is_known(void **state)
{
    uint64_t available = hr_mem_available();

    (void)state;
    assert_true(available > (uint64_t)1 << 20);
    assert_true(available < (uint64_t)1 << 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_and_bytes_are_counted),
        cmocka_unit_test(memory_is_zero_and_aligned),
        cmocka_unit_test(zero_bytes_give_a_pointer),
        cmocka_unit_test(impossible_sizes_give_null),
        cmocka_unit_test(realloc_keeps_what_fits),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(available_memory_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
