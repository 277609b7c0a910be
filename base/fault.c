#include "base/fault.h"

#ifdef HR_FAULTS

#    include <pthread.h>
#    include <signal.h>
#    include <stdint.h>
#    include <stdio.h>
#    include <stdlib.h>
#    include <string.h>
#    include <time.h>
#    include <unistd.h>

enum { MAX_RULES = 16, MAX_PLACES = 1024, POINT_BYTES = 48 };

typedef enum action { FAIL, KILL, STOP, SLEEP } action;

typedef struct rule {
    char point[POINT_BYTES]; /* "*": any */
    uint64_t from;           /* the pass that it begins with */
    bool stays;              /* for all later passes too */
    action action;
    long sleep_ms;
    uint64_t n_passes;
} rule;

typedef struct place {
    const char *point, *file;
    int line;
    uint64_t n_passes;
} place;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static rule rules[MAX_RULES];
static int n_rules;
static place places[MAX_PLACES];
static int n_places;
static const char *trace_path;

static int launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK",
                                        "SLURM_PROCID"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]) != NULL)
            return atoi(getenv(names[i]));
    return 0;
}

/* A rule that cannot be read is a mistake of the test. */
_Noreturn static void refuse(const char *text)
{
    fprintf(stderr, "HR_FAULT: expected POINT:N[+][=ACTION][@rankR], found %s\n", text);
    abort();
}

static void read_action(rule *r, const char *text, const char *all)
{
    if (strcmp(text, "fail") == 0) {
        r->action = FAIL;
    } else if (strcmp(text, "kill") == 0) {
        r->action = KILL;
    } else if (strcmp(text, "stop") == 0) {
        r->action = STOP;
    } else if (strncmp(text, "sleep", 5) == 0) {
        r->action = SLEEP;
        r->sleep_ms = atol(text + 5);
    } else {
        refuse(all);
    }
}

/* `text` is cut up. */
static void read_rule(char *text, int rank)
{
    char *at = strstr(text, "@rank"), *does = NULL, *colon;
    rule *r = &rules[n_rules];

    if (at != NULL) {
        *at = '\0';
        if (atoi(at + strlen("@rank")) != rank)
            return;
    }
    does = strchr(text, '=');
    if (does != NULL)
        *does++ = '\0';
    colon = strrchr(text, ':');
    if (colon == NULL || colon - text >= POINT_BYTES || n_rules == MAX_RULES)
        refuse(text);
    *colon = '\0';
    strcpy(r->point, text);
    r->from = strtoull(colon + 1, NULL, 10);
    r->stays = strchr(colon + 1, '+') != NULL;
    if (r->from == 0)
        refuse(text);
    if (does != NULL)
        read_action(r, does, text);
    n_rules++;
}

static void write_trace(void)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s.%d", trace_path, launched_rank());
    file = fopen(path, "w");
    if (file == NULL)
        return;
    for (int i = 0; i < n_places; i++)
        fprintf(file, "%s %s:%d %llu\n", places[i].point, places[i].file, places[i].line,
                (unsigned long long)places[i].n_passes);
    fclose(file);
}

static void start(void)
{
    char text[1024], *save = NULL;
    const char *wanted = getenv("HR_FAULT");

    snprintf(text, sizeof text, "%s", wanted != NULL ? wanted : "");
    for (char *s = strtok_r(text, ",", &save); s != NULL; s = strtok_r(NULL, ",", &save))
        read_rule(s, launched_rank());
    trace_path = getenv("HR_FAULT_TRACE");
    if (trace_path != NULL)
        atexit(write_trace);
}

static void count(const char *point, const char *file, int line)
{
    int i = 0;

    while (i < n_places && (places[i].line != line || strcmp(places[i].file, file) != 0 ||
                            strcmp(places[i].point, point) != 0))
        i++;
    if (i == MAX_PLACES)
        return;
    if (i == n_places)
        places[n_places++] = (place){.point = point, .file = file, .line = line};
    places[i].n_passes++;
}

/* The rule that this pass meets; NULL: none. */
static const rule *meet(const char *point)
{
    const rule *found = NULL;

    for (int i = 0; i < n_rules; i++) {
        rule *r = &rules[i];

        if (strcmp(r->point, "*") != 0 && strcmp(r->point, point) != 0)
            continue;
        r->n_passes++;
        if (r->n_passes == r->from || (r->stays && r->n_passes > r->from))
            found = r;
    }
    return found;
}

bool hr_fault_at(const char *point, const char *file, int line)
{
    const rule *r = NULL;

    pthread_once(&once, start);
    if (n_rules == 0 && trace_path == NULL)
        return false;
    pthread_mutex_lock(&lock);
    if (trace_path != NULL)
        count(point, file, line);
    r = meet(point);
    pthread_mutex_unlock(&lock);
    if (r == NULL)
        return false;
    if (r->action == KILL || r->action == STOP)
        kill(getpid(), r->action == KILL ? SIGKILL : SIGSTOP);
    if (r->action == SLEEP)
        nanosleep(&(struct timespec){.tv_sec = r->sleep_ms / 1000,
                                     .tv_nsec = r->sleep_ms % 1000 * 1000000},
                  NULL);
    return r->action == FAIL;
}

#else

typedef int hr_fault_is_off; /* a file may not be empty */

#endif
