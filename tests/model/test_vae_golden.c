/* The VAE's decoder against diffusers, on the device that HR_TEST_DEVICE names. */
#include "support/device.h"
#include "support/golden.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "compute/arena.h"
#include "model/vae.h"

#include <stdio.h>
#include <string.h>

static const char *const cases[] = {"wan21-tiny", "wan21-odd", "wan22-moe", "wan22-5b",
                                    "bf16"};
/* All have runs; the last has no probes (latents of their own with every stage). */
enum { N_CASES = 5, N_PROBED = 4, MAX_TRACED = 16 };

/* A case's VAE on the device. */
typedef struct rig {
    hr_test_device on;
    hr_golden *golden;
    hr_vae_config config;
    hr_weights *weights;
    hr_vae *vae;
    hr_arena *arena;
} rig;

/* With `plain`, latents are taken as de-normalised: mean 0, deviation 1. */
static rig rig_start(const char *name, int threads, bool plain)
{
    rig r = {.on = hr_test_device_start(threads), .golden = hr_golden_open(name)};
    const char *folder = hr_golden_pipeline(r.golden);
    hr_model_config *config = hr_alloc(sizeof *config);

    assert_non_null(config);
    hr_test_ok(hr_model_config_load(folder, config));
    r.config = config->vae;
    hr_free(config);
    for (int64_t i = 0; plain && i < r.config.z_dim; i++) {
        r.config.mean[i] = 0;
        r.config.std[i] = 1;
    }
    hr_test_ok(hr_weights_open(hr_test_path(folder, "vae"), "diffusion_pytorch_model",
                               &r.weights));
    hr_test_ok(hr_vae_expect(&r.config, r.weights));
    hr_test_ok(hr_weights_check(r.weights));
    hr_test_ok(hr_vae_open(&r.config, r.weights, r.on.stream, &r.vae));
    hr_test_ok(hr_arena_create(r.on.device, &r.arena));
    return r;
}

static void rig_stop(rig *r)
{
    hr_arena_destroy(r->arena);
    hr_vae_close(r->vae);
    hr_weights_close(r->weights);
    hr_golden_close(r->golden);
    hr_test_device_stop(&r->on);
}

/* A tensor of the reference's layout (C, T, H, W), filled a few frames at a time. */
typedef struct record {
    char name[32];
    int64_t frames, channels, pixels, n_done;
    float *data;
} record;

/* Frames [T, H, W, C] behind those before. */
static void record_add(record *rec, const float *frames, int64_t n)
{
    for (int64_t t = 0; t < n; t++, rec->n_done++) {
        assert_true(rec->n_done < rec->frames);
        for (int64_t p = 0; p < rec->pixels; p++)
            for (int64_t c = 0; c < rec->channels; c++)
                rec->data[(c * rec->frames + rec->n_done) * rec->pixels + p] =
                    frames[(t * rec->pixels + p) * rec->channels + c];
    }
}

static record record_make(const char *name, int64_t frames, int64_t channels,
                          int64_t pixels)
{
    record rec = {.frames = frames, .channels = channels, .pixels = pixels};

    snprintf(rec.name, sizeof rec.name, "%s", name);
    rec.data = hr_alloc((size_t)(frames * channels * pixels) * sizeof(float));
    assert_non_null(rec.data);
    return rec;
}

/* What the trace gives, by name; golden tensors PREFIX/NAME say how many frames there
 * are. */
typedef struct traced {
    hr_golden *golden;
    const char *prefix;
    record records[MAX_TRACED];
    int n;
} traced;

