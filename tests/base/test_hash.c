/* The expected values are those of the Python package xxhash (XXH3, 128 bits). */
#include "support/test_util.h"

#include "base/hash.h"

static const char *text_of(const void *data, size_t n)
{
    static char text[HR_HASH_TEXT_BYTES];

    return hr_hash_text(hr_hash_bytes(data, n), text);
}

static void test_as_the_reference(void **state)
{
    unsigned char long_one[1000];

    (void)state;
    for (size_t i = 0; i < sizeof long_one; i++)
        long_one[i] = (unsigned char)(i * 7 % 256);
    assert_string_equal(text_of("", 0), "99aa06d3014798d86001c324468d497f");
    assert_string_equal(text_of("a", 1), "a96faf705af16834e6c632b61e964e1f");
    assert_string_equal(text_of("haloreel", 8), "afb2886bad130117d7ca8d1de038deef");
    assert_string_equal(text_of(long_one, sizeof long_one),
                        "abee229cdadad76d10ad30264426c830");
}

static void test_in_parts(void **state)
{
    unsigned char data[5000];
    hr_hash_parts parts;

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * i % 251);
    for (size_t part = 1; part < sizeof data; part = part * 3 + 1) {
        hr_hash_begin(&parts);
        for (size_t at = 0; at < sizeof data; at += part)
            hr_hash_add(&parts, data + at,
                        at + part < sizeof data ? part : sizeof data - at);
        assert_true(hr_hash_equal(hr_hash_end(&parts), hr_hash_bytes(data, sizeof data)));
    }
}

static void test_text_and_back(void **state)
{
    const hr_hash hash = {0x00123456789abcdeU, 0xfedcba9876543210U};
    char text[HR_HASH_TEXT_BYTES];
    hr_hash back = {0};

    (void)state;
    assert_true(hr_hash_parse(hr_hash_text(hash, text), &back));
    assert_true(hr_hash_equal(hash, back));
    assert_false(hr_hash_equal(hash, (hr_hash){hash.high, hash.low ^ 1}));
    assert_false(hr_hash_equal(hash, (hr_hash){hash.high ^ 1, hash.low}));
}

static void test_not_a_hash(void **state)
{
    static const char *const bad[] = {
        "",
        "0",
        "00123456789abcdefedcba987654321",   /* one short */
        "00123456789abcdefedcba98765432100", /* one long */
        "00123456789abcdefedcba987654321g",
        "00123456789ABCDEFEDCBA9876543210",
        " 0123456789abcdefedcba9876543210",
        "-0123456789abcdefedcba9876543210",
        "0x123456789abcdefedcba9876543210",
    };
    hr_hash out = {7, 8};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (hr_hash_parse(bad[i], &out))
            fail_msg("%s was taken for a hash", bad[i]);
    assert_true(out.high == 7 && out.low == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_reference),
        cmocka_unit_test(test_in_parts),
        cmocka_unit_test(test_text_and_back),
        cmocka_unit_test(test_not_a_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
