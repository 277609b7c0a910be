#include "comm/rows.h"

#include "base/log.h"
#include "base/memory.h"

#include <inttypes.h>

struct hr_rows {
    hr_group *group; /* NULL: alone */
    int rank, size;
    int64_t height;
    hr_exchange *messages; /* room for one to and one from each other rank */
    char *host;            /* what travels */
    size_t host_bytes;
};

hr_band hr_rows_band(int64_t height, int rank, int size)
{
    int64_t first = height * rank / size;

    return (hr_band){.first = first, .n = height * (rank + 1) / size - first};
}

hr_status hr_rows_open(hr_group *group, int64_t height, hr_rows **out)
{
    int size = group != NULL ? hr_group_size(group) : 1;
    hr_status status;
    hr_rows *rows;
    void *memory;

    if (size > height)
        return hr_fail(HR_ERR_INTERNAL, "%" PRId64 " rows cannot be shared by %d ranks",
                       height, size);
    HR_TRY(hr_alloc_or_fail(sizeof *rows, "bands of rows", &memory));
    rows = memory;
    rows->group = size > 1 ? group : NULL;
    rows->rank = size > 1 ? hr_group_rank(group) : 0;
    rows->size = size;
    rows->height = height;
    status = hr_alloc_or_fail(2 * (size_t)size * sizeof *rows->messages, "bands of rows",
                              &memory);
    if (status != HR_OK) {
        hr_rows_close(rows);
        return status;
    }
    rows->messages = memory;
    *out = rows;
    return HR_OK;
}

void hr_rows_close(hr_rows *rows)
{
    if (rows == NULL)
        return;
    hr_free(rows->host);
    hr_free(rows->messages);
    hr_free(rows);
}

int64_t hr_rows_height(const hr_rows *rows)
{
    return rows->height;
}

hr_band hr_rows_mine(const hr_rows *rows)
{
    return hr_rows_band(rows->height, rows->rank, rows->size);
}

int hr_rows_above(const hr_rows *rows)
{
    return rows->rank > 0 ? 1 : 0;
}

int hr_rows_below(const hr_rows *rows)
{
    return rows->rank + 1 < rows->size ? 1 : 0;
}

/* Room for n parts of `bytes` each, kept for the next time. */
static hr_status want_room(hr_rows *rows, int64_t n, size_t bytes)
{
    size_t total;
    void *memory;

    HR_TRY(hr_size_mul((size_t)n, bytes, &total));
    if (total <= rows->host_bytes)
        return HR_OK;
    HR_TRY(hr_alloc_or_fail(total, "rows on their way", &memory));
    hr_free(rows->host);
    rows->host = memory;
    rows->host_bytes = total;
    return HR_OK;
}

/* A row of a map [T, rows, W, C]. */
static hr_tensor row_of(const hr_tensor *x, int64_t t, int64_t row)
{
    hr_tensor lines =
        hr_tensor_reshape(x, HR_DIMS(x->dim[0] * x->dim[1], x->dim[2] * x->dim[3]));

    return hr_tensor_slice(&lines, t * x->dim[1] + row, 1);
}

/* One side's rows: `mine` is the band's own row next to the halo row `theirs`. */
typedef struct side {
    int peer;
    int64_t mine, theirs;
    char *sent, *received; /* [T] rows each */
} side;

static hr_status copy_out(hr_stream *stream, const hr_tensor *x, const side *s,
                          size_t bytes)
{
    for (int64_t t = 0; t < x->dim[0]; t++) {
        hr_tensor row = row_of(x, t, s->mine);

        HR_TRY(hr_copy_to_host(stream, s->sent + (size_t)t * bytes, &row));
    }
    return HR_OK;
}

static hr_status copy_in(hr_stream *stream, const hr_tensor *x, const side *s,
                         size_t bytes)
{
    for (int64_t t = 0; t < x->dim[0]; t++) {
        hr_tensor row = row_of(x, t, s->theirs);

        HR_TRY(hr_copy_to_device(stream, &row, s->received + (size_t)t * bytes));
    }
    return HR_OK;
}

hr_status hr_rows_exchange(hr_rows *rows, hr_stream *stream, const hr_tensor *x)
{
    size_t bytes = (size_t)(x->dim[2] * x->dim[3]) * hr_dtype_size(x->dtype);
    size_t part = (size_t)x->dim[0] * bytes, n = 0;
    int n_sides = 0;
    side sides[2];

    if (rows->group == NULL)
        return HR_OK;
    HR_TRY(want_room(rows, 4, part));
    if (hr_rows_above(rows) > 0)
        sides[n_sides++] = (side){.peer = rows->rank - 1, .mine = 1, .theirs = 0};
    if (hr_rows_below(rows) > 0)
        sides[n_sides++] = (side){
            .peer = rows->rank + 1, .mine = x->dim[1] - 2, .theirs = x->dim[1] - 1};
    for (int i = 0; i < n_sides; i++) {
        side *s = &sides[i];

        s->sent = rows->host + (size_t)(2 * i) * part;
        s->received = s->sent + part;
        HR_TRY(copy_out(stream, x, s, bytes));
        rows->messages[n++] = (hr_exchange){
            .peer = s->peer, .is_send = true, .data = s->sent, .bytes = part};
        rows->messages[n++] =
            (hr_exchange){.peer = s->peer, .data = s->received, .bytes = part};
    }
    HR_TRY(hr_stream_sync(stream));
    HR_TRY(hr_group_exchange(rows->group, rows->messages, n));
    for (int i = 0; i < n_sides; i++)
        HR_TRY(copy_in(stream, x, &sides[i], bytes));
    return hr_stream_sync(stream);
}

hr_status hr_rows_gather(hr_rows *rows, hr_stream *stream, const hr_tensor *mine,
                         const hr_tensor *all)
{
    size_t row_bytes = hr_tensor_bytes(all) / (size_t)rows->height, n = 0;
    hr_band own = hr_rows_mine(rows);
    char *own_data;

    if (rows->group == NULL)
        return hr_copy(stream, all, mine);
    HR_TRY(want_room(rows, rows->height, row_bytes));
    own_data = rows->host + (size_t)own.first * row_bytes;
    HR_TRY(hr_copy_to_host(stream, own_data, mine));
    HR_TRY(hr_stream_sync(stream));
    for (int peer = 0; peer < rows->size; peer++) {
        hr_band theirs = hr_rows_band(rows->height, peer, rows->size);

        if (peer == rows->rank)
            continue;
        rows->messages[n++] = (hr_exchange){.peer = peer,
                                            .is_send = true,
                                            .data = own_data,
                                            .bytes = (size_t)own.n * row_bytes};
        rows->messages[n++] =
            (hr_exchange){.peer = peer,
                          .data = rows->host + (size_t)theirs.first * row_bytes,
                          .bytes = (size_t)theirs.n * row_bytes};
    }
    HR_TRY(hr_group_exchange(rows->group, rows->messages, n));
    HR_TRY(hr_copy_to_device(stream, all, rows->host));
    return hr_stream_sync(stream);
}
