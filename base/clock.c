#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double hr_clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double hr_clock_process_seconds(void)
{
    FILE *file = fopen("/proc/self/stat", "re");
    char line[1024];
    const char *field;
    unsigned long long started = 0;
    struct timespec now;
    size_t n;

    if (file == NULL)
        return 0;
    n = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[n] = '\0';
    field = strrchr(line, ')'); /* the name of the program may hold blanks */
    for (int i = 2; field != NULL && i < 22; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL || sscanf(field, " %llu", &started) != 1)
        return 0;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec -
           (double)started / (double)sysconf(_SC_CLK_TCK);
}
