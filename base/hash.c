#include "base/hash.h"

#include <stdio.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY /* the size of its state */
#include <xxhash.h>

hr_hash hr_hash_bytes(const void *data, size_t n_bytes)
{
    XXH128_hash_t hash = XXH3_128bits(data, n_bytes);

    return (hr_hash){hash.high64, hash.low64};
}

_Static_assert(sizeof(XXH3_state_t) <= sizeof(hr_hash_parts), "room for the state");

void hr_hash_begin(hr_hash_parts *parts)
{
    XXH3_state_t *state = (XXH3_state_t *)(void *)parts->state;

    XXH3_INITSTATE(state);
    XXH3_128bits_reset(state);
}

void hr_hash_add(hr_hash_parts *parts, const void *data, size_t n_bytes)
{
    XXH3_128bits_update((XXH3_state_t *)(void *)parts->state, data, n_bytes);
}

hr_hash hr_hash_end(const hr_hash_parts *parts)
{
    XXH128_hash_t hash =
        XXH3_128bits_digest((const XXH3_state_t *)(const void *)parts->state);

    return (hr_hash){hash.high64, hash.low64};
}

bool hr_hash_equal(hr_hash a, hr_hash b)
{
    return a.high == b.high && a.low == b.low;
}

char *hr_hash_text(hr_hash hash, char out[HR_HASH_TEXT_BYTES])
{
    snprintf(out, HR_HASH_TEXT_BYTES, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
    return out;
}

/* 16 lower-case digits. */
static bool parse_half(const char *text, uint64_t *out)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = 0;

    for (int i = 0; i < 16; i++) {
        const char *digit = text[i] == '\0' ? NULL : strchr(digits, text[i]);
        if (digit == NULL)
            return false;
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *out = value;
    return true;
}

bool hr_hash_parse(const char *text, hr_hash *out)
{
    hr_hash hash;

    if (!parse_half(text, &hash.high) || !parse_half(text + 16, &hash.low) ||
        text[32] != '\0')
        return false;
    *out = hash;
    return true;
}
