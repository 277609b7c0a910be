/* Decoding that was interrupted and goes on, on as many ranks or others; and frames that
 * come from a file. Runs on HR_TEST_RANKS ranks. */
#include "worker/decode_rig.h"

#include "support/test_util.h"

#include "base/memory.h"
#include "io/checkpoint.h"

#include <stdio.h>
#include <string.h>

/* Stopped when `n_until` frames were fetched, on all ranks at once, or on rank 0 alone.
 */
static void check_stopped(hr_group *all, hr_decode_case v, int64_t n_until, bool alone)
{
    hr_status status = HR_ERR_CANCELLED;

    v.n_until = hr_group_rank(all) == 0 ? n_until : 0;
    v.receipt = NULL;
    if (!alone || hr_group_rank(all) == 0)
        status = alone ? hr_decode_rig_alone(&v) : hr_decode_rig_run(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_CANCELLED);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

/* After how many fetched frames one rank alone stops, then all; how many the last fetch.
 */
typedef struct course {
    int64_t first_stop, second_stop, n_fetched;
    bool ends_alone;
} course;

/* What was begun by one rank, and gone on with by all, is ended by all or by one: the
 * same film and the same receipt as in one go. */
static void check_interrupted(hr_group *all, hr_decode_case v, const course *c)
{
    bool is_first = hr_group_rank(all) == 0;
    const char *folder = hr_test_folder();
    const char *whole = hr_test_path(folder, "whole.mp4");
    hr_receipt *expected = NULL;

    v.fail_at = HR_DECODE_NO_FRAME;
    v.segments = hr_test_path(folder, "segments");
    v.film = whole;
    if (is_first) {
        v.receipt = expected = hr_decode_rig_receipt(&v);
        hr_test_ok(hr_decode_rig_alone(&v));
        v.receipt = hr_decode_rig_receipt(&v);
    }
    v.film = hr_test_path(folder, "film.mp4");
    check_stopped(all, v, c->first_stop, true);
    check_stopped(all, v, c->second_stop, false);
    if (!c->ends_alone)
        hr_test_ok(hr_decode_rig_run(all, &v));
    else if (is_first)
        hr_test_ok(hr_decode_rig_alone(&v));
    if (is_first) {
        assert_int_equal(v.n_fetched, c->n_fetched);
        hr_test_same_files(whole, v.film);
        hr_decode_rig_same_receipts(expected, v.receipt);
        hr_receipt_free(v.receipt);
        hr_receipt_free(expected);
        assert_int_equal(hr_test_count_entries(folder), 2);
    }
}

/* Picture 97 is the first of latent frame 25, 193 of 49: their past begins at 0 and 11.
 */
static void test_interrupted(hr_group *all)
{
    hr_decode_case v = {
        .case_name = "wan21-odd", .height = 2, .width = 2, .n_frames = 56};

    check_interrupted(all, v, &(course){30, 54, 56 - 11, .ends_alone = true});
}

/* Latent frame 25 is the third new one of piece 7 of 13; or, in windows of 4, blended
 * with piece 22 of 37. */
static void test_interrupted_windows(hr_group *all)
{
    hr_decode_case v = {
        .case_name = "wan21-odd", .height = 2, .width = 2, .n_frames = 40};

    v.window = 6;
    check_interrupted(all, v, &(course){60, 20, 5 * 6 + 4, .ends_alone = true});
    v.window = 4;
    check_interrupted(all, v, &(course){112, 20, 15 * 4, .ends_alone = false});
}

/* All pictures are there, but the film cannot be written: the next try decodes nothing.
 */
static void test_only_the_joining_is_left(hr_group *all)
{
    hr_decode_case v = {.case_name = "wan21-odd",
                        .height = 2,
                        .width = 2,
                        .n_frames = 27,
                        .fail_at = HR_DECODE_NO_FRAME};
    const char *folder = hr_test_folder();
    hr_status status;

    v.segments = hr_test_path(folder, "segments");
    v.film = hr_test_path(folder, "absent/film.mp4");
    hr_test_catch_log();
    status = hr_decode_rig_run(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_IO);
    hr_test_release_log();
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    v.film = hr_test_path(folder, "film.mp4");
    hr_test_ok(hr_decode_rig_run(all, &v));
    assert_int_equal(v.n_fetched, 0);
    if (hr_group_rank(all) == 0)
        assert_int_equal(hr_test_count_entries(folder), 1);
}

/* The frames of a video as a file of denoised latents. */
typedef struct written {
    hr_plan plan;
    int steps_done;
} written;

static size_t latent_bytes(const hr_plan *p)
{
    return (size_t)(p->latent_channels * p->latent_height * p->latent_width) *
           sizeof(float);
}

/* Of what the frame is now, the true one. */
static hr_hash step_hash(const written *w, int64_t frame, int step)
{
    hr_hash hash = {(uint64_t)frame + 1, (uint64_t)step + 1};
    float *latent;

    if (step + 1 < w->steps_done)
        return hash;
    latent = hr_alloc(latent_bytes(&w->plan));
    hr_decode_rig_latent(&w->plan, frame, latent);
    hash = hr_hash_bytes(latent, latent_bytes(&w->plan));
    hr_free(latent);
    return hash;
}

static hr_status give_frame(void *user, int64_t frame, hr_checkpoint_frame *out)
{
    const written *w = user;

    hr_decode_rig_latent(&w->plan, frame, out->x);
    out->step = w->steps_done;
    for (int k = 0; k < w->steps_done; k++)
        out->hashes[k] = step_hash(w, frame, k);
    return HR_OK;
}

static void write_latents(hr_group *all, const written *w, const char *path)
{
    const hr_plan *p = &w->plan;
    int size = hr_group_size(all), rank = hr_group_rank(all);
    const hr_checkpoint_head head = {.n_frames = p->latent_frames,
                                     .channels = p->latent_channels,
                                     .height = p->latent_height,
                                     .width = p->latent_width,
                                     .n_steps = 2,
                                     .steps_done = w->steps_done,
                                     .job = "",
                                     .model = "",
                                     .job_yaml = ""};
    hr_checkpoint_source source = {.frame = give_frame, .user = (void *)(uintptr_t)w};

    source.first_frame = p->latent_frames * rank / size;
    source.n_frames = p->latent_frames * (rank + 1) / size - source.first_frame;
    hr_test_ok(hr_checkpoint_save(all, path, &head, &source));
}

/* A path that all ranks know. */
static void share_path(hr_group *all, const char *name, char path[256])
{
    snprintf(path, 256, "%s", hr_test_path(hr_test_folder(), name));
    hr_test_ok(hr_group_broadcast(all, 0, path, 256));
}

static written written_of(hr_group *all, hr_decode_case *v, int steps_done)
{
    hr_decode_rig *r = hr_decode_rig_start(all, v);
    written w = {.plan = r->plan, .steps_done = steps_done};

    hr_decode_rig_stop(r);
    return w;
}

static void test_stored(hr_group *all)
{
    hr_decode_case made = {.case_name = "wan21-odd",
                           .height = 3,
                           .width = 2,
                           .n_frames = 4,
                           .fail_at = HR_DECODE_NO_FRAME},
                   stored;
    bool is_first = hr_group_rank(all) == 0;
    const char *folder = hr_test_folder();
    written w = written_of(all, &made, 2);
    char path[256];

    share_path(all, "latents.h5", path);
    write_latents(all, &w, path);
    stored = made;
    stored.stored = is_first ? path : "not read here";
    made.film = hr_test_path(folder, "made.mp4");
    stored.film = hr_test_path(folder, "stored.mp4");
    if (is_first) {
        hr_test_ok(hr_receipt_create(2, 4, 13, &made.receipt));
        hr_test_ok(hr_receipt_create(2, 4, 13, &stored.receipt));
        for (int k = 0; k < 2; k++)
            for (int64_t f = 0; f < 4; f++)
                hr_receipt_set_latent(made.receipt, k, f, step_hash(&w, f, k));
    }
    hr_test_ok(hr_decode_rig_run(all, &made));
    hr_test_ok(hr_decode_rig_run(all, &stored));
    if (is_first) {
        hr_test_same_files(made.film, stored.film);
        hr_decode_rig_same_receipts(made.receipt, stored.receipt);
        hr_receipt_free(made.receipt);
        hr_receipt_free(stored.receipt);
    }
}

/* A file that is not what is to be decoded: one line on rank 0. */
static void check_stored_refused(hr_group *all, const written *w, hr_decode_case v,
                                 const char *line)
{
    char path[256];
    hr_status status;

    share_path(all, "latents.h5", path);
    write_latents(all, w, path);
    v.stored = path;
    v.film = hr_test_path(hr_test_folder(), "film.mp4");
    hr_test_catch_log();
    status = hr_decode_rig_run(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_CHECKPOINT);
    if (hr_group_rank(all) == 0) {
        assert_int_equal(hr_test_log_lines(), 1);
        assert_non_null(strstr(hr_test_log_line(0), line));
    }
    hr_test_release_log();
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

static void test_stored_refused(hr_group *all)
{
    hr_decode_case v = {.case_name = "wan21-odd",
                        .height = 3,
                        .width = 2,
                        .n_frames = 4,
                        .fail_at = HR_DECODE_NO_FRAME};
    written w = written_of(all, &v, 1);

    check_stored_refused(all, &w, v, "found latents after 1 of 2 steps");
    v.width = 3;
    w.steps_done = 2;
    check_stored_refused(all, &w, v, "3 x 2, expected 4 of");
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(test_interrupted),
        HR_RANK_TEST(test_interrupted_windows),
        HR_RANK_TEST(test_only_the_joining_is_left),
        HR_RANK_TEST(test_stored),
        HR_RANK_TEST(test_stored_refused),
    };

    return hr_test_run_on_ranks("worker/decode_restart", tests,
                                sizeof tests / sizeof tests[0]);
}
