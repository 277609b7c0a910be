/* Lists of seeds as --seeds takes them. Local. */
#ifndef HR_CLI_SEEDS_H
#define HR_CLI_SEEDS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum { HR_MAX_SEEDS = 10000 };

/* "1..8", "1,5,9" or both ("1..3,9"); NULL: none, and *seeds stays. Anything else is
 * HR_ERR_ARG. Caller hr_frees *seeds, also after a failure. */
hr_status hr_seeds_parse(const char *text, uint64_t **seeds, size_t *n_seeds);

#endif
