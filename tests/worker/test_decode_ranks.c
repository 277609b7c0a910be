/* Decoding by one rank and by several, at once and after interruptions: same pictures,
 * hashes, film and memory; failures end on all of them. Runs on HR_TEST_RANKS ranks and
 * each HR_TEST_DEVICE. */
#include "support/device.h"
#include "support/golden.h"
#include "support/ranks.h"
#include "worker/decode.h"
#include "worker/pieces.h"

#include "base/memory.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NO_FRAME = -1 };

/* What a video is made of, and where something goes wrong. */
typedef struct video {
    const char *case_name;
    int64_t height, width, n_frames; /* latent */
    int64_t window;                  /* latent frames; 0: streamed */
    const char *frames_file, *film, *segments;
    const char *stored; /* file to decode; NULL: frames are made on each rank */
    hr_receipt *receipt;
    int64_t fail_at; /* fetching this frame fails on the last rank */
    int64_t n_until; /* a stop is wanted when so many frames were fetched; 0: never */
    bool is_dry;
    /* found out: */
    int64_t n_fetched;
    size_t device_peak, host_growth;
    double flops;
    uint64_t rows_bytes;
} video;

/* A worker on the ranks of a group, with the plan of a video. */
typedef struct rig {
    hr_golden *golden;
    hr_model *model;
    hr_device *device;
    hr_worker *worker;
    hr_group *group;
    hr_job job;
    hr_plan plan;
    video *video;
} rig;

/* Latent frame `frame` of the video. */
static void make_latent(const hr_plan *p, int64_t frame, float *out)
{
    hr_test_random((uint32_t)(frame + 1), out,
                   (size_t)(p->latent_channels * p->latent_height * p->latent_width));
}

static hr_status fetch(void *user, int64_t frame, float *out)
{
    const rig *r = user;

    r->video->n_fetched++;
    if (frame == r->video->fail_at &&
        hr_group_rank(r->group) == hr_group_size(r->group) - 1)
        return hr_fail(HR_ERR_IO, "frame %d is gone", (int)frame);
    make_latent(&r->plan, frame, out);
    return HR_OK;
}

static void make_plan(rig *r)
{
    const hr_vae_config *vae = &hr_model_get_config(r->model)->vae;
    const video *v = r->video;

    hr_job_init(&r->job);
    r->job.fps = 16;
    r->plan = (hr_plan){.latent_frames = v->n_frames,
                        .latent_height = v->height,
                        .latent_width = v->width,
                        .latent_channels = vae->z_dim,
                        .frames = (v->n_frames - 1) * vae->scale_temporal + 1,
                        .height = v->height * vae->scale_spatial,
                        .width = v->width * vae->scale_spatial,
                        .decode = v->window > 0 ? HR_DECODE_WINDOWED : HR_DECODE_STREAMED,
                        .windows = {.length = v->window}};
}

static rig *rig_start(hr_group *group, video *v)
{
    rig *r = hr_alloc(sizeof *r);
    hr_worker_options options = {.layout = {1, 1, 1, 1}};

    assert_non_null(r);
    r->video = v;
    r->group = group;
    r->golden = hr_golden_open(v->case_name);
    hr_test_ok(hr_model_open(hr_golden_pipeline(r->golden), &r->model));
    if (v->is_dry)
        hr_test_ok(hr_device_open(&(hr_device_options){.name = "dry"}, &r->device));
    else
        r->device = hr_test_device_open(1);
    options.model = r->model;
    options.device = r->device;
    hr_test_ok(hr_worker_open(group, &options, &r->worker));
    make_plan(r);
    return r;
}

static void rig_stop(rig *r)
{
    hr_worker_close(r->worker);
    hr_device_close(r->device);
    hr_model_close(r->model);
    hr_golden_close(r->golden);
    hr_job_free(&r->job);
    hr_free(r);
}

