/* Token ids against the reference's fast tokenizer, and damaged tokenizer folders. */
#include "support/test_util.h"

#include "base/memory.h"
#include "base/text.h"
#include "io/json.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN HR_TEST_GOLDEN "/tokenizer"
enum { MAX_IDS = 512, PIECES = 1000, VOCAB = 1004, UNKNOWN = 3 };

/* A new folder with copies of these two files; NULL leaves one out. */
static const char *make_folder(const char *spiece, const char *json)
{
    const char *folder = hr_test_folder();
    const char *const from[] = {spiece, json};
    static const char *const names[] = {"spiece.model", "tokenizer.json"};

    for (int i = 0; i < 2; i++) {
        size_t n;
        char *data;

        if (from[i] == NULL)
            continue;
        data = hr_test_read(from[i], &n);
        hr_test_write(hr_test_path(folder, names[i]), data, n);
        hr_free(data);
    }
    return folder;
}

static const char *golden_folder(void)
{
    return make_folder(GOLDEN "/v4/spiece.model", GOLDEN "/v4/tokenizer.json");
}

static void check_ids(const hr_tokenizer *tokenizer, const char *text, size_t max_ids,
                      const hr_json_node *want)
{
    int32_t ids[MAX_IDS];
    size_t n, i = 0;
    double value;
    bool was_cut;

    hr_test_ok(hr_tokenizer_encode(tokenizer, text, max_ids, ids, &n, &was_cut));
    assert_int_equal(n, hr_json_size(want));
    for (const hr_json_node *id = hr_json_first(want); id != NULL;
         id = hr_json_next(id), i++) {
        assert_true(hr_json_number(id, &value));
        if (ids[i] != (int32_t)value)
            print_error("'%s': id %zu\n", text, i);
        assert_int_equal(ids[i], (int32_t)value);
    }
}

static void check_golden_rows(const char *folder)
{
    hr_tokenizer *tokenizer;
    hr_json *json;
    size_t rows = 0;

    hr_test_ok(hr_tokenizer_open(folder, &tokenizer));
    assert_int_equal(hr_tokenizer_vocab_size(tokenizer), VOCAB);
    hr_test_ok(hr_json_open(GOLDEN "/tokenizer_cases.json", 1 << 20, &json));
    for (const hr_json_node *row =
             hr_json_first(hr_json_get(hr_json_root(json), "cases"));
         row != NULL; row = hr_json_next(row), rows++) {
        const char *with_ftfy = hr_json_string(hr_json_get(row, "clean_ftfy"));
        const hr_json_node *without = hr_json_get(row, "ids_noftfy");
        const hr_json_node *short_ids = hr_json_get(row, "ids_ftfy_max64");

        check_ids(tokenizer, with_ftfy, MAX_IDS, hr_json_get(row, "ids_ftfy"));
        if (short_ids != NULL)
            check_ids(tokenizer, with_ftfy, 64, short_ids);
        if (without != NULL)
            check_ids(tokenizer, hr_json_string(hr_json_get(row, "clean_noftfy")),
                      MAX_IDS, without);
    }
    assert_int_equal(rows, 72);
    hr_json_close(json);
    hr_tokenizer_close(tokenizer);
}

static void golden_rows_by_the_json_of_transformers_4(void **state)
{
    (void)state;
    check_golden_rows(golden_folder());
}

static void golden_rows_by_the_json_with_whitespace_split(void **state)
{
    (void)state;
    check_golden_rows(
        make_folder(GOLDEN "/v4/spiece.model", GOLDEN "/ws/tokenizer.json"));
}

static void was_cut_says_whether_text_was_lost(void **state)
{
    int32_t ids[8];
    hr_tokenizer *tokenizer;
    bool was_cut;
    size_t n;

    (void)state;
    hr_test_ok(hr_tokenizer_open(golden_folder(), &tokenizer));
    hr_test_ok(hr_tokenizer_encode(tokenizer, "a cat", 4, ids, &n, &was_cut));
    assert_int_equal(n, 4);
    assert_false(was_cut);
    hr_test_ok(hr_tokenizer_encode(tokenizer, "a cat", 3, ids, &n, &was_cut));
    assert_int_equal(n, 3);
    assert_int_equal(ids[2], 1);
    assert_true(was_cut);
    hr_test_ok(
        hr_tokenizer_encode(tokenizer, "a </s>cat</s> <pad>", 3, ids, &n, &was_cut));
    assert_int_equal(n, 3);
    assert_int_equal(ids[1], 1);
    assert_true(was_cut);
    hr_test_ok(hr_tokenizer_encode(tokenizer, "a cat", 1, ids, &n, &was_cut));
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 1);
    assert_true(was_cut);
    hr_test_ok(hr_tokenizer_encode(tokenizer, "", 1, ids, &n, &was_cut));
    assert_int_equal(n, 1);
    assert_false(was_cut);
    hr_tokenizer_close(tokenizer);
}

