/* Prompt cleaning against diffusers' own results: the golden strings, and a table of
 * corner cases. */
#include "support/test_util.h"

#include "base/memory.h"
#include "io/json.h"
#include "model/prompt.h"

#include <stdio.h>
#include <string.h>

/* What diffusers 0.40.0 prompt_clean with ftfy 6.3.1 (Python 3.11) gives. */
static const struct {
    const char *prompt, *cleaned;
} corner_cases[] = {
    {"&#0;x", "\357\277\275x"},
    {"&#x80;", "\342\202\254"},
    {"&#128", "\342\202\254"},
    {"&#xD800;", "\357\277\275"},
    {"&#1114112;", "\357\277\275"},
    {"&#99999999999999999999;", "\357\277\275"},
    {"&#x1F600;", "\360\237\230\200"},
    {"&#1;a", "a"},
    {"&#xfffe;a", "a"},
    {"&#", "&#"},
    {"&#x;", "&#x;"},
    {"&", "&"},
    {"&;", "&;"},
    {"&&amp;", "&&"},
    {"&lt", "<"},
    {"&ltx;", "<x;"},
    {"&notit;", "\302\254it;"},
    {"&notin;", "\342\210\211"},
    {"&NotEqualTilde;", "\342\211\202\314\270"},
    {"&fjlig;", "fj"},
    {"&CounterClockwiseContourIntegral;", "\342\210\263"},
    {"&CounterClockwiseContourIntegral", "&CounterClockwiseContourIntegral"},
    {"&amp;amp;amp;amp;lt;", "<"},
    {"<b>&amp;amp;amp;amp;lt;", "<b>&amp;amp;lt;"},
    {"&EACUTE;", "\303\211"},
    {"<&EACUTE;", "<&EACUTE;"},
    {"&SZLIG;", "SS"},
    {"&FFILIG;", "FFI"},
    {"&nTILDE;", "&nTILDE;"},
    {"&AMP;", "&"},
    {"&Amp;", "&Amp;"},
    {"&aMp", "&aMp"},
    {"&#59;", ";"},
    {"&#60;b", "<b"},
    {"&amp;#39;", "'"},
    {"a\015\012\015\012b\015c", "a b c"},
    {"\033[1;31mred\033[0m", "red"},
    {"\033[xx", "x"},
    {"\342\200\250a\342\200\251b\302\205c", "a b\342\200\246c"},
    {"\302\200\302\223q\302\224", "\342\202\254\"q\""},
    {"\304\262 \305\211 \307\206 \357\254\205", "IJ 'n d\305\276 \305\277t"},
    {"\357\277\243\357\276\236\357\276\241", "\343\202\231\314\204\341\204\200"},
    {"e\314\201\314\243", "\341\272\271\314\201"},
    {"\342\204\253 \342\204\246", "\303\205 \316\251"},
    {"\341\204\200\341\205\241\341\206\250", "\352\260\201"},
    {"\357\273\277\342\201\252\357\277\274x\342\200\213", "x\342\200\213"},
    {"\034 a \037", "a"},
    {"a\342\200\200\342\200\211\343\200\200b", "a b"},
    {"line <i>\012&eacute; &amp;eacute;", "line <i> \303\251 \303\251"},
    {"caf&eacute\344\270\200;", "caf\303\251\344\270\200;"},
};

/* Rows of tokenizer_cases.json whose text was decoded with the wrong character set: ftfy
 * guesses the right one, we do not (docs/text.md). */
static const size_t mojibake_rows[] = {60};

static int is_mojibake_row(size_t row)
{
    for (size_t i = 0; i < sizeof mojibake_rows / sizeof *mojibake_rows; i++)
        if (mojibake_rows[i] == row)
            return 1;
    return 0;
}

typedef hr_status (*clean_fn)(const char *prompt, hr_text *out);

