#include "base/log.h"
#include "base/memory.h"
#include "io/job.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_models(const char *folder)
{
    hr_text path = {0};
    struct stat info;
    bool found = hr_text_printf(&path, "%s/models", folder) == HR_OK &&
                 stat(path.s, &info) == 0 && S_ISDIR(info.st_mode);

    hr_text_free(&path);
    return found;
}

static hr_status take(const char *folder, char **out)
{
    char resolved[PATH_MAX];
    char *copy = hr_strdup(realpath(folder, resolved) != NULL ? resolved : folder);

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    *out = copy;
    return HR_OK;
}

/* The folder of the running program, without the slash; "" when unknown. */
static void find_program_folder(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash;

    out[n > 0 ? n : 0] = '\0';
    slash = strrchr(out, '/');
    if (slash != NULL)
        *slash = '\0';
}

hr_status hr_configs_folder(char **out)
{
    static const char *const beside[] = {"../configs", "../share/haloreel/configs"};
    const char *given = getenv("HALOREEL_CONFIGS");
    char program[PATH_MAX], folder[PATH_MAX + 32];

    if (given != NULL && given[0] != '\0') {
        if (has_models(given))
            return take(given, out);
        return hr_fail(HR_ERR_IO, "$HALOREEL_CONFIGS: %s has no folder models", given);
    }
    find_program_folder(program);
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        snprintf(folder, sizeof folder, "%s/%s", program, beside[i]);
        if (has_models(folder))
            return take(folder, out);
    }
    return hr_fail(HR_ERR_IO,
                   "no folder configs with models in it: looked at %s/%s and %s/%s; "
                   "$HALOREEL_CONFIGS can name it",
                   program, beside[0], program, beside[1]);
}
