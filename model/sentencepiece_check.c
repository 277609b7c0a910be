#include "model/sentencepiece_check.h"

#include "base/log.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Field numbers of sentencepiece_model.proto. */
enum {
    MODEL_PIECE = 1,
    MODEL_TRAINER = 2,
    MODEL_NORMALIZER = 3,
    MODEL_SELF_TEST = 4,
    PIECE_TEXT = 1,
    PIECE_TYPE = 3,
    TYPE_USER_DEFINED = 4,
    NORMALIZER_CHARSMAP = 2,
    TRAINER_MODEL_TYPE = 3,
    TYPE_UNIGRAM = 1
};
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum {
    UNIT_BYTES = 4,
    BLOCK_UNITS = 256,
    MAX_DEPTH = 32,          /* the library's kMaxTrieResultsSize; NFKC needs 12 */
    MAX_REPLACEMENT = 128,   /* bytes; NFKC needs 33 */
    MAX_SELF_TEST = 1 << 16, /* bytes; the library encodes them when it opens the model */
    MAX_SYMBOLS = 64         /* its kResultSize: user-defined symbols at one place */
};

typedef struct span {
    const uint8_t *data;
    size_t n;
} span;

static bool take(span *in, size_t n, span *out)
{
    if (n > in->n)
        return false;
    *out = (span){in->data, n};
    in->data += n;
    in->n -= n;
    return true;
}

static bool take_varint(span *in, uint64_t *value)
{
    span byte;

    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (!take(in, 1, &byte))
            return false;
        *value |= (uint64_t)(*byte.data & 0x7fU) << shift;
        if ((*byte.data & 0x80U) == 0)
            return true;
    }
    return false;
}

/* A field of a message: its value, or its content where that is bytes. */
typedef struct message_field {
    uint64_t number, value;
    span content;
} message_field;

static bool take_field(span *message, message_field *out)
{
    uint64_t tag;

    *out = (message_field){0};
    /* Of a tag with more bits the library would take the lower 32. */
    if (!take_varint(message, &tag) || tag > UINT32_MAX)
        return false;
    out->number = tag >> 3;
    switch (tag & 7) {
    case WIRE_VARINT:
        return take_varint(message, &out->value);
    case WIRE_64:
        return take(message, 8, &out->content);
    case WIRE_32:
        return take(message, 4, &out->content);
    case WIRE_BYTES:
        return take_varint(message, &out->value) && out->value <= message->n &&
               take(message, (size_t)out->value, &out->content);
    default:
        return false;
    }
}

static uint32_t read_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The table: the bytes of a double-array trie (Darts-clone), the trie, the replacements
 * as NUL-terminated strings. A unit of the trie that is no value leads to the block of
 * 256 units at (its index ^ offset) and may have a value, an offset into the
 * replacements, in the first. The root is a unit whatever its bits say. */
typedef struct charsmap {
    const uint8_t *units; /* of UNIT_BYTES each */
    size_t n_units;
    const uint8_t *replacements;
    size_t n_replacements;
} charsmap;

static uint32_t unit_at(const charsmap *map, size_t i)
{
    return read_u32(map->units + i * UNIT_BYTES);
}

static bool is_value(const charsmap *map, size_t i)
{
    return i > 0 && (unit_at(map, i) & 0x80000000U) != 0;
}

/* Where the units that follow unit i are, each at this index ^ its byte. */
static size_t block_of(const charsmap *map, size_t i)
{
    uint32_t unit = unit_at(map, i);

    return i ^ ((size_t)(unit >> 10) << ((unit & 0x200U) >> 6));
}

static bool split_charsmap(span bytes, charsmap *map)
{
    size_t trie_bytes;

    if (bytes.n < UNIT_BYTES)
        return false;
    trie_bytes = read_u32(bytes.data);
    if (trie_bytes == 0 || trie_bytes % (UNIT_BYTES * BLOCK_UNITS) != 0 ||
        trie_bytes >= bytes.n - UNIT_BYTES || bytes.data[bytes.n - 1] != 0)
        return false;
    map->units = bytes.data + UNIT_BYTES;
    map->n_units = trie_bytes / UNIT_BYTES;
    map->replacements = map->units + trie_bytes;
    map->n_replacements = bytes.n - UNIT_BYTES - trie_bytes;
    return true;
}

/* Whether nothing points outside. */
static bool is_closed(const charsmap *map)
{
    for (size_t i = 0; i < map->n_units; i++) {
        size_t next = block_of(map, i);

        if (is_value(map, i))
            continue;
        if (next >= map->n_units)
            return false;
        if ((unit_at(map, i) & 0x100U) != 0 &&
            (unit_at(map, next) & 0x7fffffffU) >= map->n_replacements)
            return false;
    }
    return true;
}

/* A prompt cannot become longer than this many times its size. */
static bool has_short_replacements(const charsmap *map)
{
    size_t length = 0;

    for (size_t i = 0; i < map->n_replacements; i++) {
        length = map->replacements[i] == 0 ? 0 : length + 1;
        if (length > MAX_REPLACEMENT)
            return false;
    }
    return true;
}

/* Whether no way down from the root is longer than the room that the library has for
 * what it finds on one; a trie that leads back into itself has endless ones. Walks down
 * all ways together: round[i] is the last in which unit i was at the end of one, block[i]
 * the last in which one led to the block at i. */
