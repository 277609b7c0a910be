#include "io/checkpoint.h"

#include "base/log.h"
#include "base/memory.h"
#include "comm/native.h"
#include "io/checkpoint_agree.h"
#include "io/checkpoint_hdf5.h"
#include "io/checkpoint_part.h"
#include "io/checkpoint_seal.h"
#include "io/out_file.h"

#include <inttypes.h>
#include <unistd.h>

/* Frames are written in pieces of about so many bytes; of small frames a few. */
enum { PIECE_BYTES = 8 << 20, MAX_PIECE_ROWS = 16 };

/* What each rank says about itself. */
typedef struct share {
    int64_t first_frame, n_frames, n_pending;
    hr_hash sizes; /* of all that shapes follow from: the same on all ranks */
} share;

typedef struct save {
    hr_group *group;
    const char *path;
    hr_checkpoint_head head; /* n_pending of all ranks */
    const hr_checkpoint_source *source;
    int rank, size;
    char *part;
    hr_out_file *out; /* of rank 0 */
    share *shares;    /* [size] */
    hr_checkpoint_hdf5 *hdf5;
    hr_checkpoint_seal *seal;
    hr_checkpoint_part made;

    int64_t piece_rows; /* frames or pending entries written at once */
    int64_t first_pending;
    void *room[HR_SET_COUNT]; /* a piece of what this rank writes */
} save;

/* Bytes of a row of a data set, as hr_checkpoint_rows counts them. */
static int64_t row_bytes(const hr_checkpoint_layout *layout, hr_checkpoint_set set)
{
    const int64_t n = layout->dims[set][hr_checkpoint_row_dim(set)];

    return n == 0 ? 0 : hr_checkpoint_set_bytes(layout, set) / n;
}

/* Local. What a rank needs to take part in all that follows. */
static hr_status prepare(save *s)
{
    const void *comm = hr_world_native_comm(hr_group_world(s->group));
    void *memory = NULL;

    HR_TRY(hr_out_file_part_of(s->path, &s->part));
    HR_TRY(hr_alloc_or_fail((size_t)s->size * sizeof *s->shares, "shares", &memory));
    s->shares = memory;
    HR_TRY(hr_alloc_or_fail(sizeof *s->seal, "the seal of a checkpoint", &memory));
    s->seal = memory;
    return hr_checkpoint_hdf5_prepare(s->part, s->path, comm, &s->hdf5);
}

/* Of what must be the same on all ranks. */
static hr_status hash_sizes(const hr_checkpoint_head *head, hr_hash *out)
{
    hr_checkpoint_head alone = *head;
    hr_checkpoint_layout layout;
    hr_text text = {0};
    hr_status status;

    alone.n_pending = 0;
    HR_TRY(hr_checkpoint_layout_init(&alone, &layout));
    status = hr_checkpoint_layout_text(&layout, &text);
    if (status == HR_OK)
        *out = hr_hash_bytes(text.s, text.length);
    hr_text_free(&text);
    return status;
}

static hr_status check_mine(save *s, share *mine)
{
    *mine = (share){.first_frame = s->source->first_frame,
                    .n_frames = s->source->n_frames,
                    .n_pending = s->source->n_pending};
    HR_TRY(hash_sizes(&s->head, &mine->sizes));
    HR_TRY(hr_checkpoint_layout_init(&s->head, &s->made.layout));
    for (int64_t i = 0; i < s->head.n_rounds; i++)
        if (!hr_checkpoint_is_round(&s->made.layout, &s->head.rounds[i]))
            return hr_fail(HR_ERR_INTERNAL,
                           "a checkpoint: round %" PRId64 " is out of range", i);
    return HR_OK;
}

/* Each frame has one owner. */
static hr_status check_owners(const save *s)
{
    int64_t at = 0, total = 0;
    bool has_moved = true;

    for (int i = 0; i < s->size; i++)
        total += s->shares[i].n_frames;
    while (has_moved && at < s->head.n_frames) {
        has_moved = false;
        for (int i = 0; i < s->size; i++)
            if (s->shares[i].n_frames > 0 && s->shares[i].first_frame == at) {
                at += s->shares[i].n_frames;
                has_moved = true;
            }
    }
    if (at == s->head.n_frames && total == at)
        return HR_OK;
    return hr_fail(HR_ERR_INTERNAL, "a checkpoint: frame %" PRId64 " has not one owner",
                   at);
}

