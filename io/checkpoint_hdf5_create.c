#include "io/checkpoint_hdf5.h"

#include "base/fault.h"
#include "base/log.h"
#include "io/checkpoint_hdf5_inside.h"
#include "io/checkpoint_seal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* First element of what is filled later: by it the place of a data set is found. Another
 * for each. */
typedef struct mark {
    uint32_t words[2];
} mark;

static mark mark_of(hr_checkpoint_set set)
{
    return (mark){{0x6c616821 + ((uint32_t)set << 4), 0x6c656572}};
}

typedef struct maker {
    hid_t file;
    const hr_checkpoint_head *head;
    hr_checkpoint_layout *layout;
} maker;

static const struct {
    const char *name, *description;
} groups[] = {
    {"/embeddings", "What the text encoder made of the prompts."},
    {"/frames", "State of each latent frame."},
    {"/rounds", "Steps that are not done for all windows."},
    {"/pending", "What waits to be used. Empty where all steps are done."},
};
enum { N_GROUPS = sizeof groups / sizeof groups[0] };

/* Fixed length, UTF-8. < 0: failed. */
static hid_t text_type(size_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    if (type >= 0 &&
        (H5Tset_size(type, bytes) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

static bool add_attribute(hid_t to, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR), attribute = H5I_INVALID_HID;
    bool is_good = false;

    if (space >= 0 && type >= 0)
        attribute = H5Acreate2(to, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        is_good = H5Awrite(attribute, type, value) >= 0;
        is_good &= H5Aclose(attribute) >= 0;
    }
    if (space >= 0)
        H5Sclose(space);
    return is_good && !hr_fault("hdf5.attribute");
}

static bool add_text(hid_t to, const char *name, const char *value)
{
    hid_t type = text_type(strlen(value) + 1);
    bool is_good = add_attribute(to, name, type, value);

    if (type >= 0)
        H5Tclose(type);
    return is_good;
}

static bool add_number(hid_t to, const char *name, int64_t value)
{
    return add_attribute(to, name, H5T_STD_I64LE, &value);
}

/* Without the time of day: equal states, equal bytes. */
static bool add_groups(const maker *m)
{
    hid_t made = H5Pcreate(H5P_GROUP_CREATE);
    bool is_good = made >= 0 && H5Pset_obj_track_times(made, false) >= 0;

    for (int i = 0; i < N_GROUPS && is_good; i++) {
        hid_t group = H5Gcreate2(m->file, groups[i].name, H5P_DEFAULT, made, H5P_DEFAULT);

        if (group < 0 || hr_fault("hdf5.group"))
            is_good = false;
        else
            is_good = add_text(group, "description", groups[i].description);
        if (group >= 0)
            H5Gclose(group);
    }
    if (made >= 0)
        H5Pclose(made);
    return is_good;
}

static bool add_root(const maker *m)
{
    return add_text(m->file, "format", "haloreel checkpoint 1") &&
           add_text(m->file, "description",
                    "State of a denoising by haloreel; docs/checkpoint.md") &&
           add_number(m->file, "n_steps", m->head->n_steps) &&
           add_number(m->file, "steps_done", m->head->steps_done) &&
           add_number(m->file, "rounds_done", m->head->rounds_done);
}

/* One piece on the disk, at once and not filled: chunks of one size, all there, in
 * order. < 0: failed. */
static hid_t set_properties(const hr_checkpoint_layout *layout, hr_checkpoint_set set)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];
    hid_t made = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[HR_CHECKPOINT_MAX_DIMS];
    bool is_good = made >= 0 && H5Pset_obj_track_times(made, false) >= 0 &&
                   H5Pset_fill_time(made, H5D_FILL_TIME_NEVER) >= 0 &&
                   H5Pset_alloc_time(made, H5D_ALLOC_TIME_EARLY) >= 0;

    for (int d = 0; d < spec->n_dims; d++)
        chunk[d] =
            d < spec->n_dims - spec->n_chunk_dims ? 1 : (hsize_t)layout->dims[set][d];
    if (is_good && spec->n_chunk_dims > 0 && hr_checkpoint_set_bytes(layout, set) > 0)
        is_good = H5Pset_chunk(made, spec->n_dims, chunk) >= 0;
    if (made >= 0 && !is_good) {
        H5Pclose(made);
        return H5I_INVALID_HID;
    }
    return made;
}