static hr_status on_tensor(void *user, hr_stream *stream, const char *name,
                           const hr_tensor *t)
{
    traced *all = user;
    char full[96];
    float *data;
    int i;

    snprintf(full, sizeof full, "%s/%s", all->prefix, name);
    if (!hr_golden_has(all->golden, full))
        return HR_OK;
    for (i = 0; i < all->n && strcmp(all->records[i].name, name) != 0; i++)
        continue;
    if (i == all->n) {
        const hr_golden_tensor *want = hr_golden_find(all->golden, full);

        assert_true(i < MAX_TRACED);
        assert_int_equal(want->dim[1], t->dim[3]);
        all->records[all->n++] =
            record_make(name, want->dim[2], t->dim[3], t->dim[1] * t->dim[2]);
    }
    data = hr_test_download(stream, t);
    record_add(&all->records[i], data, t->dim[0]);
    hr_free(data);
    return HR_OK;
}

static void traced_check(traced *all)
{
    for (int i = 0; i < all->n; i++) {
        record *rec = &all->records[i];
        char full[96];

        snprintf(full, sizeof full, "%s/%s", all->prefix, rec->name);
        assert_int_equal(rec->n_done, rec->frames);
        hr_golden_check(all->golden, full, rec->data,
                        (size_t)(rec->frames * rec->channels * rec->pixels));
        hr_free(rec->data);
    }
}

/* Decodes latent frame `f` of `latents` (1, C, F, H, W); frames to be freed, *n says how
 * many. */
static float *decode_frame(rig *r, hr_vae_decoder *decoder,
                           const hr_golden_tensor *latents, int64_t f,
                           const hr_trace *trace, int64_t *n)
{
    int64_t c = latents->dim[1], h = latents->dim[3], w = latents->dim[4];
    int64_t scale = r->config.scale_spatial;
    float *frame = hr_alloc((size_t)(c * h * w) * sizeof(float)), *rgb;
    hr_tensor in, out;

    assert_non_null(frame);
    for (int64_t i = 0; i < c; i++)
        memcpy(frame + i * h * w, latents->f32 + (i * latents->dim[2] + f) * h * w,
               (size_t)(h * w) * sizeof(float));
    in = hr_test_upload(r->on.stream, HR_F32, HR_DIMS(c, h, w), frame);
    *n = hr_vae_decoder_next_frames(decoder);
    hr_test_ok(hr_tensor_create(r->on.device, HR_F32,
                                HR_DIMS(*n, h * scale, w * scale, 3), &out));
    hr_test_ok(hr_vae_decoder_run(decoder, r->on.stream, r->arena, &in, &out, trace));
    rgb = hr_test_download(r->on.stream, &out);
    hr_tensor_free(&in);
    hr_tensor_free(&out);
    hr_free(frame);
    return rgb;
}

static hr_vae_decoder *decoder_for(rig *r, const hr_golden_tensor *latents)
{
    hr_vae_decoder *decoder = NULL;

    hr_test_ok(hr_vae_decoder_create(
        r->vae, r->on.stream,
        &(hr_vae_decoder_options){.height = latents->dim[3], .width = latents->dim[4]},
        &decoder));
    return decoder;
}

/* Decodes PREFIX/LATENTS and compares everything that the case has under PREFIX. */
static void check_video(rig *r, const char *prefix, const char *latents_name)
{
    const hr_golden_tensor *latents =
        hr_golden_findf(r->golden, "%s/%s", prefix, latents_name);
    const hr_golden_tensor *want = hr_golden_findf(r->golden, "%s/video", prefix);
    traced all = {.golden = r->golden, .prefix = prefix};
    const hr_trace trace = {.on_tensor = on_tensor, .user = &all};
    record video = record_make("video", want->dim[2], 3, want->dim[3] * want->dim[4]);
    hr_vae_decoder *decoder = decoder_for(r, latents);

    for (int64_t f = 0; f < latents->dim[2]; f++) {
        int64_t n;
        float *rgb = decode_frame(r, decoder, latents, f, &trace, &n);

        record_add(&video, rgb, n);
        hr_free(rgb);
    }
    hr_vae_decoder_destroy(decoder);
    assert_int_equal(video.n_done, video.frames);
    for (size_t i = 0; i < want->n; i++)
        video.data[i] = video.data[i] * 2 - 1; /* the reference is -1..1 */
    hr_golden_check(r->golden, want->name, video.data, want->n);
    hr_free(video.data);
    traced_check(&all);
}

