#include "io/json.h"
#include "support/test_util.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static hr_status parse(const char *text, hr_json **out)
{
    return hr_json_parse("a.json", text, strlen(text), out);
}

static void refused(const char *text, const char *part)
{
    hr_json *json = NULL;

    hr_test_fails(HR_ERR_FORMAT, part, parse(text, &json));
    assert_null(json);
}

static void values_are_found(void **state)
{
    hr_json *json;
    const hr_json_node *root, *node;
    double number;
    bool truth;

    (void)state;
    hr_test_ok(
        parse("{\"a\": 1.5, \"b\": [true, null, \"x\"], \"c\": {\"d\": \"\\u732b\"},"
              " \"n\": null} \n",
              &json));
    root = hr_json_root(json);
    assert_string_equal(hr_json_name(json), "a.json");
    assert_true(hr_json_is_object(root));
    assert_int_equal(hr_json_size(root), 4);
    assert_true(hr_json_number(hr_json_get(root, "a"), &number));
    assert_true(number == 1.5);
    assert_null(hr_json_get(root, "A"));
    assert_null(hr_json_get(root, "n"));
    assert_null(hr_json_get(NULL, "n"));
    assert_null(hr_json_get(hr_json_get(root, "a"), "n"));
    assert_string_equal(hr_json_string(hr_json_get(hr_json_get(root, "c"), "d")), "猫");
    node = hr_json_first(hr_json_get(root, "b"));
    assert_true(hr_json_is_array(hr_json_get(root, "b")));
    assert_true(hr_json_boolean(node, &truth) && truth);
    assert_null(hr_json_string(node));
    assert_false(hr_json_number(node, &number));
    assert_null(hr_json_key(node));
    node = hr_json_next(node);
    assert_true(hr_json_is_null(node));
    node = hr_json_next(node);
    assert_string_equal(hr_json_string(node), "x");
    assert_false(hr_json_boolean(node, &truth));
    assert_null(hr_json_next(node));
    assert_string_equal(hr_json_key(hr_json_first(root)), "a");
    hr_json_close(json);
    hr_json_close(NULL);
}

static void text_that_is_not_json_is_refused(void **state)
{
    (void)state;
    refused("", "a.json:1:1: not valid JSON");
    refused("{\"a\": 1,\n  \"b\" 2}", "a.json:2:");
    refused("{\"a\": 1", "not valid JSON");
    refused("{\"a\": 1,}", "not valid JSON");
    refused("{\"a\": tru}", "not valid JSON");
    refused("{\"a\": 1} x", "a.json:1:10: text after the end");
    refused("[1]", "expected a JSON object");
    refused("{\"a\": \"\xc0\x80\"}", "a.json:1:8: not valid UTF-8");
    refused("{\"a\": \"\xed\xa0\x80\"}", "not valid UTF-8");
    refused("{\"a\": \"b\nc\"}", "a.json:1:9: control character in a string");
    refused("{\"a\":\v1}", "a.json:1:6: control character");
    refused("{\"a\": \"x\\u0000y\"}", "a.json:1:9: NUL in a string");
    refused("{\"a\": \"\\ud800\"}", "not valid JSON");
    refused("{\"a\": \"\\q\"}", "not valid JSON");
}

static void loose_numbers_are_refused(void **state)
{
    static const char *const bad[] = {"01", "-01",  "1.",  "-.5",     "+1",
                                      "1e", "1e+",  "0x1", "--1",     "1-2",
                                      ".5", "1.e2", "NaN", "Infinit", "-Inf"};
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "{\"a\": %s}", bad[i]);
        refused(text, "a.json:1:");
    }
    refused("{\"a\": 1e999}", "too large for a double: key a");
}

static void strict_numbers_are_taken(void **state)
{
    static const char *const good[] = {"0", "-0", "10", "0.5", "-1.25e-3", "1E+2"};
    static const double want[] = {0, 0, 10, 0.5, -1.25e-3, 100};
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        hr_json *json;
        double number = -7;
        snprintf(text, sizeof text, "{\"a\": %s}", good[i]);
        hr_test_ok(parse(text, &json));
        assert_true(hr_json_number(hr_json_get(hr_json_root(json), "a"), &number));
        assert_true(number == want[i]);
        hr_json_close(json);
    }
}

static void duplicate_keys_are_refused(void **state)
{
    char text[2048] = "{";

    (void)state;
    refused("{\"a\": 1, \"b\": 2, \"a\": 1}", "key \"a\" is there twice");
    refused("{\"o\": {\"\\u0061\": 1, \"a\": 1}}", "key \"a\" is there twice");
    for (int i = 0; i < 40; i++)
        snprintf(text + strlen(text), 40, "\"k%d\": 0,", i);
    snprintf(text + strlen(text), 40, "\"k7\": 1}");
    refused(text, "key \"k7\" is there twice");
}

