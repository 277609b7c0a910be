#include "base/fault.h"

#ifdef HR_FAULTS

#    include "base/assert.h"
#    include "base/log.h"
#    include "base/memory.h"

#    include <errno.h>
#    include <fcntl.h>
#    include <pthread.h>
#    include <signal.h>
#    include <stdint.h>
#    include <stdio.h>
#    include <stdlib.h>
#    include <string.h>
#    include <time.h>
#    include <unistd.h>

enum { MAX_RULES = 16, MAX_PLACES = 4096, NAME_BYTES = 256 };

typedef enum action { FAIL, KILL, STOP, SLEEP } action;

typedef struct rule {
    char point[NAME_BYTES]; /* "*": any */
    char place[NAME_BYTES]; /* "": any */
    uint64_t from;          /* the pass that it begins with */
    bool stays;             /* for all later passes too */
    action action;
    long sleep_ms;
    int code; /* errno; 0: what is usual there */
    uint64_t n_passes;
    bool has_begun;
} rule;

typedef struct place {
    const char *point, *file;
    int line;
    const void *address;
    uint64_t n_passes, failed_pass; /* 0: never */
} place;

extern const char __executable_start; /* the linker's */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static rule rules[MAX_RULES];
static int n_rules;
static place places[MAX_PLACES];
static int n_places;
static const char *trace_path;
static _Thread_local int wanted_errno; /* of the fault just met */

static int launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                        "SLURM_PROCID"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]) != NULL)
            return (int)strtol(getenv(names[i]), NULL, 10);
    return 0;
}

static char *name_of(const place *p, char out[NAME_BYTES])
{
    if (p->address != NULL)
        snprintf(out, NAME_BYTES, "+0x%llx",
                 (unsigned long long)((const char *)p->address - &__executable_start));
    else
        snprintf(out, NAME_BYTES, "%s:%d", p->file, p->line);
    return out;
}

/* A rule that cannot be read is a mistake of the test. */
_Noreturn static void refuse(const char *text)
{
    hr_error("HR_FAULT: expected POINT[@PLACE]:N[+][=ACTION][@rankR], found %s", text);
    hr_assert_failed("HR_FAULT can be read", __FILE__, __LINE__);
}

static void read_action(rule *r, const char *text)
{
    if (strcmp(text, "fail") == 0) {
        r->action = FAIL;
    } else if (strcmp(text, "kill") == 0) {
        r->action = KILL;
    } else if (strcmp(text, "stop") == 0) {
        r->action = STOP;
    } else if (strncmp(text, "sleep", 5) == 0) {
        r->action = SLEEP;
        r->sleep_ms = strtol(text + 5, NULL, 10);
    } else if (strncmp(text, "errno", 5) == 0) {
        r->action = FAIL;
        r->code = (int)strtol(text + 5, NULL, 10);
    } else {
        refuse(text);
    }
}

/* `text` is cut up. */
static void read_rule(char *text, int rank)
{
    char *at = strstr(text, "@rank"), *does = strchr(text, '='), *colon;
    rule r = {0};

    if (at != NULL && strtol(at + strlen("@rank"), NULL, 10) != rank)
        return;
    if (at != NULL)
        *at = '\0';
    if (does != NULL)
        *does++ = '\0';
    colon = strrchr(text, ':');
    if (colon != NULL) {
        r.from = strtoull(colon + 1, NULL, 10);
        r.stays = strchr(colon + 1, '+') != NULL;
    }
    if (r.from == 0 || n_rules == MAX_RULES || strlen(text) >= NAME_BYTES)
        refuse(text);
    *colon = '\0';
    at = strchr(text, '@');
    if (at != NULL) {
        *at = '\0';
        snprintf(r.place, sizeof r.place, "%s", at + 1);
    }
    snprintf(r.point, sizeof r.point, "%s", text);
    if (does != NULL)
        read_action(&r, does);
    rules[n_rules++] = r;
}

