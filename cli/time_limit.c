#include "cli/time_limit.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/command.h"
#include "io/interval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* squeue is quick unless its controller is away. */
enum { ASK_EVERY_SECONDS = 600, ASK_SECONDS = 5, MAX_PARTS = 3 };

/* Digits only, fewer than would overflow. */
static bool scan_part(const char **text, double *out)
{
    size_t n = strspn(*text, "0123456789");

    if (n == 0 || n > 11)
        return false;
    *out = strtod(*text, NULL);
    *text += n;
    return true;
}

static bool scan_clock(const char *text, double *out)
{
    double days = 0, part[MAX_PARTS] = {0}, seconds = 0;
    const char *at = text;
    int n = 0;

    if (strchr(text, '-') != NULL) {
        if (!scan_part(&at, &days) || *at++ != '-')
            return false;
    }
    do {
        if (n == MAX_PARTS || !scan_part(&at, &part[n++]))
            return false;
    } while (*at++ == ':');
    if (at[-1] != '\0' || (days > 0 && n < MAX_PARTS))
        return false;
    for (int i = 0; i < n; i++) {
        if (i > 0 && part[i] >= 60)
            return false;
        seconds = 60 * seconds + part[i];
    }
    *out = 86400 * days + seconds;
    return *out > 0;
}

bool hr_time_scan(const char *text, double *out)
{
    return hr_duration_scan(text, out) || scan_clock(text, out);
}

static bool ask_environment(double *left)
{
    const char *text = getenv("SLURM_JOB_END_TIME");
    double end;
    struct timespec now;

    if (text == NULL || !scan_clock(text, &end) || strchr(text, ':') != NULL ||
        clock_gettime(CLOCK_REALTIME, &now) != 0)
        return false;
    *left = end - ((double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
    return true;
}

/* False when it does not say: no Slurm, no limit, no answer. */
static bool ask_squeue(double *left)
{
    const char *job = getenv("SLURM_JOB_ID");
    const char *const argv[] = {"squeue", "-h", "-j", job, "-o", "%L", NULL};
    hr_text said = {0};
    int code;
    bool found;

    if (job == NULL || *job == '\0')
        return false;
    found = hr_command_read(argv, ASK_SECONDS, &said, NULL, &code) == HR_OK &&
            code == 0 && said.s != NULL;
    if (found) {
        said.s[strcspn(said.s, " \n")] = '\0';
        found = scan_clock(said.s, left);
    }
    if (!found)
        hr_debug("squeue does not say how long this job may run: %s",
                 said.s != NULL ? said.s : "no answer");
    hr_text_free(&said);
    return found;
}

/* The shortest holds. */
static void take(hr_time_limit *limit, bool is_known, double left)
{
    double slurms = is_known ? hr_clock_seconds() + left : 0;

    limit->is_slurms = is_known && (limit->option <= 0 || slurms < limit->option);
    limit->ends = limit->is_slurms ? slurms : limit->option;
}

void hr_time_limit_start(double seconds, hr_time_limit *out)
{
    hr_time_limit limit = {0};
    double left = 0;
    bool is_known = ask_environment(&left);

    if (seconds > 0)
        limit.option = hr_clock_seconds() - hr_clock_process_seconds() + seconds;
    if (!is_known && getenv("SLURM_JOB_ID") != NULL) {
        limit.asked = hr_clock_seconds();
        is_known = ask_squeue(&left);
    }
    take(&limit, is_known, left);
    *out = limit;
}

double hr_time_limit_left(hr_time_limit *limit)
{
    double now = hr_clock_seconds(), left;

    if (limit->asked > 0 && now - limit->asked >= ASK_EVERY_SECONDS) {
        limit->asked = now;
        if (ask_squeue(&left))
            take(limit, true, left);
    }
    if (limit->ends <= 0)
        return -1;
    left = limit->ends - hr_clock_seconds();
    return left > 0 ? left : 0;
}
