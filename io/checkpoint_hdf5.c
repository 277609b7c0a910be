#include "io/checkpoint_hdf5.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/checkpoint_hdf5_inside.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

struct hr_checkpoint_hdf5 {
    hr_hdf5_names names;
    const void *comm;
    hr_checkpoint_layout layout;
    hid_t access, transfer, file;
    hid_t set[HR_SET_COUNT], space[HR_SET_COUNT];
    hid_t nothing;    /* of memory: for a rank that writes no row */
    hr_status status; /* the first failure, which was logged; others are not */
};

/* Of the first call that failed; the calls that clean up would make HDF5 forget it. */
static char first_cause[512];

/* A file's own driver says more than the message that we want. */
static herr_t take_cause(unsigned n, const H5E_error2_t *error, void *unused)
{
    static const char message[] = "error message = '";
    const char *cause = error->desc == NULL ? "" : error->desc;
    const char *inner = strstr(cause, message);

    (void)unused;
    if (n > 0)
        return 0;
    if (inner != NULL)
        cause = inner + sizeof message - 1;
    snprintf(first_cause, sizeof first_cause, "%.*s",
             (int)(inner != NULL ? strcspn(cause, "'") : strlen(cause)), cause);
    return 0;
}

static herr_t on_failure(hid_t stack, void *unused)
{
    (void)unused;
    if (first_cause[0] == '\0')
        H5Ewalk2(stack, H5E_WALK_UPWARD, take_cause, NULL);
    return 0;
}

void hr_hdf5_begin(void)
{
    static bool is_set;

    if (!is_set) {
        H5dont_atexit();
        H5Eset_auto2(H5E_DEFAULT, on_failure, NULL);
    }
    is_set = true;
    first_cause[0] = '\0';
}

hr_status hr_hdf5_fail(const char *doing, const hr_hdf5_names *names)
{
    char needed[16], available[16] = "?";
    struct statvfs info;

    if (statvfs(names->part, &info) == 0)
        hr_format_bytes((uint64_t)info.f_bavail * (uint64_t)info.f_frsize, available);
    return hr_fail(HR_ERR_IO, "cannot %s %s: %s (of %s, %s of disk are free)", doing,
                   names->path,
                   first_cause[0] == '\0' ? "HDF5 gives no cause" : first_cause,
                   hr_format_bytes((uint64_t)names->bytes, needed), available);
}

hid_t hr_hdf5_access(const void *comm)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);

    if (access < 0)
        return access;
    /* No locks: the run folder has one of its own, and not every file system knows them.
     * Nothing is kept back in a cache: a write fails where it is made. */
    if (H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
        H5Pset_cache(access, 0, 0, 0, 0) < 0 || H5Pset_sieve_buf_size(access, 0) < 0 ||
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0 ||
        H5Pset_file_locking(access, false, true) < 0 ||
        (comm != NULL &&
         H5Pset_fapl_mpio(access, *(const MPI_Comm *)comm, MPI_INFO_NULL) < 0)) {
        H5Pclose(access);
        return H5I_INVALID_HID;
    }
    return access;
}

hid_t hr_hdf5_type(hr_checkpoint_type type)
{
    switch (type) {
    case HR_TYPE_I32:
        return H5T_STD_I32LE;
    case HR_TYPE_U64:
        return H5T_STD_U64LE;
    case HR_TYPE_F32:
        return H5T_IEEE_F32LE;
    default:
        return 0;
    }
}

static hr_status failed(hr_checkpoint_hdf5 *file, const char *doing)
{
    if (file->status == HR_OK)
        file->status = hr_hdf5_fail(doing, &file->names);
    return file->status;
}

static bool is_filled_by_all(const hr_checkpoint_layout *layout, hr_checkpoint_set set)
{
    return !hr_checkpoint_specs[set].is_common &&
           hr_checkpoint_set_bytes(layout, set) > 0;
}

/* All that a write will need, so that it can always take part. */
static bool open_sets(hr_checkpoint_hdf5 *file)
{
    const hsize_t one = 1;

    file->nothing = H5Screate_simple(1, &one, NULL);
    if (file->nothing < 0 || H5Sselect_none(file->nothing) < 0)
        return false;
    for (int set = 0; set < HR_SET_COUNT; set++) {
        if (!is_filled_by_all(&file->layout, (hr_checkpoint_set)set))
            continue;
        file->set[set] = H5Dopen2(file->file, hr_checkpoint_specs[set].name, H5P_DEFAULT);
        file->space[set] =
            file->set[set] < 0 ? file->set[set] : H5Dget_space(file->set[set]);
        if (file->space[set] < 0)
            return false;
    }
    return !hr_fault("hdf5.open_set");
}

/* All ranks take part in a transfer, but each brings its own bytes to the file: a frame
 * is one piece there, so nothing is won by passing it on, and when the write of a rank
 * that writes for others fails, Open MPI (4.1) leaves those waiting. */
