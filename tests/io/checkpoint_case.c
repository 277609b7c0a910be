#include "io/checkpoint_case.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

/* Any value tells where it belongs. */
static float value_of(int64_t what, int64_t frame, int64_t i)
{
    return (float)(what * 7 + frame) + (float)i / 65536.0F;
}

static int step_of(const checkpoint_case *c, int64_t frame)
{
    return (int)(frame % (c->n_steps + 1));
}

static int64_t n_elements(const checkpoint_case *c)
{
    return c->channels * c->height * c->width;
}

static void fill(const checkpoint_case *c, float *out, int64_t what, int64_t frame)
{
    for (int64_t i = 0; i < n_elements(c); i++)
        out[i] = value_of(what, frame, i);
}

static hr_hash hash_of(const checkpoint_case *c, int64_t frame, int step, const float *x)
{
    const uint64_t n = (uint64_t)frame * 1000 + (uint64_t)step + 1;

    if (step == step_of(c, frame) - 1)
        return hr_hash_bytes(x, (size_t)n_elements(c) * sizeof *x);
    return step < step_of(c, frame) ? (hr_hash){n << 40 | n, ~n} : (hr_hash){0};
}

static hr_status give_frame(void *user, int64_t frame, hr_checkpoint_frame *out)
{
    const checkpoint_case *c = user;

    if (frame == c->bad_frame)
        return hr_fail(HR_ERR_IO, "frame %d cannot be had", (int)frame);
    out->step = step_of(c, frame);
    fill(c, out->x, 1, frame);
    for (int i = 0; i < c->n_history; i++)
        fill(c, out->history[i], 2 + i, frame);
    for (int step = 0; step < c->n_steps; step++)
        out->hashes[step] = hash_of(c, frame, step, out->x);
    return HR_OK;
}

/* Entry `i` of all. */
static hr_pending pending_of(const checkpoint_case *c, int64_t i)
{
    return (hr_pending){.kind = (int32_t)(i % 2),
                        .step = (int32_t)(i % c->n_steps),
                        .window = (int32_t)(i % c->n_frames) - 1,
                        .branch = (int32_t)(i % 3) - 1,
                        .frame = (int32_t)(i % c->n_frames)};
}

static hr_status give_pending(void *user, int64_t i, hr_pending *head, float *data)
{
    const checkpoint_case *c = user;
    const int64_t number = i * c->size + c->rank;

    if (number == c->bad_pending)
        return hr_fail(HR_ERR_IO, "entry %d cannot be had", (int)number);
    *head = pending_of(c, number);
    fill(c, data, 100, number);
    return HR_OK;
}

/* Uneven on purpose: the last rank has what is left. */
static void share_out(checkpoint_case *c)
{
    const int first = c->leaves_out_first && c->size > 1 ? 1 : 0;
    const int64_t each = (c->n_frames + c->size - first - 1) / (c->size - first);
    const int64_t from = (c->rank - first) * each;

    c->source.first_frame = from < 0 || from > c->n_frames ? 0 : from;
    c->source.n_frames = from < 0 || from >= c->n_frames ? 0 : c->n_frames - from;
    if (c->source.n_frames > each)
        c->source.n_frames = each;
    c->source.n_pending =
        c->rank >= c->n_pending ? 0 : (c->n_pending - c->rank - 1) / c->size + 1;
}

void checkpoint_case_begin(checkpoint_case *c, hr_group *all)
{
    c->rank = hr_group_rank(all);
    c->size = hr_group_size(all);
    c->source =
        (hr_checkpoint_source){.frame = give_frame, .pending = give_pending, .user = c};
    c->give_frame = give_frame;
    share_out(c);
    c->rounds = hr_alloc((size_t)c->n_rounds * sizeof *c->rounds);
    c->embeds = hr_alloc(5 * 7 * sizeof *c->embeds);
    assert_non_null(c->rounds);
    assert_non_null(c->embeds);
    for (int64_t i = 0; i < c->n_rounds; i++)
        c->rounds[i] = (hr_round){(int32_t)(i % c->n_steps), (int32_t)(i % c->n_frames)};
    for (int i = 0; i < 5 * 7; i++)
        c->embeds[i] = value_of(50, 0, i);
    c->head = (hr_checkpoint_head){.n_frames = c->n_frames,
                                   .channels = c->channels,
                                   .height = c->height,
                                   .width = c->width,
                                   .n_history = c->n_history,
                                   .n_steps = c->n_steps,
                                   .rounds = c->rounds,
                                   .n_rounds = c->n_rounds,
                                   .steps_done = c->n_steps / 2,
                                   .rounds_done = 34};
    if (c->is_bare)
        return;
    c->head.job = "prompt\tA red c\xc3\xa4t\nsampler.seed\t7\n";
    c->head.model = "transformer/a.safetensors\t0123\n";
    c->head.job_yaml = "prompt: A red c\xc3\xa4t\n";
    c->head.prompt = (hr_checkpoint_embeds){5, 7, c->embeds};
    c->head.negative_prompt = (hr_checkpoint_embeds){2, 7, c->embeds + 7};
}

