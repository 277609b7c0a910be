#include "io/checkpoint_folder.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/checkpoint.h"
#include "io/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    int64_t steps, rounds;
    char *path;
} entry;

typedef struct listing {
    entry *entries; /* newest first */
    size_t n, room;
} listing;

hr_status hr_checkpoint_path(const char *folder, int steps_done, int64_t rounds_done,
                             char **out)
{
    hr_text path = {0};

    HR_TRY(hr_text_printf(&path, "%s/step-%04d-%05" PRId64 ".h5", folder, steps_done,
                          rounds_done));
    *out = path.s;
    return HR_OK;
}

/* Whether `name` is one that hr_checkpoint_path gives. */
static bool parse_name(const char *name, entry *out)
{
    char again[64];
    int n = 0, steps;

    if (sscanf(name, "step-%9d-%15" SCNd64 ".h5%n", &steps, &out->rounds, &n) != 2 ||
        n == 0 || steps < 0 || out->rounds < 0)
        return false;
    out->steps = steps;
    snprintf(again, sizeof again, "step-%04d-%05" PRId64 ".h5", steps, out->rounds);
    return strcmp(again, name) == 0;
}

static int newest_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;

    if (x->steps != y->steps)
        return x->steps < y->steps ? 1 : -1;
    return (x->rounds < y->rounds) - (x->rounds > y->rounds);
}

static void free_listing(listing *list)
{
    for (size_t i = 0; i < list->n; i++)
        hr_free(list->entries[i].path);
    hr_free(list->entries);
    *list = (listing){0};
}

static hr_status add_entry(listing *list, const char *folder, entry one)
{
    HR_TRY(hr_checkpoint_path(folder, (int)one.steps, one.rounds, &one.path));
    if (list->n == list->room) {
        const size_t room = 2 * list->room + 8;
        entry *entries = hr_realloc(list->entries, room * sizeof *entries);

        if (entries == NULL) {
            hr_free(one.path);
            return hr_fail(HR_ERR_NOMEM, "out of memory: the checkpoints in %s", folder);
        }
        list->entries = entries;
        list->room = room;
    }
    list->entries[list->n++] = one;
    return HR_OK;
}

/* Calls `each` for every name; a folder that is not there has none. */
static hr_status
for_names(const char *folder,
          hr_status (*each)(void *user, const char *folder, const char *name), void *user)
{
    DIR *names = hr_fault_errno("file.list", EIO) ? NULL : opendir(folder);
    const struct dirent *one;
    hr_status status = HR_OK;

    if (names == NULL && errno == ENOENT)
        return HR_OK;
    if (names == NULL)
        return hr_fail(HR_ERR_IO, "cannot look into the folder %s: %s", folder,
                       strerror(errno));
    for (errno = 0; status == HR_OK && (one = readdir(names)) != NULL; errno = 0)
        status = each(user, folder, one->d_name);
    if (status == HR_OK && errno != 0)
        status = hr_fail(HR_ERR_IO, "cannot look into the folder %s: %s", folder,
                         strerror(errno));
    closedir(names);
    return status;
}

static hr_status take_name(void *user, const char *folder, const char *name)
{
    entry one;

    return parse_name(name, &one) ? add_entry(user, folder, one) : HR_OK;
}

static hr_status read_listing(const char *folder, listing *out)
{
    hr_status status = for_names(folder, take_name, out);

    if (status != HR_OK)
        free_listing(out);
    else if (out->n > 0)
        qsort(out->entries, out->n, sizeof *out->entries, newest_first);
    return status;
}

hr_status hr_checkpoint_list(const char *folder, char ***paths, size_t *n)
{
    listing list = {0};
    hr_status status;
    void *memory;
    char **all;

    HR_TRY(read_listing(folder, &list));
    status = hr_alloc_or_fail(list.n * sizeof *all, "a list of checkpoints", &memory);
    all = memory;
    for (size_t i = 0; i < list.n && status == HR_OK; i++) {
        all[i] = list.entries[i].path;
        list.entries[i].path = NULL;
    }
    if (status == HR_OK) {
        *paths = all;
        *n = list.n;
    }
    free_listing(&list);
    return status;
}

void hr_checkpoint_list_free(char **paths, size_t n)
{
    for (size_t i = 0; i < n && paths != NULL; i++)
        hr_free(paths[i]);
    hr_free(paths);
}

hr_status hr_checkpoint_find_whole(const char *folder, char **out, size_t *n)
{
    char **paths = NULL;

    *out = NULL;
    HR_TRY(hr_checkpoint_list(folder, &paths, n));
    for (size_t i = 0; i < *n && *out == NULL; i++)
        if (hr_checkpoint_verify(NULL, paths[i]) == HR_OK) {
            *out = paths[i];
            paths[i] = NULL;
        }
    hr_checkpoint_list_free(paths, *n);
    return HR_OK;
}

static hr_status remove_part(void *user, const char *folder, const char *name)
{
    hr_text path = {0};
    hr_status status;

    (void)user;
    if (fnmatch(".step-*.h5.part*", name, FNM_PERIOD) != 0) /* MPI has files beside it */
        return HR_OK;
    HR_TRY(hr_text_printf(&path, "%s/%s", folder, name));
    status = hr_file_remove(path.s);
    hr_text_free(&path);
    return status;
}

hr_status hr_checkpoint_prune(const char *folder, const char *newest, size_t keep)
{
    const char *slash = strrchr(newest, '/');
    listing list = {0};
    hr_status status;
    size_t n_kept = 0;
    entry last;

    if (!parse_name(slash == NULL ? newest : slash + 1, &last))
        return hr_fail(HR_ERR_INTERNAL, "%s is not a checkpoint's name", newest);
    HR_TRY(read_listing(folder, &list));
    status = for_names(folder, remove_part, NULL);
    for (size_t i = 0; i < list.n && status == HR_OK; i++)
        if (newest_first(&list.entries[i], &last) < 0 || n_kept == keep)
            status = hr_file_remove(list.entries[i].path);
        else
            n_kept++;
    free_listing(&list);
    return status;
}
