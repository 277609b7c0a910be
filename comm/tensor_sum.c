#include "comm/tensor_sum.h"

#include "base/assert.h"
#include "comm/wire.h"
#include "compute/ops.h"

/* Elements that travel at once: bounds the memory of both copies, and keeps them in the
 * cache. */
enum { MAX_PIECE = 1 << 18 };

/* `mine` goes to the partner, its partial sum comes back in `theirs`: straight there
 * where that is host memory. What is sent is a copy: MPI cannot take a send back, and
 * after a failure the arena is freed. */
static hr_status swap(hr_group *group, hr_stream *stream, int partner,
                      const hr_tensor *mine, const hr_tensor *theirs)
{
    const bool is_straight = hr_device_is_host(theirs->device);
    const size_t bytes = hr_tensor_bytes(mine);
    hr_wire wires[2] = {0};
    hr_wire_args args = {.peer = partner,
                         .lane = HR_LANE_COLLECTIVE,
                         .traffic = group->traffic,
                         .bytes = bytes};
    void *sent = NULL, *received;
    hr_status status;

    if (group->world->is_pretended)
        return hr_wire_send(group, &args, &wires[0]);
    HR_TRY(hr_group_stage(group, is_straight ? bytes : 2 * bytes, &sent));
    HR_TRY(hr_stream_sync(stream)); /* earlier work may use `theirs` */
    received = is_straight ? theirs->data : (char *)sent + bytes;
    args.data = received;
    HR_TRY_GOTO(hr_wire_receive(group, &args, &wires[0]), fail);
    HR_TRY_GOTO(hr_copy_to_host(stream, sent, mine), fail);
    HR_TRY_GOTO(hr_stream_sync(stream), fail);
    args.data = sent;
    HR_TRY_GOTO(hr_wire_send(group, &args, &wires[1]), fail);
    HR_TRY_GOTO(hr_wire_wait(group->world, wires, 2, group->traffic), fail);
    if (is_straight)
        return HR_OK;
    HR_TRY(hr_copy_to_device(stream, theirs, received));
    return hr_stream_sync(stream);

fail:
    hr_group_abandon(group, wires, 2);
    return status;
}

static hr_status sum_piece(hr_group *group, hr_stream *stream, const hr_tensor *x,
                           const hr_tensor *theirs)
{
    const hr_lincomb_args add = {.x = {*x, *theirs}, .out = *x, .c = {1, 1}, .n = 2};

    for (int bit = 1; bit < group->size; bit *= 2) {
        HR_TRY(swap(group, stream, group->rank ^ bit, x, theirs));
        HR_TRY(hr_op_lincomb(stream, &add));
    }
    return HR_OK;
}

hr_status hr_tensor_sum(hr_group *group, hr_stream *stream, hr_arena *arena,
                        const hr_tensor *x)
{
    const int64_t n = hr_tensor_count(x);
    const hr_tensor flat = hr_tensor_reshape(x, HR_DIMS(n));
    hr_status status = HR_OK;
    hr_arena_mark mark;
    hr_tensor theirs;

    if (group == NULL || group->size == 1)
        return HR_OK;
    HR_ASSERT((group->size & (group->size - 1)) == 0 && x->dtype == HR_F32);
    HR_TRY(hr_group_check(group));
    mark = hr_arena_get_mark(arena);
    HR_TRY(
        hr_arena_tensor(arena, HR_F32, HR_DIMS(n < MAX_PIECE ? n : MAX_PIECE), &theirs));
    for (int64_t at = 0; at < n && status == HR_OK; at += MAX_PIECE) {
        const int64_t length = n - at < MAX_PIECE ? n - at : MAX_PIECE;
        const hr_tensor piece = hr_tensor_slice(&flat, at, length);
        const hr_tensor room = hr_tensor_slice(&theirs, 0, length);

        status = sum_piece(group, stream, &piece, &room);
    }
    hr_arena_rewind(arena, mark);
    return status;
}
