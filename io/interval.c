#include "io/interval.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_SECONDS 1e-3
#define MOST_SECONDS 3.6e6
enum { MOST_STEPS = 1000, DIGITS = 17 };

static const struct {
    const char *name;
    double seconds;
} units[] = {{"h", 3600}, {"min", 60}, {"s", 1}};
enum { N_UNITS = sizeof units / sizeof units[0] };

/* Digits, perhaps with a point among them; *end is what follows. */
static bool scan_number(const char *text, double *out, const char **end)
{
    size_t n = strspn(text, "0123456789.");
    char *stop;

    if (n == 0 || n > DIGITS || text[0] == '.' || text[n - 1] == '.')
        return false;
    *out = strtod(text, &stop); /* "1e3s" is left to the unit, "1.2.3" stops early */
    *end = text + n;
    return stop == *end;
}

bool hr_duration_scan(const char *text, double *out)
{
    const char *unit;
    double number;

    if (!scan_number(text, &number, &unit))
        return false;
    for (int i = 0; i < N_UNITS; i++) {
        double seconds = number * units[i].seconds;

        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (!(seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS))
            return false;
        *out = seconds;
        return true;
    }
    return false;
}

bool hr_interval_scan(const char *text, hr_interval *out)
{
    hr_interval interval = {0};
    const char *unit;
    double number;

    if (strcmp(text, "never") == 0) {
        *out = interval;
        return true;
    }
    if (hr_duration_scan(text, &interval.seconds)) {
        *out = interval;
        return true;
    }
    if (!scan_number(text, &number, &unit) || number < 1 || number > MOST_STEPS ||
        number != (double)(int64_t)number ||
        (strcmp(unit, "steps") != 0 && strcmp(unit, "step") != 0))
        return false;
    *out = (hr_interval){.steps = (int64_t)number};
    return true;
}

/* In the largest unit of which it is a whole number, else in seconds. */
hr_status hr_interval_write(const hr_interval *interval, hr_text *out)
{
    char digits[40];
    int unit = 0, precision = 1;
    double number;

    if (interval->steps > 0)
        return hr_text_printf(out, "%" PRId64 "%s", interval->steps,
                              interval->steps == 1 ? "step" : "steps");
    if (interval->seconds <= 0)
        return hr_text_add(out, "never");
    while (unit < N_UNITS - 1 &&
           interval->seconds / units[unit].seconds !=
               (double)(int64_t)(interval->seconds / units[unit].seconds))
        unit++;
    number = interval->seconds / units[unit].seconds;
    do
        snprintf(digits, sizeof digits, "%.*f", precision - 1, number);
    while (strtod(digits, NULL) != number && ++precision < DIGITS - 7);
    return hr_text_printf(out, "%s%s", digits, units[unit].name);
}