static void deep_nesting_is_refused(void **state)
{
    char text[512];
    hr_json *json;

    (void)state;
    memset(text, 0, sizeof text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', 63);
    memset(text + 68, ']', 63);
    text[131] = '}';
    hr_test_ok(parse(text, &json));
    hr_json_close(json);
    memset(text, 0, sizeof text);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', 64);
    refused(text, "nested deeper than 64");
}

/* Before they take memory: a value of two characters takes a hundred bytes. */
static void too_many_values_are_refused(void **state)
{
    enum { N = 1 << 22 };
    hr_text text = {0};

    (void)state;
    hr_test_ok(hr_text_add(&text, "{\"a\": [0"));
    for (int i = 0; i < N; i++)
        hr_test_ok(hr_text_append(&text, ",0", 2));
    hr_test_ok(hr_text_add(&text, "]}"));
    refused(text.s, "more than 4194304 values");
    hr_text_free(&text);
}

static void typed_members(void **state)
{
    hr_json *json;
    const hr_json_node *root;
    int64_t whole = 5, list[4];
    double number = 5, numbers[4];
    bool truth = false, truths[4];
    const char *text = "default";
    size_t n = 9;

    (void)state;
    hr_test_ok(
        parse("{\"i\": -3, \"f\": 0.25, \"t\": true, \"s\": \"x\", \"l\": [1, 2, 3],"
              " \"tt\": [true, false], \"null\": null}",
              &json));
    root = hr_json_root(json);
    hr_test_ok(hr_json_read_i64(json, root, "absent", 0, 9, &whole));
    hr_test_ok(hr_json_read_i64(json, root, "null", 0, 9, &whole));
    hr_test_ok(hr_json_read_f64(json, root, "absent", &number));
    hr_test_ok(hr_json_read_bool(json, root, "absent", &truth));
    hr_test_ok(hr_json_read_string(json, root, "absent", &text));
    hr_test_ok(hr_json_read_f64_list(json, root, "absent", 4, numbers, &n));
    hr_test_ok(hr_json_read_i64_list(json, root, "absent", 4, list, &n));
    hr_test_ok(hr_json_read_bool_list(json, root, "absent", 4, truths, &n));
    assert_true(whole == 5 && number == 5 && !truth && n == 9);
    assert_string_equal(text, "default");

    hr_test_ok(hr_json_read_i64(json, root, "i", -3, -3, &whole));
    hr_test_ok(hr_json_read_f64(json, root, "f", &number));
    hr_test_ok(hr_json_read_bool(json, root, "t", &truth));
    hr_test_ok(hr_json_read_string(json, root, "s", &text));
    assert_true(whole == -3 && number == 0.25 && truth);
    assert_string_equal(text, "x");
    hr_test_ok(hr_json_read_f64_list(json, root, "l", 3, numbers, &n));
    assert_true(n == 3 && numbers[0] == 1 && numbers[2] == 3);
    hr_test_ok(hr_json_read_i64_list(json, root, "l", 3, list, &n));
    assert_true(n == 3 && list[1] == 2);
    hr_test_ok(hr_json_read_bool_list(json, root, "tt", 2, truths, &n));
    assert_true(n == 2 && truths[0] && !truths[1]);
    hr_json_close(json);
}

static void wrong_members_name_path_found_and_expected(void **state)
{
    hr_json *json;
    const hr_json_node *root, *deep;
    int64_t whole, list[2];
    double number;
    bool truth;
    const char *text;
    size_t n;

    (void)state;
    hr_test_ok(parse("{\"runs\": [{}, {\"x\": {\"steps\": 2.5, \"big\": 9007199254740993,"
                     " \"l\": [1, 2, 3], \"m\": [1, \"a\"], \"o\": {}}}], \"s\": \"hi\"}",
                     &json));
    root = hr_json_root(json);
    deep = hr_json_get(hr_json_next(hr_json_first(hr_json_get(root, "runs"))), "x");
    hr_test_fails(HR_ERR_FORMAT,
                  "a.json: runs[1].x.steps: found 2.5, expected a whole number",
                  hr_json_read_i64(json, deep, "steps", 0, 9, &whole));
    hr_test_fails(HR_ERR_FORMAT,
                  "x.big: found 9007199254740992, expected a whole number below 2^53",
                  hr_json_read_i64(json, deep, "big", 0, INT64_MAX, &whole));
    hr_test_fails(HR_ERR_FORMAT, "x.l: found a list of 3, expected at most 2",
                  hr_json_read_i64_list(json, deep, "l", 2, list, &n));
    hr_test_fails(HR_ERR_FORMAT, "x.m[1]: found \"a\", expected a whole number",
                  hr_json_read_i64_list(json, deep, "m", 2, list, &n));
    hr_test_fails(HR_ERR_FORMAT, "x.m[1]: found \"a\", expected a number",
                  hr_json_read_f64_list(json, deep, "m", 2, (double[2]){0}, &n));
    hr_test_fails(HR_ERR_FORMAT, "x.m[0]: found 1, expected true or false",
                  hr_json_read_bool_list(json, deep, "m", 2, (bool[2]){0}, &n));
    hr_test_fails(HR_ERR_FORMAT, "x.o: found an object of 0, expected a list",
                  hr_json_read_f64_list(json, deep, "o", 2, (double[2]){0}, &n));
    hr_test_fails(HR_ERR_FORMAT, "a.json: s: found \"hi\", expected a number",
                  hr_json_read_f64(json, root, "s", &number));
    hr_test_fails(HR_ERR_FORMAT, "a.json: s: found \"hi\", expected true or false",
                  hr_json_read_bool(json, root, "s", &truth));
    hr_test_fails(HR_ERR_FORMAT, "runs: found a list of 2, expected a string",
                  hr_json_read_string(json, root, "runs", &text));
    hr_test_fails(HR_ERR_FORMAT, "x.steps: found 2.5, expected a whole number",
                  hr_json_read_i64(json, deep, "steps", 0, 1, &whole));
    hr_json_close(json);
    hr_test_ok(parse("{\"n\": 10}", &json));
    hr_test_fails(HR_ERR_FORMAT, "a.json: n: found 10, expected 0..9",
                  hr_json_read_i64(json, hr_json_root(json), "n", 0, 9, &whole));
    hr_json_close(json);
}

static void files(void **state)
{
    const char *folder = hr_test_folder();
    const char *path = hr_test_path(folder, "a.json");
    hr_json *json;

    (void)state;
    hr_test_fails(HR_ERR_IO, path, hr_json_open(path, 100, &json));
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_json_open(folder, 100, &json));
    hr_test_write(path, "{\"a\": 1}", 8);
    hr_test_fails(HR_ERR_FORMAT, "8 bytes, at most 7", hr_json_open(path, 7, &json));
    hr_test_ok(hr_json_open(path, 8, &json));
    assert_string_equal(hr_json_name(json), path);
    hr_json_close(json);
}

