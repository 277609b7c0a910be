#include "cli/seeds.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One whole number at *text, which is moved behind it. */
static bool scan_seed(const char **text, uint64_t *out)
{
    char *end;

    errno = 0;
    if (**text < '0' || **text > '9')
        return false;
    *out = strtoull(*text, &end, 10);
    *text = end;
    return errno == 0;
}

static void shrink(uint64_t **seeds, size_t n)
{
    void *less = hr_realloc(*seeds, n * sizeof(uint64_t));

    if (less != NULL)
        *seeds = less;
}

hr_status hr_seeds_parse(const char *text, uint64_t **seeds, size_t *n_seeds)
{
    const char *at = text;
    uint64_t first, last;

    if (text == NULL)
        return HR_OK;
    HR_TRY(hr_alloc_or_fail(HR_MAX_SEEDS * sizeof(uint64_t), "seeds", (void **)seeds));
    *n_seeds = 0;
    do {
        if (!scan_seed(&at, &first))
            break;
        last = first;
        if (strncmp(at, "..", 2) == 0) {
            at += 2;
            if (!scan_seed(&at, &last) || last < first)
                break;
        }
        if (last - first >= HR_MAX_SEEDS - *n_seeds)
            return hr_fail(HR_ERR_ARG, "--seeds: %s: more than %d seeds", text,
                           HR_MAX_SEEDS);
        for (uint64_t i = 0; i <= last - first; i++)
            (*seeds)[(*n_seeds)++] = first + i;
        if (*at == '\0') {
            shrink(seeds, *n_seeds);
            return HR_OK;
        }
    } while (*at++ == ',');
    return hr_fail(HR_ERR_ARG, "--seeds: %s is not like 1..8 or 1,5,9", text);
}
