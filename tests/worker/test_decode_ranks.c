/* Decoding by one rank and by several: same pictures, hashes and memory; failures end on
 * all of them. Runs on HR_TEST_RANKS ranks and each HR_TEST_DEVICE. */
#include "worker/decode_rig.h"

#include "support/device.h"
#include "support/ranks.h"
#include "support/test_util.h"
#include "worker/pieces.h"

#include "base/memory.h"
#include "io/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The pictures of latent frames [first, first + n) behind frame 0 (itself, for the first
 * piece), by a decoder alone: what docs/vae.md says. *made of them; to be freed. */
static float *decode_piece(const hr_decode_rig *r, const hr_piece *piece, int64_t *made)
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

        hr_decode_rig_latent(p, frame, latent);
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
static float *expect_video(hr_group *alone, hr_decode_case *v, size_t *n_values)
{
    hr_decode_rig *r = hr_decode_rig_start(alone, v);
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
    hr_decode_rig_stop(r);
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

static void check_receipt(const hr_decode_case *v, const float *want, size_t n_values)
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

static void check(hr_group *all, hr_decode_case v)
{
    bool is_first = hr_group_rank(all) == 0;
    float *want = NULL;
    size_t n_values;
    hr_world *alone;

    v.frames_file = hr_test_path(hr_test_folder(), "frames.safetensors");
    v.fail_at = HR_DECODE_NO_FRAME;
    if (is_first) {
        hr_test_ok(hr_world_open_alone(&alone));
        want = expect_video(hr_world_group(alone), &v, &n_values);
        hr_world_close(alone);
        hr_test_ok(
            hr_receipt_create(1, v.n_frames, (v.n_frames - 1) * 4 + 1, &v.receipt));
    }
    hr_test_ok(hr_decode_rig_run(all, &v));
    if (is_first) {
        check_file(v.frames_file, want, n_values);
        check_receipt(&v, want, n_values);
        hr_receipt_free(v.receipt);
        hr_free(want);
    }
}

static void test_streamed(hr_group *all)
{
    check(all, (hr_decode_case){
                   .case_name = "wan21-tiny", .height = 5, .width = 4, .n_frames = 3});
    check(all, (hr_decode_case){
                   .case_name = "wan22-5b", .height = 7, .width = 3, .n_frames = 3});
}

static void test_ranks_without_rows(hr_group *all)
{
    check(all, (hr_decode_case){
                   .case_name = "wan21-odd", .height = 2, .width = 5, .n_frames = 2});
    check(all, (hr_decode_case){
                   .case_name = "wan21-odd", .height = 1, .width = 5, .n_frames = 2});
}

static void test_windowed(hr_group *all)
{
    hr_decode_case v = {.case_name = "wan21-tiny", .height = 5, .width = 4, .window = 6};
    static const int64_t n_frames[] = {6, 7, 10}; /* one piece, two, three */

    for (int i = 0; i < 3; i++) {
        v.n_frames = n_frames[i];
        check(all, v);
    }
}

/* One rank cannot fetch: all leave, and nothing is left on the disk. */
static void test_a_rank_fails(hr_group *all)
{
    hr_decode_case v = {.case_name = "wan21-odd", .height = 5, .width = 4, .n_frames = 6};
    const char *folder = hr_test_folder();
    hr_status status;

    v.frames_file = hr_test_path(folder, "frames.safetensors");
    v.fail_at = 2;
    hr_test_catch_log();
    status = hr_decode_rig_run(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_IO);
    hr_test_release_log();
    assert_int_equal(status, HR_ERR_IO);
    assert_int_equal(hr_test_count_entries(folder), 0);
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

/* The files cannot be made: rank 0 knows, the others hear of it. */
static void test_no_place_for_the_files(hr_group *all)
{
    hr_decode_case v = {.case_name = "wan21-odd", .height = 5, .width = 4, .n_frames = 6};
    hr_status status;

    v.frames_file = hr_test_path(hr_test_folder(), "absent/frames.safetensors");
    v.fail_at = HR_DECODE_NO_FRAME;
    hr_test_catch_log();
    status = hr_decode_rig_run(all, &v);
    assert_int_equal(hr_group_agree(all, status), HR_ERR_IO);
    hr_test_release_log();
    hr_test_ok(hr_world_recover(hr_group_world(all)));
}

/* Four times the frames: the same peak on the device, none higher on the host. */
static void check_memory(hr_group *all, int64_t window)
{
    hr_decode_case v = {.case_name = "wan21-tiny",
                        .height = 5,
                        .width = 2,
                        .window = window,
                        .fail_at = HR_DECODE_NO_FRAME};
    hr_decode_case longer;

    v.frames_file = hr_test_path(hr_test_folder(), "frames.safetensors");
    v.n_frames = 7;
    longer = v;
    longer.n_frames = 4 * v.n_frames;
    hr_test_ok(hr_decode_rig_run(all, &v));
    hr_test_ok(hr_decode_rig_run(all, &longer));
    assert_int_equal(longer.device_peak, v.device_peak);
    assert_true(longer.host_growth < 4096);
}

static void test_memory_is_constant(hr_group *all)
{
    check_memory(all, 0);
    check_memory(all, 6);
}

/* A dry run in a pretended world counts what a real one sends, computes and takes. */
static void test_estimate(hr_group *all)
{
    hr_decode_case real = {.case_name = "wan21-tiny",
                           .height = 5,
                           .width = 4,
                           .fail_at = HR_DECODE_NO_FRAME};
    int rank = hr_group_rank(all), size = hr_group_size(all);
    hr_decode_case dry;
    hr_world *pretended;

    real.n_frames = 9;
    real.window = 6;
    dry = real;
    dry.is_dry = true;
    hr_test_ok(hr_decode_rig_run(all, &real));
    hr_test_ok(hr_world_open_pretended(rank, size, size, &pretended));
    hr_test_ok(hr_decode_rig_run(hr_world_group(pretended), &dry));
    hr_world_close(pretended);
    assert_int_equal(dry.rows_bytes, real.rows_bytes);
    assert_true(size == 1 || real.rows_bytes > 0);
    assert_true(dry.flops > 0 && fabs(dry.flops - real.flops) <= 1e-9 * real.flops);
    assert_int_equal(dry.device_peak, real.device_peak);
}

int main(void)
{
    static const hr_rank_test tests[] = {
        HR_RANK_TEST(test_memory_is_constant), /* before others raise the peak */
        HR_RANK_TEST(test_streamed),           HR_RANK_TEST(test_ranks_without_rows),
        HR_RANK_TEST(test_windowed),           HR_RANK_TEST(test_estimate),
        HR_RANK_TEST(test_a_rank_fails),       HR_RANK_TEST(test_no_place_for_the_files),
    };

    return hr_test_run_on_ranks("worker/decode_ranks", tests,
                                sizeof tests / sizeof tests[0]);
}