void checkpoint_case_end(checkpoint_case *c)
{
    hr_free(c->rounds);
    hr_free(c->embeds);
}

static void check_text(const char *found, const char *expected)
{
    assert_string_equal(found, expected == NULL ? "" : expected);
}

static void check_embeds(const hr_checkpoint_embeds *found,
                         const hr_checkpoint_embeds *expected)
{
    const size_t bytes = (size_t)(found->n * found->width) * sizeof(float);

    assert_int_equal(found->n, expected->n);
    assert_int_equal(found->width, expected->width);
    if (bytes > 0)
        assert_memory_equal(found->data, expected->data, bytes);
}

static void check_head(const checkpoint_case *c, const hr_checkpoint_head *head)
{
    assert_int_equal(head->n_frames, c->n_frames);
    assert_int_equal(head->channels, c->channels);
    assert_int_equal(head->height, c->height);
    assert_int_equal(head->width, c->width);
    assert_int_equal(head->n_history, c->n_history);
    assert_int_equal(head->n_steps, c->n_steps);
    assert_int_equal(head->steps_done, c->head.steps_done);
    assert_int_equal(head->rounds_done, c->head.rounds_done);
    assert_int_equal(head->n_pending, c->n_pending);
    assert_int_equal(head->n_rounds, c->n_rounds);
    for (int64_t i = 0; i < c->n_rounds; i++)
        assert_memory_equal(&head->rounds[i], &c->rounds[i], sizeof(hr_round));
    check_text(head->job, c->head.job);
    check_text(head->model, c->head.model);
    check_text(head->job_yaml, c->head.job_yaml);
    check_embeds(&head->prompt, &c->head.prompt);
    check_embeds(&head->negative_prompt, &c->head.negative_prompt);
}

static void check_tensor(const checkpoint_case *c, const float *found, int64_t what,
                         int64_t frame)
{
    for (int64_t i = 0; i < n_elements(c); i++)
        if (found[i] != value_of(what, frame, i))
            fail_msg("tensor %d of frame %d: element %d", (int)what, (int)frame, (int)i);
}

static void check_frame(const checkpoint_case *c, hr_checkpoint *file, int64_t frame,
                        hr_checkpoint_frame *room)
{
    hr_test_ok(hr_checkpoint_read_frame(file, frame, room));
    assert_int_equal(room->step, step_of(c, frame));
    check_tensor(c, room->x, 1, frame);
    for (int i = 0; i < c->n_history; i++)
        check_tensor(c, room->history[i], 2 + i, frame);
    for (int step = 0; step < c->n_steps; step++)
        assert_true(hr_hash_equal(room->hashes[step], hash_of(c, frame, step, room->x)));
}

/* They lie in the order of ranks. */
static void check_pending(const checkpoint_case *c, hr_checkpoint *file, float *room)
{
    const hr_pending *heads = hr_checkpoint_get_pending(file);
    int64_t at = 0;

    for (int rank = 0; rank < c->size; rank++)
        for (int64_t number = rank; number < c->n_pending; number += c->size, at++) {
            const hr_pending expected = pending_of(c, number);

            assert_memory_equal(&heads[at], &expected, sizeof expected);
            hr_test_ok(hr_checkpoint_read_pending(file, at, room));
            check_tensor(c, room, 100, number);
        }
}

void checkpoint_case_check(const checkpoint_case *c, const char *path)
{
    const size_t bytes = (size_t)n_elements(c) * sizeof(float);
    hr_checkpoint_frame room = {.x = hr_alloc(bytes),
                                .hashes = hr_alloc((size_t)c->n_steps * sizeof(hr_hash))};
    hr_checkpoint *file;

    for (int i = 0; i < c->n_history; i++)
        room.history[i] = hr_alloc(bytes);
    hr_test_ok(hr_checkpoint_open(path, &file));
    check_head(c, hr_checkpoint_get_head(file));
    for (int64_t frame = 0; frame < c->n_frames; frame++)
        check_frame(c, file, frame, &room);
    check_pending(c, file, room.x);
    hr_test_ok(hr_checkpoint_read_frame(file, 0, &(hr_checkpoint_frame){.step = -1}));
    hr_checkpoint_close(file);
    for (int i = 0; i < c->n_history; i++)
        hr_free(room.history[i]);
    hr_free(room.hashes);
    hr_free(room.x);
}

const char *checkpoint_case_folder(hr_group *all)
{
    static char folder[4096];

    snprintf(folder, sizeof folder, "%s", hr_test_folder());
    hr_test_ok(hr_group_broadcast(all, 0, folder, sizeof folder));
    return folder;
}
