#include "model/sentencepiece_check.h"

#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Field numbers of sentencepiece_model.proto. */
enum { MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, NORMALIZER_CHARSMAP = 2 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { UNIT_BYTES = 4, BLOCK_UNITS = 256 };

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

/* The next field of a message: its number, and its content where that is bytes. */
static bool take_field(span *message, uint64_t *number, span *content)
{
    uint64_t tag, value;

    *content = (span){0};
    if (!take_varint(message, &tag))
        return false;
    *number = tag >> 3;
    switch (tag & 7) {
    case WIRE_VARINT:
        return take_varint(message, &value);
    case WIRE_64:
        return take(message, 8, content);
    case WIRE_32:
        return take(message, 4, content);
    case WIRE_BYTES:
        return take_varint(message, &value) && value <= message->n &&
               take(message, (size_t)value, content);
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
 * replacements, in the first. */
static bool charsmap_is_sound(span map)
{
    size_t trie_bytes, n_units, n_replacements;
    const uint8_t *units = map.data + UNIT_BYTES;

    if (map.n < UNIT_BYTES)
        return false;
    trie_bytes = read_u32(map.data);
    if (trie_bytes == 0 || trie_bytes % (UNIT_BYTES * BLOCK_UNITS) != 0 ||
        trie_bytes >= map.n - UNIT_BYTES || map.data[map.n - 1] != 0)
        return false;
    n_units = trie_bytes / UNIT_BYTES;
    n_replacements = map.n - UNIT_BYTES - trie_bytes;
    for (size_t i = 0; i < n_units; i++) {
        uint32_t unit = read_u32(units + i * UNIT_BYTES);
        size_t next = i ^ ((size_t)(unit >> 10) << ((unit & 0x200U) >> 6));

        if (unit & 0x80000000U)
            continue;
        if (next >= n_units)
            return false;
        if ((unit & 0x100U) &&
            (read_u32(units + next * UNIT_BYTES) & 0x7fffffffU) >= n_replacements)
            return false;
    }
    return true;
}

static bool normalizer_is_sound(span message)
{
    uint64_t number;
    span content;

    while (message.n > 0) {
        if (!take_field(&message, &number, &content))
            return false;
        if (number == NORMALIZER_CHARSMAP && content.n > 0 && !charsmap_is_sound(content))
            return false;
    }
    return true;
}

hr_status hr_sentencepiece_check(const char *path, const void *data, size_t n_bytes)
{
    span message = {data, n_bytes}, content;
    bool has_trainer = false, has_normalizer = false;
    uint64_t number;

    if (n_bytes == 0)
        return hr_fail(HR_ERR_MODEL, "%s: empty, expected a SentencePiece model", path);
    while (message.n > 0) {
        size_t offset = n_bytes - message.n;

        if (!take_field(&message, &number, &content))
            return hr_fail(HR_ERR_MODEL,
                           "%s: no SentencePiece model, or damaged at byte %zu", path,
                           offset);
        has_trainer = has_trainer || number == MODEL_TRAINER;
        has_normalizer = has_normalizer || number == MODEL_NORMALIZER;
        if (number == MODEL_NORMALIZER && !normalizer_is_sound(content))
            return hr_fail(HR_ERR_MODEL, "%s: its normalization table is damaged", path);
    }
    if (!has_trainer || !has_normalizer)
        return hr_fail(HR_ERR_MODEL, "%s: ends early: no %s after the pieces", path,
                       has_trainer ? "normalization rules" : "training settings");
    return HR_OK;
}