static hr_wish wish(void *user, const hr_pace *pace)
{
    const video *v = user;

    assert_null(pace);
    return v->n_until > 0 && v->n_fetched >= v->n_until ? HR_WISH_STOP : HR_WISH_NONE;
}

static hr_status run_decode(rig *r, video *v)
{
    const hr_frame_source source = {.fetch = fetch, .user = r};
    const hr_worker_hooks hooks = {.wish = wish, .user = v};
    const hr_render render = {
        .job = &r->job,
        .plan = &r->plan,
        .save = {.frames_file = v->frames_file, .video = v->film},
        .checkpointing = {.latents = v->stored, .segments_folder = v->segments},
        .hooks = &hooks,
        .receipt = v->receipt};
    size_t before = hr_mem_peak_bytes();
    hr_status status;

    v->n_fetched = 0;
    hr_world_reset_traffic(hr_group_world(r->group));
    status = v->stored != NULL ? hr_decode_stored(r->worker, &render)
                               : hr_decode_stage(r->worker, &render, &source);
    v->rows_bytes = hr_world_traffic(hr_group_world(r->group)).bytes[HR_TRAFFIC_ROWS];
    v->flops = hr_device_get_stats(r->device).flops;
    v->device_peak = hr_device_get_stats(r->device).peak_bytes;
    v->host_growth = hr_mem_peak_bytes() - before;
    return status;
}

/* Decodes with the ranks of the group. */
static hr_status decode(hr_group *group, video *v)
{
    rig *r = rig_start(group, v);
    hr_status status = run_decode(r, v);

    rig_stop(r);
    return status;
}

/* The pictures of latent frames [first, first + n) behind frame 0 (itself, for the first
 * piece), by a decoder alone: what docs/vae.md says. *made of them; to be freed. */
static float *decode_piece(const rig *r, const hr_piece *piece, int64_t *made)
{
    const hr_plan *p = &r->plan;
    hr_worker *w = r->worker;
    const hr_vae_decoder_options options = {.height = p->latent_height,
                                            .width = p->latent_width};
    size_t picture = (size_t)(p->height * p->width * 3);
    int64_t n = piece->n + (piece->first > 0 ? 1 : 0), done = 0;
    float *all = hr_alloc((size_t)(4 * n) * picture * sizeof(float)), *latent;
    hr_vae_decoder *decoder;
    const hr_vae *vae;

    latent = hr_alloc((size_t)(p->latent_channels * p->latent_height * p->latent_width) *
                      sizeof(float));
    hr_test_ok(hr_parts_vae(w, &vae));
    hr_test_ok(hr_vae_decoder_create(vae, w->stream, &options, &decoder));
    for (int64_t i = 0; i < n; i++) {
        int64_t frame = piece->first > 0 ? (i == 0 ? 0 : piece->first + i - 1) : i;
        int64_t count = hr_vae_decoder_next_frames(decoder);
        hr_tensor in, out;
        float *rgb;

        make_latent(p, frame, latent);
        in = hr_test_upload(
            w->stream, HR_F32,
            HR_DIMS(p->latent_channels, p->latent_height, p->latent_width), latent);
        hr_test_ok(hr_tensor_create(r->device, HR_F32,
                                    HR_DIMS(count, p->height, p->width, 3), &out));
        hr_test_ok(hr_vae_decoder_run(decoder, w->stream, w->arena, &in, &out, NULL));
        rgb = hr_test_download(w->stream, &out);
        if (piece->first == 0 || i > 0) {
            memcpy(all + (size_t)done * picture, rgb,
                   (size_t)count * picture * sizeof(float));
            done += count;
        }
        hr_free(rgb);
        hr_tensor_free(&in);
        hr_tensor_free(&out);
    }
    hr_vae_decoder_destroy(decoder);
    hr_free(latent);
    *made = done;
    return all;
}

/* The whole video from pieces of 6 as the demo model has them: a later one adds three
 * latent frames, its first is dropped, its second blended. */