static void read_rules(const char *wanted)
{
    char text[2048], *save = NULL;

    if (snprintf(text, sizeof text, "%s", wanted) >= (int)sizeof text)
        refuse(wanted);
    for (char *s = strtok_r(text, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save))
        read_rule(s, launched_rank());
}

static void write_trace(void)
{
    char path[4096], name[NAME_BYTES];
    int file;

    snprintf(path, sizeof path, "%s.%d", trace_path, launched_rank());
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    for (int i = 0; file >= 0 && i < n_places; i++) {
        const place *p = &places[i];

        dprintf(file, "%s %s %llu\n", p->point, name_of(p, name),
                (unsigned long long)p->n_passes);
        if (p->failed_pass > 0)
            dprintf(file, "failed %s %s %llu\n", p->point, name,
                    (unsigned long long)p->failed_pass);
    }
    if (file < 0)
        return;
    dprintf(file, "live %zu\n", hr_mem_live_blocks());
    close(file);
}

static void start(void)
{
    const char *wanted = getenv("HR_FAULT");

    read_rules(wanted != NULL ? wanted : "");
    trace_path = getenv("HR_FAULT_TRACE");
    if (trace_path != NULL)
        atexit(write_trace);
}

/* Literals of one place are always the same ones, so that pointers are compared. The last
 * place stands for all that are too many. */
static place *find(const place *here)
{
    int i = 0;

    while (i < n_places &&
           (places[i].line != here->line || places[i].address != here->address ||
            places[i].file != here->file || places[i].point != here->point))
        i++;
    if (i == MAX_PLACES)
        return &places[MAX_PLACES - 1];
    if (i == n_places)
        places[n_places++] = *here;
    return &places[i];
}

static bool is_point(const rule *r, const place *p)
{
    return strcmp(r->point, "*") == 0 || strcmp(r->point, p->point) == 0;
}

static bool is_place(const rule *r, const place *p)
{
    char name[NAME_BYTES];

    return r->place[0] == '\0' || strcmp(r->place, name_of(p, name)) == 0;
}

/* The rule that this pass meets; `found` is set only then. */
static bool meet(const place *here, rule *found)
{
    bool has_met = false;

    for (int i = 0; i < n_rules; i++) {
        rule *r = &rules[i];

        if (!is_point(r, here))
            continue;
        r->n_passes += is_place(r, here);
        if (r->n_passes < r->from || (r->has_begun && !r->stays))
            continue;
        r->has_begun = true;
        *found = *r;
        has_met = true;
    }
    return has_met;
}

static bool pass(const place *here, rule *found)
{
    place *counted;
    bool has_met;

    pthread_mutex_lock(&lock);
    has_met = meet(here, found);
    if (trace_path != NULL) {
        counted = find(here);
        counted->n_passes++;
        if (has_met && found->action == FAIL && counted->failed_pass == 0)
            counted->failed_pass = counted->n_passes;
    }
    pthread_mutex_unlock(&lock);
    return has_met;
}

bool hr_fault_at(const char *point, const char *file, int line, const void *address)
{
    const place here = {.point = point, .file = file, .line = line, .address = address};
    rule r;

    pthread_once(&once, start);
    if (n_rules == 0 && trace_path == NULL)
        return false;
    if (!pass(&here, &r))
        return false;
    if (r.action == KILL || r.action == STOP)
        kill(getpid(), r.action == KILL ? SIGKILL : SIGSTOP);
    if (r.action == SLEEP)
        nanosleep(&(struct timespec){.tv_sec = r.sleep_ms / 1000,
                                     .tv_nsec = r.sleep_ms % 1000 * 1000000},
                  NULL);
    wanted_errno = r.code;
    return r.action == FAIL;
}

bool hr_fault_set_errno(int code)
{
    errno = wanted_errno != 0 ? wanted_errno : code;
    return true;
}

void hr_fault_set(const char *wanted)
{
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    n_rules = 0;
    read_rules(wanted != NULL ? wanted : "");
    pthread_mutex_unlock(&lock);
}

#else

typedef int hr_fault_is_off; /* a file may not be empty */

#endif