static void hundred_thousand_characters_are_cut(void **state)
{
    enum { N = 100000 };
    hr_text text = {0};
    int32_t ids[MAX_IDS];
    hr_tokenizer *tokenizer;
    bool was_cut;
    size_t n;

    (void)state;
    for (int i = 0; i < N / 4; i++)
        hr_test_ok(hr_text_add(&text, "cat "));
    hr_test_ok(hr_tokenizer_open(golden_folder(), &tokenizer));
    hr_test_ok(hr_tokenizer_encode(tokenizer, text.s, MAX_IDS, ids, &n, &was_cut));
    assert_int_equal(n, MAX_IDS);
    assert_int_equal(ids[MAX_IDS - 1], 1);
    assert_true(was_cut);
    hr_text_free(&text);
    hr_tokenizer_close(tokenizer);
}

static void without_json_the_library_s_ids_are_taken(void **state)
{
    const char *folder = make_folder(GOLDEN "/v4/spiece.model", NULL);
    int32_t ids[MAX_IDS];
    hr_tokenizer *tokenizer;
    bool was_cut;
    size_t n;

    (void)state;
    hr_test_catch_log();
    hr_test_ok(hr_tokenizer_open(folder, &tokenizer));
    assert_int_equal(hr_test_log_lines(), 1);
    assert_non_null(strstr(hr_test_log_line(0), "tokenizer.json: not there"));
    hr_test_release_log();
    assert_int_equal(hr_tokenizer_vocab_size(tokenizer), PIECES);
    hr_test_ok(hr_tokenizer_encode(tokenizer, "a cat", MAX_IDS, ids, &n, &was_cut));
    assert_int_equal(n, 4);
    /* ids_ftfy_sentencepiece of the golden row "a </s> b" */
    hr_test_ok(hr_tokenizer_encode(tokenizer, "a </s> b", MAX_IDS, ids, &n, &was_cut));
    assert_int_equal(n, 9);
    hr_tokenizer_close(tokenizer);
}

/* The file's text with the first `old` replaced, as a new folder's tokenizer.json. */
static const char *folder_with_json_edit(const char *old, const char *new)
{
    size_t n;
    char *data = hr_test_read(GOLDEN "/v4/tokenizer.json", &n), *at = strstr(data, old);
    const char *folder = make_folder(GOLDEN "/v4/spiece.model", NULL);
    hr_text edited = {0};

    assert_non_null(at);
    hr_test_ok(hr_text_append(&edited, data, (size_t)(at - data)));
    hr_test_ok(hr_text_add(&edited, new));
    hr_test_ok(hr_text_add(&edited, at + strlen(old)));
    hr_test_write(hr_test_path(folder, "tokenizer.json"), edited.s, edited.length);
    hr_text_free(&edited);
    hr_free(data);
    return folder;
}

static void unknown_id_is_the_json_s(void **state)
{
    hr_tokenizer *tokenizer;
    int32_t ids[MAX_IDS];
    bool was_cut;
    size_t n;

    (void)state;
    hr_test_ok(hr_tokenizer_open(folder_with_json_edit("\"unk_id\": 3", "\"unk_id\":2"),
                                 &tokenizer));
    hr_test_ok(hr_tokenizer_encode(tokenizer, "\xe2\x98\x83\xe2\x98\x83", MAX_IDS, ids,
                                   &n, &was_cut));
    assert_int_equal(n, 3); /* both unknown characters are one id */
    assert_int_equal(ids[1], 2);
    hr_tokenizer_close(tokenizer);
}