static hr_status check_shares(save *s)
{
    for (int i = 0; i < s->size; i++) {
        if (!hr_hash_equal(s->shares[i].sizes, s->shares[0].sizes))
            return hr_fail(HR_ERR_INTERNAL,
                           "a checkpoint: rank %d has other sizes than rank 0", i);
        if (i == s->rank)
            s->first_pending = s->head.n_pending;
        s->head.n_pending += s->shares[i].n_pending;
    }
    return check_owners(s);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Room for a piece, whatever the length of the video. */
static hr_status make_room(save *s)
{
    static const hr_checkpoint_set sets[] = {
        HR_SET_STEP,   HR_SET_LATENTS,       HR_SET_HISTORY,
        HR_SET_HASHES, HR_SET_PENDING_HEADS, HR_SET_PENDING_LATENTS};
    const share *mine = &s->shares[s->rank];
    int64_t bytes = 0, rows;

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        bytes += row_bytes(&s->made.layout, sets[i]);
    s->piece_rows = least(bytes > PIECE_BYTES ? 1 : PIECE_BYTES / bytes, MAX_PIECE_ROWS);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        rows = sets[i] < HR_SET_PENDING_HEADS ? mine->n_frames : mine->n_pending;
        rows = least(rows, s->piece_rows);
        HR_TRY(hr_alloc_or_fail((size_t)(rows * row_bytes(&s->made.layout, sets[i])),
                                "a piece of frames", &s->room[sets[i]]));
    }
    return HR_OK;
}

/* Who has what: collective. */
static hr_status learn_shares(save *s)
{
    share mine = {0};
    hr_status status = check_mine(s, &mine);

    HR_TRY(hr_checkpoint_agree(s->group, status));
    HR_TRY(hr_checkpoint_gather(s->group, &mine, sizeof mine, s->shares));
    s->head.n_pending = 0;
    status = check_shares(s);
    if (status == HR_OK)
        status = hr_checkpoint_layout_init(&s->head, &s->made.layout);
    if (status == HR_OK)
        status = make_room(s);
    return hr_checkpoint_agree(s->group, status);
}

static float *at_row(const save *s, hr_checkpoint_set set, int64_t row)
{
    return (float *)((char *)s->room[set] + row * row_bytes(&s->made.layout, set));
}

static hr_status fetch_frame(const save *s, int64_t frame, int64_t row, int64_t n)
{
    const int64_t *dims = s->made.layout.dims[HR_SET_LATENTS];
    const int64_t elements = dims[1] * dims[2] * dims[3];
    hr_checkpoint_frame to = {.x = at_row(s, HR_SET_LATENTS, row),
                              .hashes = (hr_hash *)at_row(s, HR_SET_HASHES, row)};

    for (int i = 0; i < s->head.n_history; i++)
        to.history[i] = (float *)s->room[HR_SET_HISTORY] + (i * n + row) * elements;
    HR_TRY(s->source->frame(s->source->user, frame, &to));
    if (!hr_checkpoint_is_step(&s->made.layout, to.step))
        return hr_fail(HR_ERR_INTERNAL, "a checkpoint: frame %" PRId64 " is at step %d",
                       frame, to.step);
    ((int32_t *)s->room[HR_SET_STEP])[row] = to.step;
    return HR_OK;
}

static hr_status fetch_pending(const save *s, int64_t i, int64_t row)
{
    hr_pending *head = &((hr_pending *)s->room[HR_SET_PENDING_HEADS])[row];

    HR_TRY(s->source->pending(s->source->user, i, head,
                              at_row(s, HR_SET_PENDING_LATENTS, row)));
    if (hr_checkpoint_is_pending(&s->made.layout, head))
        return HR_OK;
    return hr_fail(HR_ERR_INTERNAL,
                   "a checkpoint: pending entry %" PRId64 " is out of range", i);
}

/* Collective: writes rows of some data sets. A rank that has failed writes none, but
 * takes part. */
static hr_status write_rows(const save *s, const hr_checkpoint_set *sets, size_t n_sets,
                            int64_t first, int64_t n, hr_status status)
{
    hr_world *world = hr_group_world(s->group);

    for (size_t i = 0; i < n_sets; i++) {
        const hr_checkpoint_rows rows = {.set = sets[i],
                                         .first = first,
                                         .n = status == HR_OK ? n : 0,
                                         .data = s->room[sets[i]]};
        hr_status written;

        hr_world_native_begin(world);
        written = hr_checkpoint_hdf5_write(s->hdf5, &rows);
        hr_world_native_end(world);
        if (status == HR_OK)
            status = written;
    }
    return status;
}

/* The longest list of any rank, in pieces. */
static int64_t count_pieces(const save *s, bool is_pending)
{
    int64_t most = 0;

    for (int i = 0; i < s->size; i++) {
        const int64_t n = is_pending ? s->shares[i].n_pending : s->shares[i].n_frames;

        most = n > most ? n : most;
    }
    return (most + s->piece_rows - 1) / s->piece_rows;
}

/* Collective: all frames, or all that is pending. Goes on to the end also when this rank
 * has failed: the others need it. */
