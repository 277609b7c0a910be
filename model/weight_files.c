#include "model/weight_files.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "io/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_INDEX_BYTES = 64 << 20, MAX_SHARDS = 4096 };

/* The file that says where the tensors are: an index, or the only file. */
typedef struct found_file {
    hr_text path;
    bool is_index;
} found_file;

static hr_status as_model(hr_status status)
{
    return status == HR_ERR_FORMAT || status == HR_ERR_IO ? HR_ERR_MODEL : status;
}

/* Sets *exists when FOLDER/STEM<suffix> is there. */
static hr_status try_name(const char *folder, const char *stem, const char *suffix,
                          found_file *found, bool *exists)
{
    found->path.length = 0;
    HR_TRY(hr_text_printf(&found->path, "%s/%s%s", folder, stem, suffix));
    *exists = access(found->path.s, F_OK) == 0;
    return HR_OK;
}

static hr_status find_file(const char *folder, const char *stem, found_file *found)
{
    static const char *const index_suffix[] = {".safetensors.index.json",
                                               ".safetensors.index.fp16.json",
                                               ".safetensors.index.bf16.json"};
    static const char *const plain_suffix[] = {".safetensors", ".fp16.safetensors",
                                               ".bf16.safetensors"};
    bool exists;

    for (size_t i = 0; i < sizeof plain_suffix / sizeof plain_suffix[0]; i++) {
        found->is_index = true;
        HR_TRY(try_name(folder, stem, index_suffix[i], found, &exists));
        if (exists)
            return HR_OK;
        found->is_index = false;
        HR_TRY(try_name(folder, stem, plain_suffix[i], found, &exists));
        if (exists)
            return HR_OK;
    }
    return hr_fail(HR_ERR_MODEL,
                   "folder %s: no weights: neither %s.safetensors nor "
                   "%s.safetensors.index.json is there",
                   folder, stem, stem);
}

static hr_status open_file(hr_weight_files *files, const char *path)
{
    hr_safetensors *file;
    hr_safetensors **more;

    HR_TRY(as_model(hr_safetensors_open(path, &file)));
    more = hr_realloc(files->file, (files->n_files + 1) * sizeof *more);
    if (more == NULL) {
        hr_safetensors_close(file);
        return hr_fail(HR_ERR_NOMEM, "out of memory: the list of weight files");
    }
    files->file = more;
    files->file[files->n_files++] = file;
    return HR_OK;
}