static hid_t create_set(const maker *m, hr_checkpoint_set set, hid_t type)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];
    hid_t properties = set_properties(m->layout, set), space, made = H5I_INVALID_HID;
    hsize_t dims[HR_CHECKPOINT_MAX_DIMS];

    for (int d = 0; d < spec->n_dims; d++)
        dims[d] = (hsize_t)m->layout->dims[set][d];
    space = spec->type == HR_TYPE_TEXT ? H5Screate(H5S_SCALAR)
                                       : H5Screate_simple(spec->n_dims, dims, NULL);
    if (properties >= 0 && space >= 0)
        made = H5Dcreate2(m->file, spec->name, type, space, H5P_DEFAULT, properties,
                          H5P_DEFAULT);
    if (space >= 0)
        H5Sclose(space);
    if (properties >= 0)
        H5Pclose(properties);
    return made;
}

/* What rank 0 writes for all; NULL: each writes its own. */
static const void *common_data(const hr_checkpoint_head *head, hr_checkpoint_set set)
{
    switch (set) {
    case HR_SET_JOB:
        return head->job == NULL ? "" : head->job;
    case HR_SET_MODEL:
        return head->model == NULL ? "" : head->model;
    case HR_SET_JOB_YAML:
        return head->job_yaml == NULL ? "" : head->job_yaml;
    case HR_SET_PROMPT:
        return head->prompt.data;
    case HR_SET_NEGATIVE_PROMPT:
        return head->negative_prompt.data;
    case HR_SET_ROUNDS:
        return head->rounds;
    default:
        return NULL;
    }
}

static bool write_mark(hid_t made, hid_t type, hr_checkpoint_set set)
{
    const mark first = mark_of(set);
    const hsize_t start[HR_CHECKPOINT_MAX_DIMS] = {0}, one = 1;
    const hsize_t count[HR_CHECKPOINT_MAX_DIMS] = {1, 1, 1, 1, 1};
    hid_t space = H5Dget_space(made), memory = H5Screate_simple(1, &one, NULL);
    bool is_good =
        space >= 0 && memory >= 0 &&
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
        H5Dwrite(made, type, memory, space, H5P_DEFAULT, &first) >= 0;

    if (space >= 0)
        H5Sclose(space);
    if (memory >= 0)
        H5Sclose(memory);
    return is_good;
}

/* Where HDF5 says that the data begin: of chunks the first, which the others follow. */
static bool find_place(const maker *m, hr_checkpoint_set set, hid_t made)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];
    const int64_t *dims = m->layout->dims[set];
    hsize_t first[HR_CHECKPOINT_MAX_DIMS] = {0}, last[HR_CHECKPOINT_MAX_DIMS] = {0};
    haddr_t at, end;
    hsize_t bytes;
    unsigned mask;

    if (spec->n_chunk_dims == 0) {
        at = H5Dget_offset(made);
        m->layout->offset[set] = (int64_t)at;
        return at != HADDR_UNDEF;
    }
    for (int d = 0; d < spec->n_dims - spec->n_chunk_dims; d++)
        last[d] = (hsize_t)dims[d] - 1;
    if (H5Dget_chunk_info_by_coord(made, first, &mask, &at, &bytes) < 0 ||
        H5Dget_chunk_info_by_coord(made, last, &mask, &end, &bytes) < 0)
        return false;
    m->layout->offset[set] = (int64_t)at;
    return at != HADDR_UNDEF && end != HADDR_UNDEF &&
           end + bytes - at == (haddr_t)hr_checkpoint_set_bytes(m->layout, set);
}

static bool add_set(const maker *m, hr_checkpoint_set set)
{
    const hr_checkpoint_spec *spec = &hr_checkpoint_specs[set];
    const void *data = common_data(m->head, set);
    const bool is_text = spec->type == HR_TYPE_TEXT;
    const bool is_empty = hr_checkpoint_set_bytes(m->layout, set) == 0;
    hid_t type =
        is_text ? text_type((size_t)m->layout->dims[set][0]) : hr_hdf5_type(spec->type);
    hid_t made = type < 0 ? type : create_set(m, set, type);
    bool is_good = made >= 0 && !hr_fault("hdf5.set") &&
                   add_text(made, "description", spec->description) &&
                   add_text(made, "unit", spec->unit);

    if (is_good && !is_empty && spec->is_common)
        is_good = H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    else if (is_good && !is_empty)
        is_good = write_mark(made, type, set);
    if (is_good && !is_empty)
        is_good = find_place(m, set, made);
    if (made >= 0)
        is_good &= H5Dclose(made) >= 0;
    if (is_text && type >= 0)
        H5Tclose(type);
    return is_good;
}