/* Whatever bytes come, the reader answers; and without leaving anything behind. */
static void mutations_do_not_crash(void **state)
{
    static const char seed_text[] =
        "{\"a\": [1, -2.5e3, {\"b\\u00e9\": \"x\\ud83d\\ude00\\n\"}], \"c\": {\"d\": "
        "null,"
        " \"e\": true}, \"long\": [0, 1, 2, 3], \"\xe7\x8c\xab\": \"\xf0\x9f\x90\xb1\"}";
    static const char bits[] = "{}[]\",:\\u0e9-+.tfn\0 \x80\xff";
    char text[sizeof seed_text];
    uint32_t random = 12345;
    size_t taken = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t n = sizeof seed_text - 1;
        hr_json *json;
        memcpy(text, seed_text, sizeof seed_text);
        for (int k = 0; k <= round % 4; k++) {
            random = random * 1664525U + 1013904223U;
            text[(random >> 8) % n] = bits[(random >> 24) % (sizeof bits - 1)];
        }
        if (round % 5 == 0)
            n = (random >> 4) % n;
        hr_test_catch_log();
        if (hr_json_parse("m", text, n, &json) == HR_OK) {
            taken++;
            assert_int_equal(hr_test_log_lines(), 0);
            hr_json_close(json);
        } else {
            assert_int_equal(hr_test_log_lines(), 1);
        }
    }
    hr_test_release_log();
    assert_in_range(taken, 100, 15000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(values_are_found, hr_test_leak_teardown),
        cmocka_unit_test_teardown(text_that_is_not_json_is_refused,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(loose_numbers_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(strict_numbers_are_taken, hr_test_leak_teardown),
        cmocka_unit_test_teardown(duplicate_keys_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(deep_nesting_is_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(too_many_values_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(typed_members, hr_test_leak_teardown),
        cmocka_unit_test_teardown(wrong_members_name_path_found_and_expected,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(files, hr_test_leak_teardown),
        cmocka_unit_test_teardown(mutations_do_not_crash, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