static hr_status write_all(const save *s, bool is_pending, hr_status status)
{
    static const hr_checkpoint_set frame_sets[] = {HR_SET_STEP, HR_SET_LATENTS,
                                                   HR_SET_HISTORY, HR_SET_HASHES};
    static const hr_checkpoint_set pending_sets[] = {HR_SET_PENDING_HEADS,
                                                     HR_SET_PENDING_LATENTS};
    const share *mine = &s->shares[s->rank];
    const int64_t total = is_pending ? mine->n_pending : mine->n_frames;
    const int64_t n_pieces = count_pieces(s, is_pending);

    for (int64_t piece = 0; piece < n_pieces; piece++) {
        const int64_t from = least(piece * s->piece_rows, total);
        const int64_t n = least(s->piece_rows, total - from);

        for (int64_t i = 0; i < n && status == HR_OK; i++)
            status = is_pending ? fetch_pending(s, from + i, i)
                                : fetch_frame(s, mine->first_frame + from + i, i, n);
        if (is_pending)
            status = write_rows(s, pending_sets, 2, s->first_pending + from, n, status);
        else
            status = write_rows(s, frame_sets, 4, mine->first_frame + from, n, status);
    }
    return status;
}

/* Collective, all ranks come here: the calls of HDF5 lie between agreements that it alone
 * can break (native.h). Returns what this rank has failed at. */
static hr_status fill_parts(const save *s, hr_status status)
{
    hr_world *world = hr_group_world(s->group);
    hr_status worst = hr_world_native_agree(world, status), closed;

    if (worst != HR_OK)
        return status;
    hr_world_native_begin(world);
    status = hr_checkpoint_hdf5_open(s->hdf5, &s->made.layout);
    hr_world_native_end(world);
    worst = hr_world_native_agree(world, status);
    if (worst == HR_OK) {
        status = write_all(s, false, status);
        status = write_all(s, true, status);
        worst = hr_world_native_agree(world, status);
    }
    hr_world_native_begin(world);
    closed = hr_checkpoint_hdf5_close(s->hdf5, worst == HR_OK);
    hr_world_native_end(world);
    return status != HR_OK ? status : closed;
}

/* Rank 0 alone: the user block, the disk, the name. */
static hr_status commit(save *s)
{
    hr_out_file *out = s->out;

    hr_checkpoint_seal_finish(s->seal);
    hr_out_file_seek(out, 0);
    hr_out_file_write(out, s->seal->block, HR_CHECKPOINT_USER_BLOCK);
    s->out = NULL;
    return hr_out_file_commit(out); /* returns the failure of a write */
}

/* Collective, but for the name that rank 0 gives at the end. */
static hr_status seal(save *s)
{
    int fd = -1;
    hr_status status = hr_checkpoint_seal_init(&s->made.layout, s->seal);

    if (status == HR_OK)
        status = hr_checkpoint_open_file(s->part, &fd);
    status = hr_checkpoint_agree(s->group, status);
    if (status == HR_OK)
        status = hr_checkpoint_seal_hash(s->group, fd, s->part, s->seal, &s->seal->hash);
    if (fd >= 0)
        close(fd);
    HR_TRY(status);
    return s->rank == 0 ? commit(s) : HR_OK;
}

/* Rank 0 alone. */
static hr_status make_part(save *s)
{
    HR_TRY(hr_out_file_create(s->path, &s->out));
    return hr_checkpoint_part_make(s->part, s->path, &s->head, &s->made);
}

/* Collective: all that comes before HDF5's part. */
static hr_status begin(save *s)
{
    HR_TRY(hr_checkpoint_agree(s->group, prepare(s)));
    HR_TRY(learn_shares(s));
    HR_TRY(hr_checkpoint_agree(s->group, s->rank == 0 ? make_part(s) : HR_OK));
    HR_TRY(hr_checkpoint_share(s->group, &s->made, sizeof s->made));
    return hr_checkpoint_agree(s->group, hr_checkpoint_part_find(s->part, &s->made));
}

static void free_room(save *s)
{
    for (int set = 0; set < HR_SET_COUNT; set++) {
        hr_free(s->room[set]);
        s->room[set] = NULL;
    }
}

static hr_status run(save *s)
{
    hr_status status = fill_parts(s, begin(s));

    free_room(s);
    HR_TRY(hr_checkpoint_agree(s->group, status));
    return seal(s);
}

hr_status hr_checkpoint_save(hr_group *group, const char *path,
                             const hr_checkpoint_head *head,
                             const hr_checkpoint_source *source)
{
    save s = {.group = group,
              .path = path,
              .head = *head,
              .source = source,
              .rank = hr_group_rank(group),
              .size = hr_group_size(group)};
    hr_status status;

    s.head.n_pending = 0;
    /* All come to this end, so nobody looks for a part that rank 0 has removed. */
    status = hr_world_native_agree(hr_group_world(group), run(&s));
    hr_out_file_abandon(s.out);
    hr_checkpoint_hdf5_free(s.hdf5);
    free_room(&s);
    hr_free(s.shares);
    hr_free(s.seal);
    hr_free(s.part);
    return status;
}
