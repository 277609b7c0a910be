#include "base/assert.h"

#include "base/log.h"

#include <stdlib.h>

_Noreturn void hr_assert_failed(const char *condition, const char *file, int line)
{
    hr_error("bug: %s:%d: %s does not hold", file, line, condition);
    abort();
}
