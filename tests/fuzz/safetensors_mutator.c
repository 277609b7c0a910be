/* Changes the header of a safetensors file as JSON and writes its new length in front:
 * a changed length alone would nearly always be refused at once. */
#include "fuzz.h"

#include <string.h>

enum { LENGTH_BYTES = 8 };

static size_t read_length(const uint8_t *data)
{
    size_t length = 0;

    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        length = length << 8 | data[i];
    return length;
}

static void write_length(uint8_t *data, size_t length)
{
    for (int i = 0; i < LENGTH_BYTES; i++)
        data[i] = (uint8_t)(length >> (8 * i));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max_n, unsigned seed)
{
    size_t header, rest, room, changed;

    if (n < LENGTH_BYTES || max_n < n || seed % 8 == 0)
        return LLVMFuzzerMutate(data, n, max_n);
    header = read_length(data);
    if (header > n - LENGTH_BYTES)
        header = n - LENGTH_BYTES;
    rest = n - LENGTH_BYTES - header;
    room = max_n - LENGTH_BYTES - rest;
    if (seed % 8 == 1) { /* the data behind the header */
        uint8_t *values = data + LENGTH_BYTES + header;

        write_length(data, header);
        return LENGTH_BYTES + header +
               LLVMFuzzerMutate(values, rest, max_n - LENGTH_BYTES - header);
    }
    /* The data moves to the end, so that the header can grow. */
    memmove(data + LENGTH_BYTES + room, data + LENGTH_BYTES + header, rest);
    changed = LLVMFuzzerMutate(data + LENGTH_BYTES, header, room);
    memmove(data + LENGTH_BYTES + changed, data + LENGTH_BYTES + room, rest);
    write_length(data, changed);
    return LENGTH_BYTES + changed + rest;
}
