#include "base/text.h"

#include "base/memory.h"
#include "support/test_util.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void every_code_point_survives(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        uint32_t again;
        size_t n = hr_utf8_encode(code, bytes);

        if (code >= 0xd800 && code < 0xe000) {
            assert_int_equal(hr_utf8_decode(bytes, n, &again), 0);
            continue;
        }
        assert_int_equal(hr_utf8_decode(bytes, n, &again), n);
        assert_int_equal(again, code);
        if (n > 1)
            assert_int_equal(hr_utf8_decode(bytes, n - 1, &again), 0);
    }
}

static void invalid_bytes_are_found(void **state)
{
    static const struct {
        const char *text;
        size_t n, offset;
    } cases[] = {
        {"plain", 5, 5},
        {"", 0, 0},
        {"a\0b", 3, 3},
        {"a\x80", 2, 1},                 /* a continuation alone */
        {"ab\xc0\xaf", 4, 2},            /* overlong */
        {"\xe0\x80\x80", 3, 0},          /* overlong */
        {"\xf0\x80\x80\x80", 4, 0},      /* overlong */
        {"x\xed\xa0\x80", 4, 1},         /* a surrogate */
        {"\xf4\x90\x80\x80", 4, 0},      /* beyond U+10FFFF */
        {"\xff", 1, 0},                  /* never a byte of UTF-8 */
        {"\xc3\xa9\xe2\x82", 4, 2},      /* cut */
        {"\xc3\xa9\xe2\x82\xac!", 6, 6}, /* fine */
        {"\xe2\x28\xa1", 3, 0},          /* a wrong continuation */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(hr_utf8_check(cases[i].text, cases[i].n), cases[i].offset);
}

static void texts_grow(void **state)
{
    hr_text text = {0};

    (void)state;
    hr_test_ok(hr_text_add(&text, ""));
    assert_string_equal(text.s, "");
    for (int i = 0; i < 1000; i++)
        hr_test_ok(hr_text_printf(&text, "%d,", i % 10));
    assert_int_equal(text.length, 2000);
    assert_int_equal(strlen(text.s), 2000);
    hr_test_ok(hr_text_append(&text, "abc", 2));
    hr_test_ok(hr_text_add_code(&text, 0x20ac));
    assert_string_equal(text.s + 1996, "8,9,ab\xe2\x82\xac");
    hr_text_free(&text);
    assert_null(text.s);
    assert_int_equal(text.length, 0);
    hr_text_free(&text);
}

static void a_long_printf_fits(void **state)
{
    hr_text text = {0};

    (void)state;
    hr_test_ok(hr_text_printf(&text, "%0300d|%s", 7, "end"));
    assert_int_equal(text.length, 304);
    assert_string_equal(text.s + 299, "7|end");
    hr_text_free(&text);
}

static void a_text_without_memory_stays_as_it_was(void **state)
{
    hr_text text = {0};

    (void)state;
    hr_test_ok(hr_text_add(&text, "abc"));
    hr_test_fails(HR_ERR_NOMEM, "size too large",
                  hr_text_append(&text, "x", SIZE_MAX - 2));
    assert_string_equal(text.s, "abc");
    hr_text_free(&text);
}

static void files_are_read_whole(void **state)
{
    const char *path = hr_test_path(hr_test_folder(), "a.txt");
    char *text;
    size_t n;

    (void)state;
    hr_test_write(path, "one\0two", 7);
    hr_test_ok(hr_read_file(path, 7, &text, &n));
    assert_int_equal(n, 7);
    assert_memory_equal(text, "one\0two", 8);
    hr_free(text);
    hr_test_write(path, "", 0);
    hr_test_ok(hr_read_file(path, 0, &text, &n));
    assert_int_equal(n, 0);
    assert_string_equal(text, "");
    hr_free(text);
}

static void what_is_no_plain_file_is_refused(void **state)
{
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "b.txt");
    const char *pipe_path = hr_test_path(folder, "pipe");
    char *text = NULL;
    size_t n;

    (void)state;
    hr_test_write(path, "12345678", 8);
    hr_test_fails(HR_ERR_FORMAT, "8 bytes, at most 7", hr_read_file(path, 7, &text, &n));
    hr_test_fails(HR_ERR_IO, "No such file",
                  hr_read_file(hr_test_path(folder, "none"), 7, &text, &n));
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_read_file(folder, 7, &text, &n));
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_read_file("/dev/zero", 7, &text, &n));
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_read_file(pipe_path, 7, &text, &n));
    assert_null(text);
}

static void bytes_for_people(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *expected;
    } cases[] = {
        {0, "0 B"},           {999, "999 B"},          {1000, "1.0 kB"},
        {12345, "12.3 kB"},   {123456, "123 kB"},      {999499, "999 kB"},
        {999500, "1.0 MB"},   {1500000000, "1.5 GB"},  {99940000, "99.9 MB"},
        {99960000, "100 MB"}, {UINT64_MAX, "18.4 EB"},
    };
    char out[16];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(hr_format_bytes(cases[i].bytes, out), cases[i].expected);
}

static void strange_text_is_shown_harmlessly(void **state)
{
    static const struct {
        const char *from;
        size_t max_bytes;
        const char *expected;
    } cases[] = {
        {"", 5, ""},
        {"a cat", 5, "a cat"},
        {"a cats", 5, "a cat..."},
        {"\x1b[31m\n\x7f", 50, "?[31m??"},
        {"\xc3\xa9\xc2\x9b\xff\xc3", 50, "\xc3\xa9???"},
        {"\xc3\xa9\xc3\xa9", 1, "\xc3\xa9..."},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hr_text text = {0};
        hr_test_ok(hr_text_add(&text, ""));
        hr_test_ok(hr_text_add_shown(&text, cases[i].from, cases[i].max_bytes));
        assert_string_equal(text.s, cases[i].expected);
        hr_text_free(&text);
    }
}

static void durations_for_people(void **state)
{
    static const struct {
        double seconds;
        const char *expected;
    } cases[] = {
        {0, "0:00"},    {7.4, "0:07"},      {59.5, "1:00"},
        {754, "12:34"}, {11100, "3:05:00"}, {86400, "1 d 0:00:00"},
        {-3, "0:00"},   {NAN, "0:00"},      {INFINITY, "11574 d 1:46:40"},
    };
    char out[24];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(hr_format_duration(cases[i].seconds, out), cases[i].expected);
}

static void words_for_a_shell(void **state)
{
    static const char *const words[] = {"plain-1_./:=,+@%", "a b", "it's", "", "*", "$x"};
    hr_text text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        hr_test_ok(hr_text_add(&text, i > 0 ? " " : ""));
        hr_test_ok(hr_text_add_word(&text, words[i]));
    }
    assert_string_equal(text.s, "plain-1_./:=,+@% 'a b' 'it'\\''s' '' '*' '$x'");
    hr_text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_for_a_shell),
        cmocka_unit_test(every_code_point_survives),
        cmocka_unit_test(invalid_bytes_are_found),
        cmocka_unit_test(texts_grow),
        cmocka_unit_test(a_long_printf_fits),
        cmocka_unit_test(a_text_without_memory_stays_as_it_was),
        cmocka_unit_test(files_are_read_whole),
        cmocka_unit_test(what_is_no_plain_file_is_refused),
        cmocka_unit_test(bytes_for_people),
        cmocka_unit_test(strange_text_is_shown_harmlessly),
        cmocka_unit_test(durations_for_people),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