static void check_rows(clean_fn clean, const char *key, int with_mojibake)
{
    size_t row = 0, differing = 0;
    hr_json *json;

    hr_test_ok(
        hr_json_open(HR_TEST_GOLDEN "/tokenizer/tokenizer_cases.json", 1 << 20, &json));
    for (const hr_json_node *n = hr_json_first(hr_json_get(hr_json_root(json), "cases"));
         n != NULL; n = hr_json_next(n), row++) {
        const char *want = hr_json_string(hr_json_get(n, key));
        hr_text out = {0};

        hr_test_ok(clean(hr_json_string(hr_json_get(n, "text")), &out));
        if (with_mojibake && is_mojibake_row(row))
            assert_string_not_equal(out.s, want);
        else if (strcmp(out.s, want) != 0) {
            print_error("row %zu: got '%s', want '%s'\n", row, out.s, want);
            differing++;
        }
        hr_text_free(&out);
    }
    hr_json_close(json);
    assert_int_equal(row, 72);
    assert_int_equal(differing, 0);
}

static void golden_rows_with_ftfy(void **state)
{
    (void)state;
    check_rows(hr_prompt_clean, "clean_ftfy", 1);
}

static void golden_rows_without_ftfy(void **state)
{
    (void)state;
    check_rows(hr_prompt_clean_plain, "clean_noftfy", 0);
}

static void corner_cases_are_python_s(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof corner_cases / sizeof *corner_cases; i++) {
        hr_text out = {0};

        hr_test_ok(hr_prompt_clean(corner_cases[i].prompt, &out));
        assert_string_equal(out.s, corner_cases[i].cleaned);
        hr_text_free(&out);
    }
}

static void cleaned_text_is_appended(void **state)
{
    hr_text out = {0};

    (void)state;
    hr_test_ok(hr_text_add(&out, "style: "));
    hr_test_ok(hr_prompt_clean(" a  cat ", &out));
    assert_string_equal(out.s, "style: a cat");
    hr_text_free(&out);
}

static void empty_prompt_gives_empty_text(void **state)
{
    static const clean_fn cleaners[] = {hr_prompt_clean, hr_prompt_clean_plain};
    static const char *const blanks[] = {"", " ", "\t\n", "\xef\xbb\xbf\x07",
                                         "&#32;&nbsp;"};

    (void)state;
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
            hr_text out = {0};

            if (c == 1 && i == 3)
                continue; /* without ftfy the control characters stay */
            hr_test_ok(cleaners[c](blanks[i], &out));
            assert_non_null(out.s);
            assert_string_equal(out.s, "");
            hr_text_free(&out);
        }
    }
}

static void invalid_utf8_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *prompt, *message;
    } bad[] = {{"cat\xff", "prompt: byte 3 (0xff)"},
               {"\xc3", "prompt: byte 0 (0xc3)"},
               {"a\xc0\x80", "prompt: byte 1 (0xc0)"},
               {"ab\xed\xa0\x80", "prompt: byte 2 (0xed)"},
               {"a\xf4\x90\x80\x80", "prompt: byte 1 (0xf4)"}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hr_text out = {0};

        hr_test_fails(HR_ERR_ARG, bad[i].message, hr_prompt_clean(bad[i].prompt, &out));
        hr_test_fails(HR_ERR_ARG, bad[i].message,
                      hr_prompt_clean_plain(bad[i].prompt, &out));
        assert_null(out.s);
    }
    hr_test_release_log();
}

static void long_prompt_is_cleaned(void **state)
{
    enum { N = 100000 };
    hr_text prompt = {0}, out = {0};

    (void)state;
    for (int i = 0; i < N / 10; i++)
        hr_test_ok(hr_text_add(&prompt, "caf\xc3\xa9 &amp;"));
    hr_test_ok(hr_prompt_clean(prompt.s, &out));
    assert_int_equal(out.length, N / 10 * strlen("caf\xc3\xa9 &"));
    hr_text_free(&prompt);
    hr_text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(golden_rows_with_ftfy, hr_test_leak_teardown),
        cmocka_unit_test_teardown(golden_rows_without_ftfy, hr_test_leak_teardown),
        cmocka_unit_test_teardown(corner_cases_are_python_s, hr_test_leak_teardown),
        cmocka_unit_test_teardown(cleaned_text_is_appended, hr_test_leak_teardown),
        cmocka_unit_test_teardown(empty_prompt_gives_empty_text, hr_test_leak_teardown),
        cmocka_unit_test_teardown(invalid_utf8_is_refused_with_its_place,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(long_prompt_is_cleaned, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
