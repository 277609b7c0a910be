#include "fuzz.h"

#include <stdio.h>
#include <string.h>

/* The digits of the k-th number in the text; 0: there are fewer. */
static size_t find_number(const uint8_t *data, size_t n, unsigned k, size_t *at)
{
    for (size_t i = 0; i < n; i++) {
        size_t end = i;

        while (end < n && data[end] >= '0' && data[end] <= '9')
            end++;
        if (end > i && k-- == 0) {
            *at = i;
            return end - i;
        }
        i = end;
    }
    return 0;
}

size_t hr_fuzz_change_number(uint8_t *data, size_t n, size_t max_n, unsigned seed)
{
    static const uint64_t numbers[] = {0,         1,          2,
                                       3,         4,          5,
                                       6,         7,          8,
                                       12,        16,         24,
                                       32,        48,         64,
                                       96,        127,        128,
                                       250,       256,        512,
                                       1000,      999,        100,
                                       990,       101,        1024,
                                       4096,      65536,      1048576,
                                       268435456, 4294967296, 281474976710656};
    char digits[24];
    size_t at, length, n_new;

    n_new = (size_t)snprintf(
        digits, sizeof digits, "%llu",
        (unsigned long long)numbers[seed / 64 % (sizeof numbers / sizeof numbers[0])]);
    length = find_number(data, n, seed % 64, &at);
    if (length == 0 || n - length + n_new > max_n)
        return LLVMFuzzerMutate(data, n, max_n);
    memmove(data + at + n_new, data + at + length, n - at - length);
    memcpy(data + at, digits, n_new);
    return n - length + n_new;
}
