/* Receipts: what is written comes back, what is damaged is refused, and a single bit is
 * found. */
#include "support/test_util.h"

#include "base/memory.h"
#include "io/receipt.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STEPS = 8, LATENT_FRAMES = 15, FRAMES = 57 };

static hr_hash hash_of(int64_t kind, int64_t a, int64_t b)
{
    const int64_t what[3] = {kind, a, b};

    return hr_hash_bytes(what, sizeof what);
}

static void set_line(hr_receipt *receipt, const char *group, const char *key,
                     const char *value)
{
    hr_test_ok(hr_receipt_set(receipt, group, key, value));
}

static hr_receipt *make(void)
{
    hr_receipt *receipt;

    hr_test_ok(hr_receipt_create(STEPS, LATENT_FRAMES, FRAMES, &receipt));
    for (int64_t step = 0; step < STEPS; step++)
        for (int64_t f = 0; f < LATENT_FRAMES; f++)
            hr_receipt_set_latent(receipt, step, f, hash_of(0, step, f));
    for (int64_t f = 0; f < FRAMES; f++)
        hr_receipt_set_frame(receipt, f, hash_of(1, 0, f));
    set_line(receipt, "job", "prompt", "a \"red\" cat\n\\ \xc3\xa9");
    set_line(receipt, "job", "sampler.seed", "7");
    set_line(receipt, "model", "transformer", "99aa06d3014798d86001c324468d497f");
    set_line(receipt, "machine", "layout", "1 window");
    set_line(receipt, "machine", "layout", "2 windows"); /* the new value counts */
    return receipt;
}

static const char *written(const hr_receipt *receipt)
{
    const char *path = hr_test_path(hr_test_folder(), "receipt.json");

    hr_test_ok(hr_receipt_write(receipt, path));
    return path;
}

/* What is different from make(), both ways around and after a trip through a file. Frees
 * `other`. */
static void expect_difference(hr_receipt *other, const char *expected)
{
    hr_receipt *own = make(), *back;
    hr_text text = {0};

    hr_test_ok(hr_receipt_read(written(other), &back));
    hr_test_ok(hr_receipt_compare(back, other, &text));
    assert_int_equal(text.length, 0);
    hr_test_ok(hr_receipt_compare(own, back, &text));
    assert_string_equal(text.length > 0 ? text.s : "", expected);
    hr_test_ok(hr_receipt_compare(back, own, &text));
    assert_int_equal(text.length > 0, *expected != '\0');
    hr_text_free(&text);
    hr_receipt_free(own);
    hr_receipt_free(back);
    hr_receipt_free(other);
}

static void test_equal(void **state)
{
    hr_receipt *other = make();
    int64_t n[3];

    (void)state;
    set_line(other, "machine", "layout", "4 windows"); /* does not count */
    set_line(other, "machine", "threads", "2");
    hr_receipt_sizes(other, &n[0], &n[1], &n[2]);
    assert_true(n[0] == STEPS && n[1] == LATENT_FRAMES && n[2] == FRAMES);
    expect_difference(other, "");
}

static void test_one_bit_of_a_latent(void **state)
{
    hr_receipt *other = make();
    hr_hash flipped = hash_of(0, 6, 12);

    (void)state;
    flipped.low ^= 1U << 17;
    hr_receipt_set_latent(other, 6, 12, flipped);
    hr_receipt_set_latent(other, 7, 0, flipped); /* a later one */
    hr_receipt_set_frame(other, 3, flipped);
    expect_difference(other, "step 7: latent frame 12 differs");
}

static void test_one_bit_of_a_frame(void **state)
{
    hr_receipt *other = make();
    hr_hash flipped = hash_of(1, 0, 56);

    (void)state;
    flipped.high ^= (uint64_t)1 << 63;
    hr_receipt_set_frame(other, 56, flipped);
    expect_difference(other, "frame 56 differs");
}

static void test_missing(void **state)
{
    hr_receipt *other = make();

    (void)state;
    hr_receipt_set_latent(other, 0, 1, (hr_hash){0});
    expect_difference(other, "step 1: latent frame 1 is missing in the second");
}

static void test_heads(void **state)
{
    hr_receipt *other = make();

    (void)state;
    set_line(other, "job", "sampler.seed", "8");
    expect_difference(other,
                      "job sampler.seed: 7 and 8; every latent and frame is the same");
    other = make();
    hr_receipt_set_latent(other, 0, 0, hash_of(5, 5, 5));
    set_line(other, "model", "transformer", "\x1b[31m\xc2\x9b");
    expect_difference(other, "step 1: latent frame 0 differs (model transformer: "
                             "99aa06d3014798d86001c324468d497f and ?[31m?)");
    other = make();
    set_line(other, "job", "windows.frames",
             "a value that is longer than what fits into a line that a person reads");
    expect_difference(other, "job windows.frames: none and a value that is longer than "
                             "what fits into a line that a per...; every latent and "
                             "frame is the same");
}

static void test_sizes(void **state)
{
    hr_receipt *other;

    (void)state;
    hr_test_ok(hr_receipt_create(STEPS, LATENT_FRAMES + 1, FRAMES + 4, &other));
    set_line(other, "job", "sampler.seed", "7");
    expect_difference(other, "latent frames: 15 and 16 (job prompt: a \"red\" cat?\\ "
                             "\xc3\xa9 and none)");
    hr_test_ok(hr_receipt_create(0, 0, 0, &other)); /* a file like any other */
    expect_difference(other, "steps: 8 and 0 (job prompt: a \"red\" cat?\\ \xc3\xa9 and "
                             "none)");
}