/* One, two and three latent frames; for two of them every stage. */
static void test_probes(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_PROBED; i++) {
        rig r = rig_start(cases[i], 0, true);

        check_video(&r, "vae/F1", "latent");
        check_video(&r, "vae/F2", "latent");
        check_video(&r, "vae/F3", "latent");
        rig_stop(&r);
    }
    print_message("worst of max|got - reference| / atol: %.3f\n",
                  hr_golden_worst_ratio());
}

/* The final latents of each run: de-normalised as the reference does it, and its video.
 */
static void test_runs(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_CASES; i++) {
        rig r = rig_start(cases[i], 0, false);

        for (size_t run = 0; run < hr_golden_n_runs(r.golden); run++)
            check_video(&r, hr_golden_run_at(r.golden, run)->name, "latents_final");
        rig_stop(&r);
    }
}

/* From the second latent frame on nothing is allocated and the peak stays, up to nine of
 * them. */
static void test_memory(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_PROBED; i++) {
        rig r = rig_start(cases[i], 1, true);
        const hr_golden_tensor *latents = hr_golden_find(r.golden, "vae/F3/latent");
        hr_vae_decoder *decoder = decoder_for(&r, latents);
        hr_device_stats before = {0}, after;
        uint64_t per_frame = 0;

        for (int64_t f = 0; f < 9; f++) {
            int64_t n;

            after = hr_device_get_stats(r.on.device);
            hr_free(decode_frame(&r, decoder, latents, f % 3, NULL, &n));
            per_frame =
                hr_device_get_stats(r.on.device).n_allocations - after.n_allocations;
            if (f >= 2)
                assert_int_equal(per_frame, 2); /* the test's own in and out */
            if (f == 2)
                before = hr_device_get_stats(r.on.device);
        }
        after = hr_device_get_stats(r.on.device);
        assert_int_equal(after.live_bytes, before.live_bytes);
        assert_int_equal(after.peak_bytes, before.peak_bytes);
        hr_vae_decoder_destroy(decoder);
        rig_stop(&r);
    }
}

/* A video's first frames do not depend on those that follow, on what the arena held
 * before, on a second decoder at work between, nor on the number of threads. */
static void test_same_bits(void **unused)
{
    (void)unused;
    for (int i = 0; i < N_PROBED; i++) {
        rig r = rig_start(cases[i], 1, true), other = rig_start(cases[i], 2, true);
        const hr_golden_tensor *latents = hr_golden_find(r.golden, "vae/F3/latent");
        hr_vae_decoder *first = decoder_for(&r, latents),
                       *second = decoder_for(&r, latents);
        hr_vae_decoder *threads = decoder_for(&other, latents);

        for (int64_t f = 0; f < 3; f++) {
            int64_t n, m;
            float *a = decode_frame(&r, first, latents, f, NULL, &n);
            float *b = decode_frame(&r, second, latents, f, NULL, &m);
            float *c = decode_frame(&other, threads, latents, f, NULL, &m);
            size_t bytes = (size_t)(n * latents->dim[3] * latents->dim[4] * 3 *
                                    r.config.scale_spatial * r.config.scale_spatial) *
                           sizeof(float);

            assert_int_equal(n, m);
            assert_memory_equal(a, b, bytes);
            assert_memory_equal(a, c, bytes);
            hr_free(a);
            hr_free(b);
            hr_free(c);
        }
        hr_vae_decoder_destroy(threads);
        hr_vae_decoder_destroy(second);
        hr_vae_decoder_destroy(first);
        rig_stop(&other);
        rig_stop(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_probes, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_runs, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_memory, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_same_bits, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