/* The name of the i-th file below its folder. */
static const char *file_name(const hr_weight_files *files, size_t i)
{
    const char *path = hr_safetensors_path(files->file[i]);
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

static bool is_open(const hr_weight_files *files, const char *name)
{
    /* Neighbours in the index mostly lie in one shard: look at the newest first. */
    for (size_t i = files->n_files; i-- > 0;)
        if (strcmp(file_name(files, i), name) == 0)
            return true;
    return false;
}

/* Maps every shard that the index names, each once. */
static hr_status open_shards(hr_weight_files *files, const char *folder,
                             const char *index_path, const hr_json_node *map)
{
    for (const hr_json_node *n = hr_json_first(map); n != NULL; n = hr_json_next(n)) {
        const char *shard = hr_json_string(n);
        hr_text path = {0};
        hr_status status;

        if (shard == NULL || shard[0] == '\0' || strchr(shard, '/') != NULL)
            return hr_fail(HR_ERR_MODEL,
                           "%s: weight_map.%s: found %s, expected the name of a file in "
                           "the same folder",
                           index_path, hr_json_key(n),
                           shard == NULL ? "no string" : shard);
        if (is_open(files, shard))
            continue;
        if (files->n_files == MAX_SHARDS)
            return hr_fail(HR_ERR_MODEL, "%s: weight_map: more than %d files", index_path,
                           MAX_SHARDS);
        status = hr_text_printf(&path, "%s/%s", folder, shard);
        if (status == HR_OK)
            status = open_file(files, path.s);
        hr_text_free(&path);
        HR_TRY(status);
    }
    return HR_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const hr_weight_entry *x = a, *y = b;

    return strcmp(x->tensor->name, y->tensor->name);
}

/* The table of all tensors; a name in two files is refused. */
static hr_status list_entries(hr_weight_files *files)
{
    size_t n = 0, bytes;
    void *memory;

    for (size_t i = 0; i < files->n_files; i++)
        n += hr_safetensors_count(files->file[i]);
    HR_TRY(hr_size_mul(n, sizeof *files->entry, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, "the table of weights", &memory));
    files->entry = memory;
    for (size_t i = 0; i < files->n_files; i++)
        for (size_t j = 0; j < hr_safetensors_count(files->file[i]); j++)
            files->entry[files->n_entries++] = (hr_weight_entry){
                .tensor = hr_safetensors_at(files->file[i], j), .file = files->file[i]};
    if (n > 1)
        qsort(files->entry, n, sizeof *files->entry, compare_entries);
    for (size_t i = 1; i < n; i++)
        if (compare_entries(&files->entry[i - 1], &files->entry[i]) == 0)
            return hr_fail(HR_ERR_MODEL, "file %s: tensor %s: is in %s too",
                           hr_safetensors_path(files->entry[i - 1].file),
                           files->entry[i].tensor->name,
                           hr_safetensors_path(files->entry[i].file));
    return HR_OK;
}

/* Every tensor of the index is in the shard that the index says. */
static hr_status check_map(const hr_weight_files *files, const char *index_path,
                           const hr_json_node *map)
{
    for (const hr_json_node *n = hr_json_first(map); n != NULL; n = hr_json_next(n)) {
        const hr_weight_entry *entry = hr_weight_files_find(files, hr_json_key(n));
        const char *path = entry == NULL ? "" : hr_safetensors_path(entry->file);
        const char *slash = strrchr(path, '/');

        if (entry == NULL ||
            strcmp(slash == NULL ? path : slash + 1, hr_json_string(n)) != 0)
            return hr_fail(HR_ERR_MODEL,
                           "%s: weight_map.%s: found %s, which has no such tensor",
                           index_path, hr_json_key(n), hr_json_string(n));
    }
    return HR_OK;
}

static hr_status open_index(hr_weight_files *files, const char *folder,
                            const char *index_path)
{
    const hr_json_node *map;
    hr_json *json;
    hr_status status;

    HR_TRY(as_model(hr_json_open(index_path, MAX_INDEX_BYTES, &json)));
    map = hr_json_get(hr_json_root(json), "weight_map");
    if (!hr_json_is_object(map) || hr_json_first(map) == NULL)
        status =
            hr_fail(HR_ERR_MODEL,
                    "%s: weight_map: found nothing, expected tensors and their files",
                    index_path);
    else
        status = open_shards(files, folder, index_path, map);
    if (status == HR_OK)
        status = list_entries(files);
    if (status == HR_OK)
        status = check_map(files, index_path, map);
    hr_json_close(json);
    return status;
}

hr_status hr_weight_files_open(const char *folder, const char *stem, hr_weight_files *out)
{
    hr_weight_files files = {0};
    found_file found = {0};
    hr_status status = find_file(folder, stem, &found);

    if (status == HR_OK && found.is_index) {
        status = open_index(&files, folder, found.path.s);
    } else if (status == HR_OK) {
        status = open_file(&files, found.path.s);
        if (status == HR_OK)
            status = list_entries(&files);
    }
    hr_text_free(&found.path);
    if (status == HR_OK)
        *out = files;
    else
        hr_weight_files_close(&files);
    return status;
}

void hr_weight_files_close(hr_weight_files *files)
{
    for (size_t i = 0; i < files->n_files; i++)
        hr_safetensors_close(files->file[i]);
    hr_free(files->file);
    hr_free(files->entry);
    *files = (hr_weight_files){0};
}

hr_weight_entry *hr_weight_files_find(const hr_weight_files *files, const char *name)
{
    size_t low = 0, high = files->n_entries;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, files->entry[middle].tensor->name);

        if (order == 0)
            return &files->entry[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