/* The text of a receipt with the first `from` replaced by `to`. */
static void write_changed(const char *path, const char *text, const char *from,
                          const char *to)
{
    const char *at = strstr(text, from);
    hr_text changed = {0};

    assert_non_null(at);
    hr_test_ok(hr_text_append(&changed, text, (size_t)(at - text)));
    hr_test_ok(hr_text_add(&changed, to));
    hr_test_ok(hr_text_add(&changed, at + strlen(from)));
    hr_test_write(path, changed.s, changed.length);
    hr_text_free(&changed);
}

static void test_damaged(void **state)
{
    static const char *const cases[][3] = {
        {"haloreel receipt 1", "haloreel receipt 2", "format: found"},
        {"\"haloreel receipt 1\"", "1", "no format, expected"},
        {"\"format\"", "\"form\"", "no format, expected \"haloreel receipt 1\""},
        {"\"steps\": 8", "\"steps\": 9", "latent_hashes: found 8 lines, expected 9"},
        {"\"steps\": 8", "\"steps\": -8", "steps: found -8"},
        {"\"steps\": 8", "\"steps\": 1e18", "steps: found 1e+18"},
        {"\"steps\": 8", "\"steps\": null", "no steps"},
        {"_frames\": 15", "_frames\": 16", "latent_hashes[0]: not a line of 16 hashes"},
        {"_frames\": 15", "_frames\": 0", "latent_hashes[0]: not a line of 0 hashes"},
        {"\"frames\": 57", "\"frames\": 10485760",
         "frame_hashes: found 57 lines, expected 10485760"},
        {"\"job\"", "\"jab\"", "no group job"},
        {"\"7\"", "7", "job.sampler.seed: not a string"},
        {"latent_hashes", "latent_hushes", "no list latent_hashes"},
        {"\"frame_hashes\": [", "\"frame_hashes\": [3, ", "found 58 lines"},
    };
    hr_receipt *receipt = make(), *back = NULL;
    const char *path = written(receipt);
    size_t n_bytes;
    char *text = hr_test_read(path, &n_bytes), hash[HR_HASH_TEXT_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_changed(path, text, cases[i][0], cases[i][1]);
        hr_test_fails(HR_ERR_FORMAT, cases[i][2], hr_receipt_read(path, &back));
    }
    hr_hash_text(hash_of(0, 2, 14), hash);
    write_changed(path, text, hash, "99aa06d3014798d86001c324468d497G");
    hr_test_fails(HR_ERR_FORMAT, "latent_hashes[2]: number 14 is not a hash of 32",
                  hr_receipt_read(path, &back));
    hr_test_fails(HR_ERR_IO, "none: No such file",
                  hr_receipt_read(hr_test_path(hr_test_folder(), "none"), &back));
    assert_null(back);
    hr_test_release_log();
    hr_free(text);
    hr_receipt_free(receipt);
}

/* Cut anywhere, or with any byte changed: one line and a status, or a receipt that can be
 * compared; never a crash. */
static void test_garbled(void **state)
{
    hr_receipt *receipt = make(), *back;
    int fd = memfd_create("garbled", MFD_CLOEXEC); /* a disk would be waited for */
    char path[32];
    hr_text difference = {0};
    size_t n_bytes, n_read = 0;
    char *text = hr_test_read(written(receipt), &n_bytes);
    uint32_t random = 99;

    (void)state;
    assert_true(fd >= 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    for (size_t n = 0; n + 2 < n_bytes; n += n < 1200 ? 7 : 211) {
        hr_test_write(path, text, n);
        hr_test_fails(HR_ERR_FORMAT, "", hr_receipt_read(path, &back));
    }
    for (int i = 0; i < 1000; i++) {
        size_t at = (random >> 8) % (i % 2 == 0 ? 700 : n_bytes);
        char before = text[at];
        random = random * 1664525U + 1013904223U;
        text[at] = (char)(random >> 24);
        hr_test_write(path, text, n_bytes);
        text[at] = before;
        hr_test_catch_log();
        if (hr_receipt_read(path, &back) != HR_OK) {
            assert_int_equal(hr_test_log_lines(), 1);
            continue;
        }
        n_read++;
        hr_test_ok(hr_receipt_compare(receipt, back, &difference));
        hr_receipt_free(back);
    }
    assert_true(n_read > 0);
    close(fd);
    hr_test_release_log();
    hr_text_free(&difference);
    hr_free(text);
    hr_receipt_free(receipt);
}

/* As text of one line each, whatever the values. */
static void test_lines(void **state)
{
    hr_receipt *receipt = make();
    hr_text text = {0};

    (void)state;
    hr_test_ok(hr_receipt_add_lines(receipt, "job", &text));
    assert_string_equal(text.s, "prompt\ta \"red\" cat?\\ \xc3\xa9\nsampler.seed\t7\n");
    hr_text_free(&text);
    hr_test_ok(hr_receipt_add_lines(receipt, "model", &text));
    assert_string_equal(text.s, "transformer\t99aa06d3014798d86001c324468d497f\n");
    hr_text_free(&text);
    hr_test_ok(hr_receipt_add_lines(receipt, "nothing", &text));
    assert_null(text.s);
    hr_receipt_free(receipt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_equal, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_one_bit_of_a_latent, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_one_bit_of_a_frame, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_missing, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_heads, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_lines, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_sizes, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_damaged, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_garbled, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