static void foreign_or_damaged_json_is_refused(void **state)
{
    static const struct {
        const char *old, *new, *message;
    } edits[] = {
        {"\"Unigram\"", "\"BPE\"", "model.type: found BPE"},
        {"\"vocab\": [", "\"vocab\": [[\"x\", 1],", "not of one tokenizer"},
        {"\"content\": \"<pad>\"", "\"content\": \"\"", "added_tokens"},
        {"\"id\": 1003", "\"id\": -7", "id"},
        {"\"id\": 1003", "\"id\": 99999999999", "id"},
        {"\"added_tokens\": [", "\"added_tokens\": 3, \"x\": [", "added_tokens"},
        {"\"model\": {", "\"model\": {{", "tokenizer.json"},
        {"\"added_tokens\"", "added_tokens", "tokenizer.json"},
    };
    hr_tokenizer *tokenizer = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        const char *folder = folder_with_json_edit(edits[i].old, edits[i].new);

        hr_test_fails(HR_ERR_MODEL, edits[i].message,
                      hr_tokenizer_open(folder, &tokenizer));
        assert_null(tokenizer);
    }
    hr_test_release_log();
}

static void cut_json_is_refused(void **state)
{
    const char *folder = golden_folder(), *path = hr_test_path(folder, "tokenizer.json");
    hr_tokenizer *tokenizer = NULL;
    char *data;
    size_t n;

    (void)state;
    data = hr_test_read(path, &n);
    while (n > 0 && (data[n - 1] == '\n' || data[n - 1] == ' '))
        n--;
    for (size_t cut = 0; cut < n; cut = cut < n / 2 ? cut * 3 + 1 : cut + n / 7) {
        hr_test_write(path, data, cut);
        hr_test_fails(HR_ERR_MODEL, "tokenizer.json",
                      hr_tokenizer_open(folder, &tokenizer));
    }
    hr_test_write(path, data, n - 1);
    hr_test_fails(HR_ERR_MODEL, "tokenizer.json", hr_tokenizer_open(folder, &tokenizer));
    hr_test_release_log();
    assert_null(tokenizer);
    hr_free(data);
}

/* Nothing but our one line may be written: the library has a log of its own. */
static void open_damaged(const char *folder)
{
    hr_tokenizer *tokenizer = NULL;
    int saved = dup(STDERR_FILENO);
    FILE *noise = tmpfile();

    assert_non_null(noise);
    fflush(stderr);
    dup2(fileno(noise), STDERR_FILENO);
    hr_test_fails(HR_ERR_MODEL, "spiece.model", hr_tokenizer_open(folder, &tokenizer));
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    fseek(noise, 0, SEEK_END);
    assert_int_equal(ftell(noise), 0);
    fclose(noise);
    assert_null(tokenizer);
}

static void damaged_spiece_is_refused(void **state)
{
    const char *folder = golden_folder(), *path = hr_test_path(folder, "spiece.model");
    size_t n;
    char *data = hr_test_read(path, &n);

    (void)state;
    for (size_t cut = 0; cut < n; cut = cut < n / 2 ? cut * 2 + 1 : cut + n / 5) {
        hr_test_write(path, data, cut);
        open_damaged(folder);
    }
    /* The first six pieces alone are a model to the library. */
    hr_test_write(path, data, 88);
    open_damaged(folder);
    hr_test_write(path, "garbage, not a model", 20);
    open_damaged(folder);
    /* In the normalization table: a reference far outside. */
    memset(data + n / 2, 0x7f, 64);
    hr_test_write(path, data, n);
    open_damaged(folder);
    hr_test_release_log();
    hr_free(data);
}

static void missing_files_are_named(void **state)
{
    const char *empty = hr_test_folder();
    hr_tokenizer *tokenizer = NULL;

    (void)state;
    hr_test_fails(HR_ERR_MODEL, "spiece.model: No such file",
                  hr_tokenizer_open(empty, &tokenizer));
    hr_test_fails(
        HR_ERR_MODEL, "spiece.model",
        hr_tokenizer_open(make_folder(NULL, GOLDEN "/v4/tokenizer.json"), &tokenizer));
    hr_test_release_log();
    assert_null(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(golden_rows_by_the_json_of_transformers_4,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(golden_rows_by_the_json_with_whitespace_split,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(was_cut_says_whether_text_was_lost,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(hundred_thousand_characters_are_cut,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(without_json_the_library_s_ids_are_taken,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(unknown_id_is_the_json_s, hr_test_leak_teardown),
        cmocka_unit_test_teardown(foreign_or_damaged_json_is_refused,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(cut_json_is_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(damaged_spiece_is_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(missing_files_are_named, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