static bool fill(const maker *m)
{
    bool is_good = add_root(m) && add_groups(m);

    for (int set = 0; set < HR_SET_COUNT && is_good; set++)
        is_good = add_set(m, (hr_checkpoint_set)set);
    return is_good;
}

/* The file, with its root group. < 0: failed. */
static hid_t create_file(const char *part)
{
    hid_t made = H5Pcreate(H5P_FILE_CREATE), access = hr_hdf5_access(NULL);
    hid_t file = H5I_INVALID_HID;

    if (made >= 0 && access >= 0 &&
        H5Pset_userblock(made, HR_CHECKPOINT_USER_BLOCK) >= 0 &&
        H5Pset_obj_track_times(made, false) >= 0)
        file = H5Fcreate(part, H5F_ACC_TRUNC, made, access);
    if (made >= 0)
        H5Pclose(made);
    if (access >= 0)
        H5Pclose(access);
    return file;
}

/* Versions of HDF5 differ in whether a place counts from the user block on. */
static hr_status settle_place(int fd, const char *path, const maker *m,
                              hr_checkpoint_set set)
{
    const mark first = mark_of(set);
    const void *common = common_data(m->head, set);
    const int64_t bytes = hr_checkpoint_set_bytes(m->layout, set);
    const int64_t n = bytes < 8 ? bytes : 8;
    const int64_t n_known =
        hr_checkpoint_specs[set].is_common
            ? n
            : (int64_t)hr_checkpoint_type_bytes(hr_checkpoint_specs[set].type);
    char found[8];

    for (int i = 0; i < 2; i++) {
        HR_TRY(hr_checkpoint_read_at(fd, path, m->layout->offset[set], found, n));
        if (memcmp(found, common == NULL ? &first : common, (size_t)n_known) == 0)
            return HR_OK;
        m->layout->offset[set] += HR_CHECKPOINT_USER_BLOCK;
        if (m->layout->offset[set] + n > m->layout->bytes)
            break;
    }
    return hr_fail(HR_ERR_INTERNAL, "%s: HDF5 has not put %s where it says", path,
                   hr_checkpoint_specs[set].name);
}

static hr_status settle_places(const char *part, const maker *m)
{
    hr_status status = HR_OK;
    struct stat info;
    int fd;

    HR_TRY(hr_checkpoint_open_file(part, &fd));
    if (fstat(fd, &info) != 0)
        status =
            hr_fail(HR_ERR_IO, "%s: cannot find out its size: %s", part, strerror(errno));
    else
        m->layout->bytes = info.st_size;
    for (int set = 0; set < HR_SET_COUNT && status == HR_OK; set++)
        if (hr_checkpoint_set_bytes(m->layout, (hr_checkpoint_set)set) > 0)
            status = settle_place(fd, part, m, (hr_checkpoint_set)set);
    close(fd);
    return status;
}

hr_status hr_checkpoint_hdf5_create(const char *part, const char *path,
                                    const hr_checkpoint_head *head,
                                    hr_checkpoint_layout *layout)
{
    const hr_hdf5_names names = {part, path, (int64_t)hr_checkpoint_bytes(head)};
    maker m = {.head = head, .layout = layout};
    hr_status status = HR_OK;

    hr_hdf5_begin();
    m.file = hr_fault("hdf5.create") ? H5I_INVALID_HID : create_file(part);
    if (m.file < 0)
        return hr_hdf5_fail("create", &names);
    if (!fill(&m))
        status = hr_hdf5_fail("write", &names);
    if ((H5Fclose(m.file) < 0 || hr_fault("hdf5.close_created")) && status == HR_OK)
        status = hr_hdf5_fail("close", &names);
    return status == HR_OK ? settle_places(part, &m) : status;
}