static float *expect_video(hr_group *alone, video *v, size_t *n_values)
{
    rig *r = rig_start(alone, v);
    size_t picture = (size_t)(r->plan.height * r->plan.width * 3);
    float *all = hr_alloc((size_t)r->plan.frames * picture * sizeof(float));
    int64_t done = 0, latents_done = 0;

    while (latents_done < v->n_frames) {
        hr_piece piece = {.n = v->window > 0 && v->window < v->n_frames ? v->window
                                                                        : v->n_frames};
        int64_t n, skip = 0;
        float *made;

        if (latents_done > 0) {
            piece.first = latents_done - 2;
            piece.n = v->n_frames - piece.first < 5 ? v->n_frames - piece.first : 5;
        }
        made = decode_piece(r, &piece, &n);
        if (latents_done > 0) {
            float *old = all + (size_t)(done - 4) * picture;

            skip = 8;
            for (size_t t = 0; t < 4; t++)
                for (size_t i = t * picture; i < (t + 1) * picture; i++) {
                    float weight = (float)(t + 1) / 5, rest = 1 - weight;

                    old[i] = fmaf(weight, made[4 * picture + i], rest * old[i]);
                }
        }
        memcpy(all + (size_t)done * picture, made + (size_t)skip * picture,
               (size_t)(n - skip) * picture * sizeof(float));
        done += n - skip;
        latents_done = piece.first + piece.n;
        hr_free(made);
    }
    assert_int_equal(done, r->plan.frames);
    *n_values = (size_t)done * picture;
    rig_stop(r);
    return all;
}

static void check_file(const char *path, const float *want, size_t n_values)
{
    hr_safetensors *file;
    const hr_stored_tensor *stored;

    hr_test_ok(hr_safetensors_open(path, &file));
    stored = hr_safetensors_find(file, "frames");
    assert_non_null(stored);
    assert_int_equal(stored->n_elements, n_values);
    assert_memory_equal(stored->data, want, n_values * sizeof(float));
    hr_safetensors_close(file);
}

static void check_receipt(const video *v, const float *want, size_t n_values)
{
    int64_t n = (v->n_frames - 1) * 4 + 1;
    size_t picture = n_values / (size_t)n;
    hr_receipt *expected;
    hr_text difference = {0};

    hr_test_ok(hr_receipt_create(1, v->n_frames, n, &expected));
    for (int64_t f = 0; f < n; f++)
        hr_receipt_set_frame(
            expected, f,
            hr_hash_bytes(want + (size_t)f * picture, picture * sizeof(float)));
    hr_test_ok(hr_receipt_compare(v->receipt, expected, &difference));
    assert_int_equal(difference.length, 0);
    hr_text_free(&difference);
    hr_receipt_free(expected);
}

static void check(hr_group *all, video v)
{
    bool is_first = hr_group_rank(all) == 0;
    float *want = NULL;
    size_t n_values;
    hr_world *alone;

    v.frames_file = hr_test_path(hr_test_folder(), "frames.safetensors");
    v.fail_at = NO_FRAME;
    if (is_first) {
        hr_test_ok(hr_world_open_alone(&alone));
        want = expect_video(hr_world_group(alone), &v, &n_values);
        hr_world_close(alone);
        hr_test_ok(
            hr_receipt_create(1, v.n_frames, (v.n_frames - 1) * 4 + 1, &v.receipt));
    }
    hr_test_ok(decode(all, &v));
    if (is_first) {
        check_file(v.frames_file, want, n_values);
        check_receipt(&v, want, n_values);
        hr_receipt_free(v.receipt);
        hr_free(want);
    }
}

static void test_streamed(hr_group *all)
{
    check(all,
          (video){.case_name = "wan21-tiny", .height = 5, .width = 4, .n_frames = 3});
    check(all, (video){.case_name = "wan22-5b", .height = 7, .width = 3, .n_frames = 3});
}