static bool is_shallow(const charsmap *map, uint8_t *round, uint8_t *block)
{
    bool goes_on = true;

    round[0] = 1;
    for (uint8_t depth = 1; goes_on; depth++) {
        if (depth > MAX_DEPTH)
            return false;
        for (size_t i = 0; i < map->n_units; i++)
            if (round[i] == depth)
                block[block_of(map, i)] = depth;
        goes_on = false;
        for (size_t i = 0; i < map->n_units; i++)
            if (!is_value(map, i) && block[i ^ (unit_at(map, i) & 0xffU)] == depth) {
                round[i] = (uint8_t)(depth + 1);
                goes_on = true;
            }
    }
    return true;
}

static hr_status check_charsmap(const char *path, span bytes)
{
    charsmap map;
    void *rounds;
    bool is_sound =
        split_charsmap(bytes, &map) && is_closed(&map) && has_short_replacements(&map);

    if (is_sound) {
        HR_TRY(hr_alloc_or_fail(2 * map.n_units, path, &rounds));
        is_sound = is_shallow(&map, rounds, (uint8_t *)rounds + map.n_units);
        hr_free(rounds);
    }
    return is_sound
               ? HR_OK
               : hr_fail(HR_ERR_MODEL, "%s: its normalization table is damaged", path);
}

static hr_status check_normalizer(const char *path, span message)
{
    message_field field;

    while (message.n > 0) {
        if (!take_field(&message, &field))
            return hr_fail(HR_ERR_MODEL, "%s: its normalization rules are damaged", path);
        if (field.number == NORMALIZER_CHARSMAP && field.content.n > 0)
            HR_TRY(check_charsmap(path, field.content));
    }
    return HR_OK;
}

/* Only the kind of model that UMT5 has; the library's code for others is not needed. */
static hr_status check_trainer(const char *path, span message)
{
    message_field field;

    while (message.n > 0) {
        if (!take_field(&message, &field))
            return hr_fail(HR_ERR_MODEL, "%s: its training settings are damaged", path);
        if (field.number == TRAINER_MODEL_TYPE && field.value != TYPE_UNIGRAM)
            return hr_fail(HR_ERR_MODEL,
                           "%s: model_type: found %llu, expected 1 (unigram)", path,
                           (unsigned long long)field.value);
    }
    return HR_OK;
}

/* The lengths of the user-defined symbols so far. Those that start at one place of a
 * prompt have different lengths. */
typedef struct symbol_lengths {
    size_t length[MAX_SYMBOLS];
    size_t n;
} symbol_lengths;

static bool take_length(symbol_lengths *lengths, size_t length)
{
    size_t i = 0;

    while (i < lengths->n && lengths->length[i] != length)
        i++;
    if (i == MAX_SYMBOLS)
        return false;
    lengths->length[i] = length;
    lengths->n += i == lengths->n;
    return true;
}

static hr_status check_piece(const char *path, span message, symbol_lengths *lengths)
{
    message_field field;
    span text = {0};
    bool is_symbol = false;

    while (message.n > 0) {
        if (!take_field(&message, &field))
            return hr_fail(HR_ERR_MODEL, "%s: a damaged piece", path);
        if (field.number == PIECE_TEXT)
            text = field.content;
        is_symbol = is_symbol || (field.number == PIECE_TYPE &&
                                  (uint32_t)field.value == TYPE_USER_DEFINED);
    }
    /* The library reads them up to a NUL. */
    if (is_symbol && text.n > 0 &&
        !take_length(lengths, strnlen((const char *)text.data, text.n)))
        return hr_fail(HR_ERR_MODEL, "%s: user-defined symbols of more than %d lengths",
                       path, MAX_SYMBOLS);
    return HR_OK;
}

static hr_status check_field(const char *path, const message_field *field,
                             symbol_lengths *lengths)
{
    switch (field->number) {
    case MODEL_PIECE:
        return check_piece(path, field->content, lengths);
    case MODEL_TRAINER:
        return check_trainer(path, field->content);
    case MODEL_NORMALIZER:
        return check_normalizer(path, field->content);
    case MODEL_SELF_TEST:
        return field->content.n <= MAX_SELF_TEST
                   ? HR_OK
                   : hr_fail(HR_ERR_MODEL,
                             "%s: samples of %zu bytes, at most %d are read", path,
                             field->content.n, MAX_SELF_TEST);
    default:
        return HR_OK;
    }
}

hr_status hr_sentencepiece_check(const char *path, const void *data, size_t n_bytes)
{
    span message = {data, n_bytes};
    bool has_trainer = false, has_normalizer = false;
    symbol_lengths lengths = {0};
    message_field field;

    if (n_bytes == 0)
        return hr_fail(HR_ERR_MODEL, "%s: empty, expected a SentencePiece model", path);
    while (message.n > 0) {
        size_t offset = n_bytes - message.n;

        if (!take_field(&message, &field))
            return hr_fail(HR_ERR_MODEL,
                           "%s: no SentencePiece model, or damaged at byte %zu", path,
                           offset);
        has_trainer = has_trainer || field.number == MODEL_TRAINER;
        has_normalizer = has_normalizer || field.number == MODEL_NORMALIZER;
        HR_TRY(check_field(path, &field, &lengths));
    }
    if (!has_trainer || !has_normalizer)
        return hr_fail(HR_ERR_MODEL, "%s: ends early: no %s after the pieces", path,
                       has_trainer ? "normalization rules" : "training settings");
    return HR_OK;
}
