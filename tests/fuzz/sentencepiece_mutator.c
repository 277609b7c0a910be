/* Changes one field of a SentencePiece model, or of a message in it, and puts the lengths
 * around it right: else nearly all changes would be refused at once. */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_DEPTH = 3, MAX_LENGTH_BYTES = 3, MAX_BYTES = 1 << 16 };

/* A field whose value is bytes: where its length starts, and its content. */
typedef struct place {
    size_t length_at, at, n;
} place;

static bool take_varint(const uint8_t *data, size_t n, size_t *at, size_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 32 && *at < n; shift += 7) {
        uint8_t byte = data[(*at)++];

        *value |= (size_t)(byte & 0x7fU) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* The k-th field of bytes; false where there are fewer. */
static bool find_field(const uint8_t *data, size_t n, unsigned k, place *out)
{
    size_t tag, value, at = 0;

    while (at < n && take_varint(data, n, &at, &tag)) {
        out->length_at = at;
        switch (tag & 7) {
        case 0:
            if (!take_varint(data, n, &at, &value))
                return false;
            break;
        case 1:
            at += 8;
            break;
        case 5:
            at += 4;
            break;
        case 2:
            if (!take_varint(data, n, &at, &value) || value > n - at)
                return false;
            if (k-- == 0) {
                out->at = at;
                out->n = value;
                return true;
            }
            at += value;
            break;
        default:
            return false;
        }
    }
    return false;
}

static size_t write_varint(uint8_t *out, size_t value)
{
    size_t n = 0;

    do {
        out[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
    } while (value > 0);
    return n;
}

static size_t mutate(uint8_t *data, size_t n, size_t max_n, unsigned seed, int depth)
{
    static uint8_t rooms[MAX_DEPTH + 1][MAX_BYTES];
    uint8_t *content = rooms[depth], length[8];
    size_t changed, n_length, rest_at, n_rest;
    place field;

    if (seed % 4 == 0 || depth == MAX_DEPTH ||
        !find_field(data, n, (seed / 4) % 16, &field) || field.n > MAX_BYTES)
        return LLVMFuzzerMutate(data, n, max_n);
    rest_at = field.at + field.n;
    n_rest = n - rest_at;
    if (max_n < field.length_at + MAX_LENGTH_BYTES + n_rest + field.n)
        return LLVMFuzzerMutate(data, n, max_n);
    memcpy(content, data + field.at, field.n);
    changed = max_n - field.length_at - MAX_LENGTH_BYTES - n_rest;
    changed = mutate(content, field.n, changed < MAX_BYTES ? changed : MAX_BYTES,
                     seed / 64, depth + 1);
    n_length = write_varint(length, changed);
    memmove(data + field.length_at + n_length + changed, data + rest_at, n_rest);
    memcpy(data + field.length_at, length, n_length);
    memcpy(data + field.length_at + n_length, content, changed);
    return field.length_at + n_length + changed + n_rest;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max_n, unsigned seed)
{
    return mutate(data, n, max_n, seed, 0);
}
