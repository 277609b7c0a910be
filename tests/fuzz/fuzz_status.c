/* status.json, as `haloreel status` shows it and as --json writes it: io/status_file.h.
 */
#include "fuzz.h"

#include "cli/cli.h"

#include <stdio.h>

int hr_exit_code(hr_status status) /* the program's is in cli/main.c */
{
    return (int)status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static char name[] = "status", json[] = "--json";
    char path[64];
    char *shown[] = {name, path, NULL}, *written[] = {name, json, path, NULL};

    snprintf(path, sizeof path, "%s", hr_fuzz_file(0, data, n));
    hr_fuzz_begin();
    hr_fuzz_end(hr_cmd_status(2, shown) != 0);
    hr_fuzz_begin();
    hr_fuzz_end(hr_cmd_status(3, written) != 0);
    return 0;
}
