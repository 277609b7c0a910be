/* Which backends this build has. */
#include "base/log.h"
#include "compute/backend.h"

#include <string.h>

static const hr_backend *const backends[] = {&hr_backend_cpu, &hr_backend_strict,
                                             &hr_backend_dry};
/* Names that other builds may know. */
static const char *const elsewhere[] = {"cuda"};

enum {
    N_BACKENDS = sizeof backends / sizeof backends[0],
    N_ELSEWHERE = sizeof elsewhere / sizeof elsewhere[0]
};

hr_status hr_backend_find(const char *name, const hr_backend **out)
{
    if (name == NULL || strcmp(name, "auto") == 0)
        name = "cpu";
    for (size_t i = 0; i < N_BACKENDS; i++)
        if (strcmp(name, backends[i]->name) == 0) {
            *out = backends[i];
            return HR_OK;
        }
    for (size_t i = 0; i < N_ELSEWHERE; i++)
        if (strcmp(name, elsewhere[i]) == 0)
            return hr_fail(HR_ERR_UNSUPPORTED, "device %s: this build does not have it",
                           name);
    return hr_fail(HR_ERR_ARG, "device %s: not one of auto, cpu, cuda, dry, strict",
                   name);
}
