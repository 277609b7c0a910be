/* Models made to lead the SentencePiece library outside of its memory. */
#include "support/test_util.h"

#include "base/text.h"
#include "model/sentencepiece_check.h"

#include <string.h>

enum { N_UNITS = 512, VALUE = 0x100, TOP = (int)0x80000000U };
enum { PIECE_TAG = 0x0a, TRAINER_TAG = 0x12, NORMALIZER_TAG = 0x1a, CHARSMAP_TAG = 0x12 };

static void add_u32(hr_text *out, uint32_t value)
{
    const char bytes[4] = {(char)value, (char)(value >> 8), (char)(value >> 16),
                           (char)(value >> 24)};

    hr_test_ok(hr_text_append(out, bytes, sizeof bytes));
}

static void add_varint(hr_text *out, uint64_t value)
{
    char byte;

    do {
        byte = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        hr_test_ok(hr_text_append(out, &byte, 1));
        value >>= 7;
    } while (value > 0);
}

static void add_bytes(hr_text *out, uint64_t tag, const hr_text *content)
{
    add_varint(out, tag);
    add_varint(out, content->length);
    hr_test_ok(
        hr_text_append(out, content->length > 0 ? content->s : "", content->length));
}

/* The way from unit `i` to the block at `to`. */
static uint32_t way(uint32_t i, uint32_t to)
{
    return (i ^ to) << 10;
}

/* A normalizer with this trie and replacements. */
static hr_text normalizer(const uint32_t units[N_UNITS], const char *replacements,
                          size_t n)
{
    hr_text map = {0}, out = {0};

    add_u32(&map, N_UNITS * 4);
    for (int i = 0; i < N_UNITS; i++)
        add_u32(&map, units[i]);
    hr_test_ok(hr_text_append(&map, replacements, n));
    add_bytes(&out, CHARSMAP_TAG, &map);
    hr_text_free(&map);
    return out;
}

/* A model of a trainer of this type and a normalizer, which is freed. */
static hr_text model_of(uint64_t type, uint64_t tag, hr_text *rules)
{
    hr_text out = {0}, trainer = {0}, empty = {0};

    add_varint(&trainer, 3 << 3);
    add_varint(&trainer, type);
    add_bytes(&out, TRAINER_TAG, &trainer);
    if (tag != NORMALIZER_TAG)
        add_bytes(&out, NORMALIZER_TAG, &empty);
    add_bytes(&out, tag, rules);
    hr_text_free(&trainer);
    hr_text_free(rules);
    return out;
}

static void is_refused(hr_text model, const char *part)
{
    hr_test_fails(HR_ERR_MODEL, part,
                  hr_sentencepiece_check("spiece.model", model.s, model.length));
    hr_text_free(&model);
    hr_test_release_log();
}

static void is_taken(hr_text model)
{
    hr_test_ok(hr_sentencepiece_check("spiece.model", model.s, model.length));
    hr_text_free(&model);
}

/* 'a' becomes the first replacement. */
static void sound_trie(uint32_t units[N_UNITS])
{
    for (int i = 0; i < N_UNITS; i++)
        units[i] = (uint32_t)TOP;
    units[0] = way(0, 256);
    units[256 ^ 'a'] = way(256 ^ 'a', 1) | VALUE | 'a';
}

static void a_sound_table_is_taken(void **state)
{
    uint32_t units[N_UNITS];
    hr_text rules;

    (void)state;
    sound_trie(units);
    rules = normalizer(units, "b", 2);
    is_taken(model_of(1, NORMALIZER_TAG, &rules));
}

/* The library reads the root without looking at the bit that marks values. */
static void the_root_is_a_unit_whatever_its_bits(void **state)
{
    uint32_t units[N_UNITS];
    hr_text rules;

    (void)state;
    sound_trie(units);
    units[0] = (uint32_t)TOP | 0x1fffffU << 10;
    rules = normalizer(units, "b", 2);
    is_refused(model_of(1, NORMALIZER_TAG, &rules), "normalization table");
}

/* The library has room for 32 matches at one place, and counts on. */
static void a_trie_that_leads_into_itself_is_refused(void **state)
{
    uint32_t units[N_UNITS];
    hr_text rules;

    (void)state;
    sound_trie(units);
    units[256 ^ 'a'] = way(256 ^ 'a', 256) | VALUE | 'a';
    rules = normalizer(units, "b", 2);
    is_refused(model_of(1, NORMALIZER_TAG, &rules), "normalization table");
}