static bool make_transfer(hr_checkpoint_hdf5 *file)
{
    file->transfer = H5Pcreate(H5P_DATASET_XFER);
    return file->transfer >= 0 &&
           (file->comm == NULL ||
            (H5Pset_dxpl_mpio(file->transfer, H5FD_MPIO_COLLECTIVE) >= 0 &&
             H5Pset_dxpl_mpio_collective_opt(file->transfer, H5FD_MPIO_INDIVIDUAL_IO) >=
                 0 &&
             H5Pset_dxpl_mpio_chunk_opt(file->transfer, H5FD_MPIO_CHUNK_ONE_IO) >= 0));
}

hr_status hr_checkpoint_hdf5_prepare(const char *part, const char *path, const void *comm,
                                     hr_checkpoint_hdf5 **out)
{
    hr_checkpoint_hdf5 *file;
    void *memory;

    HR_TRY(hr_alloc_or_fail(sizeof *file, "an HDF5 file", &memory));
    file = memory;
    *file = (hr_checkpoint_hdf5){.names = {part, path, 0}, .comm = comm};
    hr_hdf5_begin();
    if (hr_fault("hdf5.prepare") || !make_transfer(file)) {
        hr_checkpoint_hdf5_free(file);
        return hr_hdf5_fail("write", &(hr_hdf5_names){part, path, 0});
    }
    *out = file;
    return HR_OK;
}

hr_status hr_checkpoint_hdf5_open(hr_checkpoint_hdf5 *file,
                                  const hr_checkpoint_layout *layout)
{
    file->layout = *layout;
    file->names.bytes = layout->bytes;
    file->access = hr_hdf5_access(file->comm);
    if (file->access >= 0)
        file->file = H5Fopen(file->names.part, H5F_ACC_RDWR, file->access);
    if (file->file <= 0 || hr_fault("hdf5.open"))
        return failed(file, "open");
    return open_sets(file) ? HR_OK : failed(file, "open the data sets of");
}

/* The rows in the file; of memory, which the caller closes. < 0: failed. */
static hid_t select_rows(const hr_checkpoint_hdf5 *file, const hr_checkpoint_rows *rows)
{
    const int n_dims = hr_checkpoint_specs[rows->set].n_dims;
    const int row_dim = hr_checkpoint_row_dim(rows->set);
    hsize_t start[HR_CHECKPOINT_MAX_DIMS] = {0}, count[HR_CHECKPOINT_MAX_DIMS];

    for (int d = 0; d < n_dims; d++)
        count[d] = (hsize_t)file->layout.dims[rows->set][d];
    start[row_dim] = (hsize_t)rows->first;
    count[row_dim] = (hsize_t)rows->n;
    if (H5Sselect_hyperslab(file->space[rows->set], H5S_SELECT_SET, start, NULL, count,
                            NULL) < 0)
        return H5I_INVALID_HID;
    return H5Screate_simple(n_dims, count, NULL);
}

/* A rank that has failed to choose its rows writes none, but takes part. */
hr_status hr_checkpoint_hdf5_write(hr_checkpoint_hdf5 *file,
                                   const hr_checkpoint_rows *rows)
{
    const hr_checkpoint_set set = rows->set;
    hid_t memory = 0;
    bool is_good = true;

    if (!is_filled_by_all(&file->layout, set))
        return HR_OK;
    if (rows->n > 0) {
        memory = hr_fault("hdf5.select") ? H5I_INVALID_HID : select_rows(file, rows);
        is_good = memory >= 0;
    }
    if (memory <= 0)
        is_good &= H5Sselect_none(file->space[set]) >= 0;
    is_good &= H5Dwrite(file->set[set], hr_hdf5_type(hr_checkpoint_specs[set].type),
                        memory > 0 ? memory : file->nothing, file->space[set],
                        file->transfer, memory > 0 ? rows->data : "") >= 0;
    if (!is_good || hr_fault("hdf5.write")) {
        hr_status status = failed(file, "write");

        if (memory > 0)
            H5Sclose(memory);
        return status;
    }
    return memory <= 0 || H5Sclose(memory) >= 0 ? HR_OK : failed(file, "write");
}

static bool close_sets(hr_checkpoint_hdf5 *file)
{
    bool is_good = true;

    for (int set = 0; set < HR_SET_COUNT; set++) {
        is_good &= file->space[set] <= 0 || H5Sclose(file->space[set]) >= 0;
        is_good &= file->set[set] <= 0 || H5Dclose(file->set[set]) >= 0;
    }
    is_good &= file->nothing <= 0 || H5Sclose(file->nothing) >= 0;
    return is_good;
}

hr_status hr_checkpoint_hdf5_close(hr_checkpoint_hdf5 *file, bool is_kept)
{
    bool is_good = close_sets(file);

    if (file->file > 0) {
        is_good &= !is_kept || H5Fflush(file->file, H5F_SCOPE_GLOBAL) >= 0;
        is_good &= H5Fclose(file->file) >= 0;
    }
    is_good &= file->access <= 0 || H5Pclose(file->access) >= 0;
    if (is_good && !(is_kept && hr_fault("hdf5.close")))
        return HR_OK;
    return failed(file, "close");
}

void hr_checkpoint_hdf5_free(hr_checkpoint_hdf5 *file)
{
    if (file == NULL)
        return;
    if (file->transfer > 0)
        H5Pclose(file->transfer);
    hr_free(file);
}
