#include "io/safetensors.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the format's own implementation. */
static const uint64_t max_header_bytes = 100000000;

struct hr_safetensors {
    char *path;
    void *map;
    size_t map_bytes;
    const char *data; /* after the header */
    size_t data_bytes;
    hr_json *header; /* owner of all names */
    size_t n_tensors;
    hr_stored_tensor *tensors; /* in order of the data */
    size_t *by_name;           /* indexes into tensors, names ascending */
};

/* The types that haloreel does not compute with but whose size is known, so that their
 * lengths are checked too. */
static const struct {
    const char *name;
    size_t size;
} other_types[] = {{"BOOL", 1},    {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
                   {"F8_E8M0", 1}, {"I16", 2}, {"U16", 2},     {"U32", 4},
                   {"U64", 8},     {"C64", 8}};

/* 0 when the type is unknown. */
static size_t element_size(const char *name, hr_dtype *dtype)
{
    for (int i = 0; i < HR_DTYPE_COUNT; i++) {
        *dtype = (hr_dtype)i;
        if (strcmp(hr_dtype_name(*dtype), name) == 0)
            return hr_dtype_size(*dtype);
    }
    *dtype = HR_DTYPE_COUNT;
    for (size_t i = 0; i < sizeof other_types / sizeof *other_types; i++)
        if (strcmp(other_types[i].name, name) == 0)
            return other_types[i].size;
    return 0;
}

static hr_status map_file(hr_safetensors *file)
{
    int fd = hr_fault_errno("file.open", EMFILE)
                 ? -1
                 : open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    hr_status status = HR_OK;

    if (fd < 0)
        return hr_fail(HR_ERR_IO, "%s: %s", file->path, strerror(errno));
    if (hr_fault_errno("file.stat", EIO) || fstat(fd, &info) != 0) {
        status = hr_fail(HR_ERR_IO, "%s: %s", file->path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        status = hr_fail(HR_ERR_IO, "%s: not a plain file", file->path);
    } else if (info.st_size < 8) {
        status =
            hr_fail(HR_ERR_FORMAT, "%s: %lld bytes are too few for a safetensors file",
                    file->path, (long long)info.st_size);
    } else {
        file->map_bytes = (size_t)info.st_size;
        file->map = hr_fault_errno("file.map", ENOMEM)
                        ? MAP_FAILED
                        : mmap(NULL, file->map_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file->map == MAP_FAILED) {
            file->map = NULL;
            status = hr_fail(errno == ENOMEM ? HR_ERR_NOMEM : HR_ERR_IO,
                             "%s: cannot map %zu bytes: %s", file->path, file->map_bytes,
                             strerror(errno));
        }
    }
    close(fd);
    return status;
}

static hr_status parse_header(hr_safetensors *file)
{
    const unsigned char *bytes = file->map;
    uint64_t length = 0;
    size_t after = file->map_bytes - 8;

    for (int i = 7; i >= 0; i--)
        length = length << 8 | bytes[i];
    if (length > max_header_bytes)
        return hr_fail(HR_ERR_FORMAT,
                       "%s: header of %llu bytes, at most 100 MB are allowed; not a "
                       "safetensors file?",
                       file->path, (unsigned long long)length);
    if (length > after)
        return hr_fail(HR_ERR_FORMAT,
                       "%s: header of %llu bytes, but only %zu follow; the file is cut",
                       file->path, (unsigned long long)length, after);
    if (length == 0 || bytes[8] != '{')
        return hr_fail(HR_ERR_FORMAT, "%s: the header does not start with '{'",
                       file->path);
    file->data = (const char *)bytes + 8 + length;
    file->data_bytes = after - (size_t)length;
    return hr_json_parse(file->path, (const char *)bytes + 8, (size_t)length,
                         &file->header);
}

static hr_status read_shape(const hr_safetensors *file, const hr_json_node *node,
                            hr_stored_tensor *t)
{
    size_t n = 0;

    if (!hr_json_is_array(hr_json_get(node, "shape")))
        return hr_fail(HR_ERR_FORMAT, "%s: tensor %s: no shape", file->path, t->name);
    HR_TRY(hr_json_read_i64_list(file->header, node, "shape", HR_SAFETENSORS_MAX_DIMS,
                                 t->dim, &n));
    t->n_dims = (int)n;
    t->n_elements = 1;
    for (size_t i = 0; i < n; i++) {
        if (t->dim[i] < 0 ||
            __builtin_mul_overflow(t->n_elements, (size_t)t->dim[i], &t->n_elements))
            return hr_fail(HR_ERR_FORMAT, "%s: tensor %s: shape[%zu]: %lld is impossible",
                           file->path, t->name, i, (long long)t->dim[i]);
    }
    return HR_OK;
}

static hr_status read_offsets(const hr_safetensors *file, const hr_json_node *node,
                              hr_stored_tensor *t)
{
    int64_t offsets[2];
    size_t n = 0;

    HR_TRY(hr_json_read_i64_list(file->header, node, "data_offsets", 2, offsets, &n));
    if (n != 2)
        return hr_fail(HR_ERR_FORMAT, "%s: tensor %s: no data_offsets [begin, end]",
                       file->path, t->name);
    if (offsets[0] < 0 || offsets[0] > offsets[1] ||
        (uint64_t)offsets[1] > file->data_bytes)
        return hr_fail(HR_ERR_FORMAT,
                       "%s: tensor %s: data at %lld to %lld, but the data has %zu bytes",
                       file->path, t->name, (long long)offsets[0], (long long)offsets[1],
                       file->data_bytes);
    t->data = file->data + offsets[0];
    t->n_bytes = (size_t)(offsets[1] - offsets[0]);
    return HR_OK;
}

static hr_status read_tensor(const hr_safetensors *file, const hr_json_node *node,
                             hr_stored_tensor *t)
{
    size_t size, bytes;

    t->name = hr_json_key(node);
    if (!hr_json_is_object(node))
        return hr_fail(HR_ERR_FORMAT, "%s: tensor %s: expected an object", file->path,
                       t->name);
    HR_TRY(hr_json_read_string(file->header, node, "dtype", &t->dtype_name));
    if (t->dtype_name == NULL)
        return hr_fail(HR_ERR_FORMAT, "%s: tensor %s: no dtype", file->path, t->name);
    HR_TRY(read_shape(file, node, t));
    HR_TRY(read_offsets(file, node, t));
    size = element_size(t->dtype_name, &t->dtype);
    if (size == 0)
        return HR_OK;
    if (__builtin_mul_overflow(t->n_elements, size, &bytes) || bytes != t->n_bytes)
        return hr_fail(HR_ERR_FORMAT,
                       "%s: tensor %s: found %zu bytes, expected %zu x %zu for its shape",
                       file->path, t->name, t->n_bytes, t->n_elements, size);
    return HR_OK;
}

static hr_status check_metadata(const hr_safetensors *file, const hr_json_node *node)
{
    if (!hr_json_is_object(node))
        return hr_fail(HR_ERR_FORMAT, "%s: __metadata__: expected an object", file->path);
    for (const hr_json_node *x = hr_json_first(node); x != NULL; x = hr_json_next(x))
        if (hr_json_string(x) == NULL)
            return hr_fail(HR_ERR_FORMAT, "%s: __metadata__.%s: expected a string",
                           file->path, hr_json_key(x));
    return HR_OK;
}

static int compare_data(const void *a, const void *b)
{
    const hr_stored_tensor *x = a, *y = b;
    const char *p = x->data, *q = y->data;

    if (p != q)
        return p < q ? -1 : 1;
    if (x->n_bytes != y->n_bytes)
        return x->n_bytes < y->n_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* The tensors in order of their data must tile it without gap, overlap or rest, as the
 * format's own reader demands. */
static hr_status check_tiling(hr_safetensors *file)
{
    const char *at = file->data, *end = file->data + file->data_bytes;

    qsort(file->tensors, file->n_tensors, sizeof *file->tensors, compare_data);
    for (size_t i = 0; i < file->n_tensors; i++) {
        const hr_stored_tensor *t = &file->tensors[i];
        const char *begin = t->data;
        if (begin != at)
            return hr_fail(HR_ERR_FORMAT,
                           "%s: tensor %s: its data starts at %zu, %s at %zu", file->path,
                           t->name, (size_t)(begin - file->data),
                           begin < at ? "inside the tensor before, which ends"
                                      : "after a gap from the tensor before, which ends",
                           (size_t)(at - file->data));
        at = begin + t->n_bytes;
    }
    if (at != end)
        return hr_fail(HR_ERR_FORMAT, "%s: %zu bytes after the last tensor", file->path,
                       (size_t)(end - at));
    return HR_OK;
}

static int compare_names(const void *a, const void *b, void *tensors)
{
    const hr_stored_tensor *t = tensors;

    return strcmp(t[*(const size_t *)a].name, t[*(const size_t *)b].name);
}

static hr_status read_tensors(hr_safetensors *file)
{
    const hr_json_node *root = hr_json_root(file->header);
    size_t room = hr_json_size(root), bytes;
    void *memory;

    HR_TRY(hr_size_mul(room, sizeof *file->tensors, &bytes));
    HR_TRY(hr_alloc_or_fail(bytes, file->path, &memory));
    file->tensors = memory;
    HR_TRY(hr_alloc_or_fail(room * sizeof *file->by_name, file->path, &memory));
    file->by_name = memory;
    for (const hr_json_node *x = hr_json_first(root); x != NULL; x = hr_json_next(x)) {
        if (strcmp(hr_json_key(x), "__metadata__") == 0)
            HR_TRY(check_metadata(file, x));
        else
            HR_TRY(read_tensor(file, x, &file->tensors[file->n_tensors++]));
    }
    HR_TRY(check_tiling(file));
    for (size_t i = 0; i < file->n_tensors; i++)
        file->by_name[i] = i;
    qsort_r(file->by_name, file->n_tensors, sizeof *file->by_name, compare_names,
            file->tensors);
    return HR_OK;
}

static hr_status open_parts(hr_safetensors *file, const char *path)
{
    file->path = hr_strdup(path);
    if (file->path == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the name %s", path);
    HR_TRY(map_file(file));
    HR_TRY(parse_header(file));
    return read_tensors(file);
}

hr_status hr_safetensors_open(const char *path, hr_safetensors **out)
{
    hr_safetensors *file;
    void *memory;
    hr_status status;

    HR_TRY(hr_alloc_or_fail(sizeof *file, path, &memory));
    file = memory;
    status = open_parts(file, path);
    if (status != HR_OK) {
        hr_safetensors_close(file);
        return status;
    }
    *out = file;
    return HR_OK;
}

void hr_safetensors_close(hr_safetensors *file)
{
    if (file == NULL)
        return;
    if (file->map != NULL)
        munmap(file->map, file->map_bytes);
    hr_json_close(file->header);
    hr_free(file->tensors);
    hr_free(file->by_name);
    hr_free(file->path);
    hr_free(file);
}

const char *hr_safetensors_path(const hr_safetensors *file)
{
    return file->path;
}

size_t hr_safetensors_count(const hr_safetensors *file)
{
    return file->n_tensors;
}

const hr_stored_tensor *hr_safetensors_at(const hr_safetensors *file, size_t i)
{
    return &file->tensors[i];
}

const hr_stored_tensor *hr_safetensors_find(const hr_safetensors *file, const char *name)
{
    size_t low = 0, high = file->n_tensors;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const hr_stored_tensor *t = &file->tensors[file->by_name[middle]];
        int order = strcmp(name, t->name);
        if (order == 0)
            return t;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

void hr_safetensors_release(const hr_stored_tensor *tensor)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)tensor->data, end = begin + tensor->n_bytes;

    /* Whole pages only: the edges may hold neighbours. It is advice, so a refusal costs
     * nothing. */
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}