/* A way down of so many units: the k-th is at 384 + k, below a block at 256 + k. */
static hr_text chain(uint32_t n_links)
{
    const uint32_t label = 256 ^ 384;
    uint32_t units[N_UNITS], at = 0;

    sound_trie(units);
    units[0] = 0;
    units[256 ^ 'a'] = (uint32_t)TOP;
    for (uint32_t k = 0; k < n_links; k++) {
        units[at] |= way(at, 256 + k);
        at = 384 + k;
        units[at] = label;
    }
    units[at] |= way(at, 1);
    return normalizer(units, "b", 2);
}

static void ways_of_31_bytes_fit_and_of_32_do_not(void **state)
{
    hr_text fits = chain(31), deep = chain(32);

    (void)state;
    is_taken(model_of(1, NORMALIZER_TAG, &fits));
    is_refused(model_of(1, NORMALIZER_TAG, &deep), "normalization table");
}

static void long_replacements_are_refused(void **state)
{
    static char text[130];
    uint32_t units[N_UNITS];
    hr_text rules;

    (void)state;
    memset(text, 'b', 129);
    sound_trie(units);
    rules = normalizer(units, text, 130);
    is_refused(model_of(1, NORMALIZER_TAG, &rules), "normalization table");
    rules = normalizer(units, text + 1, 129);
    is_taken(model_of(1, NORMALIZER_TAG, &rules));
}

/* The library takes the lower 32 bits of a tag. */
static void a_hidden_normalizer_is_found(void **state)
{
    uint32_t units[N_UNITS];
    hr_text rules;

    (void)state;
    sound_trie(units);
    units[0] = 0x1fffffU << 10;
    rules = normalizer(units, "b", 2);
    is_refused(model_of(1, NORMALIZER_TAG | (uint64_t)1 << 32, &rules), "damaged at");
}

static void other_kinds_of_models_are_refused(void **state)
{
    uint32_t units[N_UNITS];
    hr_text rules;

    (void)state;
    sound_trie(units);
    rules = normalizer(units, "b", 2);
    is_refused(model_of(2, NORMALIZER_TAG, &rules), "model_type: found 2");
}

/* Adds a user-defined symbol: the first n bytes of `text`. */
static void add_symbol(hr_text *model, const char *text, size_t n)
{
    hr_text piece = {0}, content = {0};

    hr_test_ok(hr_text_append(&content, text, n));
    add_bytes(&piece, 1 << 3 | 2, &content);
    add_varint(&piece, 3 << 3);
    add_varint(&piece, 4);
    add_bytes(model, PIECE_TAG, &piece);
    hr_text_free(&content);
    hr_text_free(&piece);
}

/* The library reads as many matches as it counts, with room for 64. */
static void nested_symbols_fit_up_to_64(void **state)
{
    char text[66];
    hr_text model = {0}, empty = {0};

    (void)state;
    memset(text, 'a', sizeof text);
    add_bytes(&model, TRAINER_TAG, &empty);
    add_bytes(&model, NORMALIZER_TAG, &empty);
    for (size_t n = 1; n <= 64; n++)
        add_symbol(&model, text, n);
    text[7] = '\0'; /* where it ends, to the library */
    add_symbol(&model, text, 65);
    hr_test_ok(hr_sentencepiece_check("spiece.model", model.s, model.length));
    text[7] = 'a';
    add_symbol(&model, text, 65);
    is_refused(model, "more than 64 lengths");
}

static void samples_have_a_size(void **state)
{
    enum { MOST = 1 << 16, SAMPLES_TAG = 0x22 };
    hr_text samples = {0}, model = {0}, empty = {0};

    (void)state;
    for (int i = 0; i < MOST; i++)
        hr_test_ok(hr_text_add(&samples, "x"));
    add_bytes(&model, TRAINER_TAG, &empty);
    add_bytes(&model, NORMALIZER_TAG, &empty);
    add_bytes(&model, SAMPLES_TAG, &samples);
    hr_test_ok(hr_sentencepiece_check("spiece.model", model.s, model.length));
    hr_test_ok(hr_text_add(&samples, "x"));
    add_bytes(&model, SAMPLES_TAG, &samples);
    hr_text_free(&samples);
    is_refused(model, "samples of 65537 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_sound_table_is_taken, hr_test_leak_teardown),
        cmocka_unit_test_teardown(the_root_is_a_unit_whatever_its_bits,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(a_trie_that_leads_into_itself_is_refused,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(ways_of_31_bytes_fit_and_of_32_do_not,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(long_replacements_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(a_hidden_normalizer_is_found, hr_test_leak_teardown),
        cmocka_unit_test_teardown(other_kinds_of_models_are_refused,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(nested_symbols_fit_up_to_64, hr_test_leak_teardown),
        cmocka_unit_test_teardown(samples_have_a_size, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
