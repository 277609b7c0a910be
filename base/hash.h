/* Fingerprints: XXH3, 128 bits. Not for secrets. Local, pure. */
#ifndef HR_BASE_HASH_H
#define HR_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hr_hash {
    uint64_t high, low;
} hr_hash;

enum { HR_HASH_TEXT_BYTES = 33 };

hr_hash hr_hash_bytes(const void *data, size_t n_bytes);

/* The same for data that come in parts: begin, add in their order, end. */
typedef struct hr_hash_parts {
    _Alignas(64) unsigned char state[576];
} hr_hash_parts;

void hr_hash_begin(hr_hash_parts *parts);
void hr_hash_add(hr_hash_parts *parts, const void *data, size_t n_bytes);
hr_hash hr_hash_end(const hr_hash_parts *parts);

bool hr_hash_equal(hr_hash a, hr_hash b);
/* 32 hexadecimal digits as xxh128sum prints them; returns out. */
char *hr_hash_text(hr_hash hash, char out[HR_HASH_TEXT_BYTES]);
/* False when it is not such a text. */
bool hr_hash_parse(const char *text, hr_hash *out);

#endif
