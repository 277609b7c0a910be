/* receipt.json, two of them with a zero byte between, or one beside itself:
 * io/receipt.h. */
#include "fuzz.h"

#include "base/assert.h"
#include "io/receipt.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *zero = n > 0 ? memchr(data, 0, n) : NULL;
    size_t n_first = zero != NULL ? (size_t)(zero - data) : n;
    const uint8_t *second = zero != NULL ? zero + 1 : data;
    size_t n_second = zero != NULL ? n - n_first - 1 : n;
    hr_receipt *a = NULL, *b = NULL;
    hr_text difference = {0};
    hr_status status;

    hr_fuzz_begin();
    status = hr_receipt_read(hr_fuzz_file(0, data, n_first), &a);
    if (status == HR_OK)
        status = hr_receipt_read(hr_fuzz_file(1, second, n_second), &b);
    if (status == HR_OK)
        status = hr_receipt_compare(a, b, &difference);
    HR_ASSERT(status != HR_OK || zero != NULL || difference.length == 0);
    for (size_t i = 0; i < difference.length; i++)
        HR_ASSERT((unsigned char)difference.s[i] >= 0x20);
    hr_text_free(&difference);
    hr_receipt_free(a);
    hr_receipt_free(b);
    hr_fuzz_end(status != HR_OK);
    return 0;
}
