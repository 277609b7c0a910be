#include "base/memory.h"

#include "base/fault.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Lies right in front of the memory handed out; `raw` is what malloc gave. */
typedef struct block_header {
    void *raw;
    size_t bytes;
} block_header;

static atomic_size_t live_blocks, live_bytes, peak_bytes;

static void count_more(size_t bytes)
{
    size_t now = atomic_fetch_add(&live_bytes, bytes) + bytes;
    size_t peak = atomic_load(&peak_bytes);

    while (now > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, now))
        continue;
}

static void *alloc(size_t bytes, size_t alignment)
{
    /* No more than that: a sanitizer should see each byte that is used behind the end. */
    bool is_aligned = alignment <= _Alignof(max_align_t) && /* as malloc's memory is */
                      sizeof(block_header) % alignment == 0;
    size_t total = bytes + (is_aligned ? 0 : alignment) + sizeof(block_header);
    char *raw, *user;
    block_header *header;

    if (total < bytes)
        return NULL;
    raw = calloc(1, total);
    if (raw == NULL)
        return NULL;
    user = raw + sizeof(block_header);
    user += (alignment - (uintptr_t)user % alignment) % alignment;
    header = (block_header *)(void *)user - 1;
    header->raw = raw;
    header->bytes = bytes;
    atomic_fetch_add(&live_blocks, 1);
    count_more(bytes);
    return user;
}

/* The place of a fault is the caller's: there are many, and each is to be tried. */
#define FAILS_HERE(point) hr_fault_from((point), __builtin_return_address(0))

void *hr_alloc_aligned(size_t bytes, size_t alignment)
{
    return FAILS_HERE("memory.aligned") ? NULL : alloc(bytes, alignment);
}

void *hr_alloc(size_t bytes)
{
    return FAILS_HERE("memory.alloc") ? NULL : alloc(bytes, _Alignof(max_align_t));
}

hr_status hr_alloc_or_fail(size_t bytes, const char *what, void **out)
{
    void *memory =
        FAILS_HERE("memory.alloc") ? NULL : alloc(bytes, _Alignof(max_align_t));

    if (memory == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for %s", bytes, what);
    *out = memory;
    return HR_OK;
}

void *hr_realloc(void *old, size_t bytes)
{
    size_t keep = 0;
    void *memory =
        FAILS_HERE("memory.realloc") ? NULL : alloc(bytes, _Alignof(max_align_t));

    if (memory == NULL)
        return NULL;
    if (old != NULL)
        keep = ((block_header *)old - 1)->bytes;
    if (keep > bytes)
        keep = bytes;
    if (keep > 0)
        memcpy(memory, old, keep);
    hr_free(old);
    return memory;
}

void hr_free(void *memory)
{
    block_header *header;

    if (memory == NULL)
        return;
    header = (block_header *)memory - 1;
    atomic_fetch_sub(&live_blocks, 1);
    atomic_fetch_sub(&live_bytes, header->bytes);
    free(header->raw);
}

static char *copy_text(const char *text, size_t n)
{
    char *copy = alloc(n + 1, _Alignof(max_align_t));

    if (copy != NULL)
        memcpy(copy, text, n);
    return copy;
}

char *hr_strndup(const char *text, size_t n)
{
    return FAILS_HERE("memory.strdup") ? NULL : copy_text(text, n);
}

char *hr_strdup(const char *text)
{
    return FAILS_HERE("memory.strdup") ? NULL : copy_text(text, strlen(text));
}

size_t hr_mem_live_blocks(void)
{
    return atomic_load(&live_blocks);
}

size_t hr_mem_live_bytes(void)
{
    return atomic_load(&live_bytes);
}

size_t hr_mem_peak_bytes(void)
{
    return atomic_load(&peak_bytes);
}

hr_status hr_size_mul(size_t a, size_t b, size_t *out)
{
    if (__builtin_mul_overflow(a, b, out))
        return hr_fail(HR_ERR_NOMEM, "size too large: %zu x %zu", a, b);
    return HR_OK;
}

hr_status hr_size_add(size_t a, size_t b, size_t *out)
{
    if (__builtin_add_overflow(a, b, out))
        return hr_fail(HR_ERR_NOMEM, "size too large: %zu + %zu", a, b);
    return HR_OK;
}

/* The first number in a one-number file such as memory.max; UINT64_MAX when there is
 * none. */
static uint64_t read_number(const char *path)
{
    FILE *file = fopen(path, "re");
    unsigned long long value;
    uint64_t result = UINT64_MAX;

    if (file == NULL)
        return result;
    if (fscanf(file, "%llu", &value) == 1)
        result = value;
    fclose(file);
    return result;
}

static uint64_t available_in_meminfo(void)
{
    FILE *file = fopen("/proc/meminfo", "re");
    unsigned long long kib;
    char line[128];
    uint64_t result = UINT64_MAX;

    if (file == NULL)
        return result;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            result = kib * 1024;
    fclose(file);
    return result;
}

/* A number of memory.stat: pages of files that would be given back at need. */
static uint64_t inactive_file(const char *folder)
{
    unsigned long long value;
    char line[256];
    uint64_t result = 0;
    FILE *file;

    snprintf(line, sizeof line, "%.200s/memory.stat", folder);
    file = fopen(line, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "inactive_file %llu", &value) == 1)
            result = value;
    fclose(file);
    return result;
}

static uint64_t available_in(const char *folder)
{
    char path[256];
    uint64_t limit, used, cache = inactive_file(folder);

    snprintf(path, sizeof path, "%.200s/memory.max", folder);
    limit = read_number(path);
    snprintf(path, sizeof path, "%.200s/memory.current", folder);
    used = read_number(path);
    if (limit == UINT64_MAX || used == UINT64_MAX)
        return UINT64_MAX;
    used = used > cache ? used - cache : 0;
    return limit > used ? limit - used : 0;
}

/* The least that this process's control group (version 2) and those above it leave. */
static uint64_t available_in_groups(void)
{
    static const char root[] = "/sys/fs/cgroup";
    FILE *file = fopen("/proc/self/cgroup", "re");
    char path[200] = "", line[256];
    uint64_t least = available_in(root), here;

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "0::/", 4) == 0)
            snprintf(path, sizeof path, "%s%.160s", root, line + 3);
    if (file != NULL)
        fclose(file);
    path[strcspn(path, "\n")] = '\0';
    while (strlen(path) > sizeof root) {
        here = available_in(path);
        least = here < least ? here : least;
        *strrchr(path, '/') = '\0';
    }
    return least;
}

uint64_t hr_mem_available(void)
{
    uint64_t least = available_in_meminfo(), group = available_in_groups();
    struct rlimit limit;

    if (group < least)
        least = group;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        limit.rlim_cur < least)
        least = limit.rlim_cur;
    return least == UINT64_MAX ? 0 : least;
}