static void test_ranks_without_rows(hr_group *all)
{
    check(all, (video){.case_name = "wan21-odd", .height = 2, .width = 5, .n_frames = 2});
    check(all, (video){.case_name = "wan21-odd", .height = 1, .width = 5, .n_frames = 2});
}

static void test_windowed(hr_group *all)
{
    video v = {.case_name = "wan21-tiny", .height = 5, .width = 4, .window = 6};
    static const int64_t n_frames[] = {6, 7, 10}; /* one piece, two, three */

    for (int i = 0; i < 3; i++) {
        v.n_frames = n_frames[i];
        check(all, v);
    }
}

/* One rank cannot fetch: all leave, and nothing is left on the disk. */
static void test_a_rank_fails(hr_group *all)
{
    video v = {.case_name = "wan21-odd", .height = 5, .width = 4, .n_frames = 6};
    const char *folder = hr_test_folder();
    hr_status status;

    v.frames_file = hr_test_path(folder, "frames.safetensors");
    v.fail_at = 2;
    hr_test_catch_log();
    status = decode(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_IO);
    hr_test_release_log();
    assert_int_equal(status, HR_ERR_IO);
    assert_int_equal(hr_test_count_entries(folder), 0);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

/* The files cannot be made: rank 0 knows, the others hear of it. */
static void test_no_place_for_the_files(hr_group *all)
{
    video v = {.case_name = "wan21-odd", .height = 5, .width = 4, .n_frames = 6};
    hr_status status;

    v.frames_file = hr_test_path(hr_test_folder(), "absent/frames.safetensors");
    v.fail_at = NO_FRAME;
    hr_test_catch_log();
    status = decode(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_IO);
    hr_test_release_log();
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

static hr_receipt *receipt_of(const video *v)
{
    hr_receipt *receipt = NULL;

    hr_test_ok(hr_receipt_create(1, v->n_frames, (v->n_frames - 1) * 4 + 1, &receipt));
    return receipt;
}

static void check_same_receipts(const hr_receipt *a, const hr_receipt *b)
{
    hr_text difference = {0};

    hr_test_ok(hr_receipt_compare(a, b, &difference));
    assert_int_equal(difference.length, 0);
    hr_text_free(&difference);
}

static void check_same_files(const char *a, const char *b)
{
    size_t n_a, n_b;
    char *of_a = hr_test_read(a, &n_a), *of_b = hr_test_read(b, &n_b);

    assert_int_equal(n_a, n_b);
    assert_memory_equal(of_a, of_b, n_a);
    hr_free(of_a);
    hr_free(of_b);
}

/* Decodes on rank 0 alone, while the others do not. */
static hr_status decode_alone(video *v)
{
    hr_world *alone;
    hr_status status;

    hr_test_ok(hr_world_open_alone(&alone));
    status = decode(hr_world_group(alone), v);
    hr_world_close(alone);
    return status;
}

/* Stopped when `n_until` frames were fetched, on all ranks at once, or on rank 0 alone.
 */
static void check_stopped(hr_group *all, video v, int64_t n_until, bool alone)
{
    hr_status status = HR_ERR_CANCELLED;

    v.n_until = n_until;
    v.receipt = NULL;
    if (!alone || hr_group_rank(all) == 0)
        status = alone ? decode_alone(&v) : decode(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_CANCELLED);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

/* After how many fetched frames one rank stops, then all do; how many the last fetch. */
typedef struct course {
    int64_t first_stop, second_stop, n_fetched;
    bool ends_alone;
} course;

/* What was begun by one rank, and gone on with by all, is ended by all or by one: the
 * same film and the same receipt as in one go. */
static void check_interrupted(hr_group *all, video v, const course *c)
{
    bool is_first = hr_group_rank(all) == 0;
    const char *folder = hr_test_folder();
    const char *whole = hr_test_path(folder, "whole.mp4");
    hr_receipt *expected = NULL;

    v.fail_at = NO_FRAME;
    v.segments = hr_test_path(folder, "segments");
    v.film = whole;
    if (is_first) {
        v.receipt = expected = receipt_of(&v);
        hr_test_ok(decode_alone(&v));
        v.receipt = receipt_of(&v);
    }
    v.film = hr_test_path(folder, "film.mp4");
    check_stopped(all, v, c->first_stop, true);
    check_stopped(all, v, c->second_stop, false);
    if (!c->ends_alone)
        hr_test_ok(decode(all, &v));
    else if (is_first)
        hr_test_ok(decode_alone(&v));
    if (is_first) {
        assert_int_equal(v.n_fetched, c->n_fetched);
        check_same_files(whole, v.film);
        check_same_receipts(expected, v.receipt);
        hr_receipt_free(v.receipt);
        hr_receipt_free(expected);
        assert_int_equal(hr_test_count_entries(folder), 2);
    }
}

/* Picture 97 is the first of latent frame 25, 193 of 49: their past begins at 0 and 11.
 */
static void test_interrupted(hr_group *all)
{
    video v = {.case_name = "wan21-odd", .height = 2, .width = 2, .n_frames = 56};

    check_interrupted(all, v, &(course){30, 54, 56 - 11, .ends_alone = true});
    v.case_name = "wan22-5b";
    check_interrupted(all, v, &(course){30, 54, 56 - 11, .ends_alone = false});
}

/* Latent frame 25 is the third new one of piece 7 of 13; or, in windows of 4, blended
 * with piece 22 of 37. */
static void test_interrupted_windows(hr_group *all)
{
    video v = {.case_name = "wan21-odd", .height = 2, .width = 2, .n_frames = 40};

    v.window = 6;
    check_interrupted(all, v, &(course){60, 20, 5 * 6 + 4, .ends_alone = true});
    v.window = 4;
    check_interrupted(all, v, &(course){112, 20, 15 * 4, .ends_alone = false});
}

/* All pictures are there, but the film cannot be written: the next try decodes nothing.
 */
static void test_only_the_joining_is_left(hr_group *all)
{
    video v = {.case_name = "wan21-odd",
               .height = 2,
               .width = 2,
               .n_frames = 27,
               .fail_at = NO_FRAME};
    const char *folder = hr_test_folder();
    hr_status status;

    v.segments = hr_test_path(folder, "segments");
    v.film = hr_test_path(folder, "absent/film.mp4");
    hr_test_catch_log();
    status = decode(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_IO);
    hr_test_release_log();
    hr_test_ok(hr_world_recover(hr_group_world(all)));
    v.film = hr_test_path(folder, "film.mp4");
    hr_test_ok(decode(all, &v));
    assert_int_equal(v.n_fetched, 0);
    if (hr_group_rank(all) == 0)
        assert_int_equal(hr_test_count_entries(folder), 1);
}

/* The frames of a video as a file of denoised latents. */
typedef struct written {
    hr_plan plan;
    int steps_done;
} written;

static hr_hash step_hash(int64_t frame, int step)
{
    return (hr_hash){(uint64_t)frame + 1, (uint64_t)step + 1};
}

static hr_status give_frame(void *user, int64_t frame, hr_checkpoint_frame *out)
{
    const written *w = user;

    make_latent(&w->plan, frame, out->x);
    out->step = w->steps_done;
    for (int k = 0; k < w->steps_done; k++)
        out->hashes[k] = step_hash(frame, k);
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

static written written_of(hr_group *all, video *v, int steps_done)
{
    rig *r = rig_start(all, v);
    written w = {.plan = r->plan, .steps_done = steps_done};

    rig_stop(r);
    return w;
}

static void test_stored(hr_group *all)
{
    video made = {.case_name = "wan21-odd",
                  .height = 3,
                  .width = 2,
                  .n_frames = 4,
                  .fail_at = NO_FRAME},
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
                hr_receipt_set_latent(made.receipt, k, f, step_hash(f, k));
    }
    hr_test_ok(decode(all, &made));
    hr_test_ok(decode(all, &stored));
    if (is_first) {
        check_same_files(made.film, stored.film);
        check_same_receipts(made.receipt, stored.receipt);
        hr_receipt_free(made.receipt);
        hr_receipt_free(stored.receipt);
    }
}

/* A file that is not what is to be decoded: one line on rank 0. */
static void check_stored_refused(hr_group *all, const written *w, video v,
                                 const char *line)
{
    char path[256];
    hr_status status;

    share_path(all, "latents.h5", path);
    write_latents(all, w, path);
    v.stored = path;
    v.film = hr_test_path(hr_test_folder(), "film.mp4");
    hr_test_catch_log();
    status = decode(all, &v);
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
    video v = {.case_name = "wan21-odd",
               .height = 3,
               .width = 2,
               .n_frames = 4,
               .fail_at = NO_FRAME};
    written w = written_of(all, &v, 1);

    check_stored_refused(all, &w, v, "found latents after 1 of 2 steps");
    v.width = 3;
    w.steps_done = 2;
    check_stored_refused(all, &w, v, "3 x 2, expected 4 of");
}

/* Four times the frames: the same peak on the device, none higher on the host. */
static void check_memory(hr_group *all, int64_t window)
{
    video v = {.case_name = "wan21-tiny",
               .height = 5,
               .width = 2,
               .window = window,
               .fail_at = NO_FRAME};
    video longer;

    v.frames_file = hr_test_path(hr_test_folder(), "frames.safetensors");
    v.n_frames = 7;
    longer = v;
    longer.n_frames = 4 * v.n_frames;
    hr_test_ok(decode(all, &v));
    hr_test_ok(decode(all, &longer));
    assert_int_equal(longer.device_peak, v.device_peak);
    assert_true(longer.host_growth < 4096);
}

static void test_memory_is_constant(hr_group *all)
{
    check_memory(all, 0);
    check_memory(all, 6);
}

/* A dry run in a pretended world counts what a real one sends, computes and takes (but
 * for how the device keeps weights). */
static void test_estimate(hr_group *all)
{
    video real = {
        .case_name = "wan21-tiny", .height = 5, .width = 4, .fail_at = NO_FRAME};
    int rank = hr_group_rank(all), size = hr_group_size(all);
    video dry;
    hr_world *pretended;

    real.n_frames = 9;
    real.window = 6;
    dry = real;
    dry.is_dry = true;
    hr_test_ok(decode(all, &real));
    hr_test_ok(hr_world_open_pretended(rank, size, size, &pretended));
    hr_test_ok(decode(hr_world_group(pretended), &dry));
    hr_world_close(pretended);
    assert_int_equal(dry.rows_bytes, real.rows_bytes);
    assert_true(size == 1 || real.rows_bytes > 0);
    assert_true(dry.flops > 0 && fabs(dry.flops - real.flops) <= 1e-9 * real.flops);
    assert_true(fabs((double)dry.device_peak - (double)real.device_peak) <
                0.08 * (double)real.device_peak);
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(test_memory_is_constant), /* before others raise the peak */
        HR_RANK_TEST(test_streamed),
        HR_RANK_TEST(test_ranks_without_rows),
        HR_RANK_TEST(test_windowed),
        HR_RANK_TEST(test_estimate),
        HR_RANK_TEST(test_interrupted),
        HR_RANK_TEST(test_interrupted_windows),
        HR_RANK_TEST(test_only_the_joining_is_left),
        HR_RANK_TEST(test_stored),
        HR_RANK_TEST(test_stored_refused),
        HR_RANK_TEST(test_a_rank_fails),
        HR_RANK_TEST(test_no_place_for_the_files),
    };

    return hr_test_run_on_ranks("worker/decode_ranks", tests,
                                sizeof tests / sizeof tests[0]);
}
