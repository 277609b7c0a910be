/* From the prompt to its embeddings against diffusers, on the device that HR_TEST_DEVICE
 * names. */
#include "support/device.h"
#include "support/golden.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "compute/arena.h"
#include "model/prompt.h"
#include "model/text_encoder.h"
#include "model/tokenizer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const cases[] = {"wan21-tiny", "wan21-odd", "wan22-moe", "wan22-5b",
                                    "bf16"};
enum { N_CASES = 5, MAX_IDS = 512, MAX_THREADS = 4 };

/* A case's text encoder on the device. */
typedef struct rig {
    hr_test_device on;
    hr_golden *golden;
    hr_text_config config;
    hr_tokenizer *tokenizer;
    hr_weights *weights;
    hr_text_encoder *encoder;
    hr_arena *arena;
} rig;

static rig rig_start(const char *name, int threads, hr_numerics numerics)
{
    rig r = {.on = hr_test_device_start(threads), .golden = hr_golden_open(name)};
    const char *folder = hr_golden_pipeline(r.golden);
    hr_model_config *config = hr_alloc(sizeof *config);

    assert_non_null(config);
    hr_test_ok(hr_model_config_load(folder, config));
    r.config = config->text;
    hr_free(config);
    hr_test_ok(hr_tokenizer_open(hr_test_path(folder, "tokenizer"), &r.tokenizer));
    hr_test_ok(
        hr_weights_open(hr_test_path(folder, "text_encoder"), "model", &r.weights));
    hr_test_ok(hr_text_encoder_expect(&r.config, r.weights));
    hr_test_ok(hr_weights_check(r.weights));
    hr_test_ok(
        hr_text_encoder_open(&r.config, r.weights, r.on.stream, numerics, &r.encoder));
    hr_test_ok(hr_arena_create(r.on.device, &r.arena));
    return r;
}

static void rig_stop(rig *r)
{
    hr_arena_destroy(r->arena);
    hr_text_encoder_close(r->encoder);
    hr_weights_close(r->weights);
    hr_tokenizer_close(r->tokenizer);
    hr_golden_close(r->golden);
    hr_test_device_stop(&r->on);
}

/* Which tensors of the case a trace belongs to: "main/prompt_enc_" before its name. */
typedef struct traced {
    hr_golden *golden;
    char prefix[64];
    int n_checked;
} traced;

static hr_status check_traced(void *user, hr_stream *stream, const char *name,
                              const hr_tensor *t)
{
    traced *of = user;
    char full[96];
    float *got;

    snprintf(full, sizeof full, "%s%s", of->prefix, name);
    if (!hr_golden_has(of->golden, full))
        return HR_OK;
    got = hr_test_download(stream, t);
    hr_golden_check(of->golden, full, got, (size_t)hr_tensor_count(t));
    hr_free(got);
    of->n_checked++;
    return HR_OK;
}

static size_t make_ids(const rig *r, const char *prompt, int64_t max_ids, int32_t *ids)
{
    hr_text clean = {0};
    bool was_cut;
    size_t n;

    hr_test_ok(hr_prompt_clean(prompt, &clean));
    hr_test_ok(
        hr_tokenizer_encode(r->tokenizer, clean.s, (size_t)max_ids, ids, &n, &was_cut));
    hr_text_free(&clean);
    return n;
}

/* The embeddings as host memory [n, d_model], which the caller frees. */
static float *encode(const rig *r, const int32_t *ids, size_t n, const hr_trace *trace)
{
    hr_tensor out;
    float *got;

    hr_test_ok(hr_tensor_create(r->on.device, HR_F32,
                                HR_DIMS((int64_t)n, r->config.d_model), &out));
    hr_test_ok(hr_text_encoder_run(r->encoder, r->on.stream, r->arena, ids, &out, trace));
    got = hr_test_download(r->on.stream, &out);
    hr_tensor_free(&out);
    return got;
}

/* `which` is "prompt" or "negative". Returns how many traced tensors were compared. */
static int check_text(const rig *r, const hr_golden_run *run, const char *which,
                      const char *text)
{
    traced of = {.golden = r->golden};
    const hr_trace trace = {check_traced, &of};
    char name[64];
    int32_t ids[MAX_IDS];
    size_t n = make_ids(r, text, run->max_sequence_length, ids);
    float *got;

    snprintf(of.prefix, sizeof of.prefix, "%s/%s_enc_", run->name, which);
    snprintf(name, sizeof name, "%s/%s_embeds", run->name, which);
    got = encode(r, ids, n, &trace);
    hr_golden_check(r->golden, name, got, n * (size_t)r->config.d_model);
    hr_free(got);
    return of.n_checked;
}

static void check_prompt_ids(const rig *r, const hr_golden_run *run)
{
    const hr_golden_tensor *want = hr_golden_findf(r->golden, "%s/prompt_ids", run->name);
    const hr_golden_tensor *mask =
        hr_golden_findf(r->golden, "%s/prompt_mask", run->name);
    int32_t ids[MAX_IDS];
    size_t n = make_ids(r, run->prompt, run->max_sequence_length, ids);

    assert_int_equal(want->n, run->max_sequence_length);
    for (size_t i = 0; i < want->n; i++) {
        assert_int_equal(mask->i64[i], i < n);
        assert_int_equal(want->i64[i], i < n ? ids[i] : r->config.pad_id);
    }
}

static void embeddings_are_the_reference_s(void **state)
{
    int n_traced = 0;

    (void)state;
    for (int c = 0; c < N_CASES; c++) {
        rig r = rig_start(cases[c], 0, HR_NUMERICS_F32);

        for (size_t i = 0; i < hr_golden_n_runs(r.golden); i++) {
            const hr_golden_run *run = hr_golden_run_at(r.golden, i);
            char negative[64];

            check_prompt_ids(&r, run);
            n_traced += check_text(&r, run, "prompt", run->prompt);
            snprintf(negative, sizeof negative, "%s/negative_embeds", run->name);
            if (hr_golden_has(r.golden, negative))
                n_traced += check_text(&r, run, "negative",
                                       run->negative_prompt ? run->negative_prompt : "");
        }
        rig_stop(&r);
    }
    /* block0_attn and block0 of both texts of tiny, odd (one run) and 5b */
    assert_int_equal(n_traced, 12);
    print_message("worst difference / atol: %.3f\n", hr_golden_worst_ratio());
}

static double relative_l2(const float *got, const float *want, size_t n)
{
    double difference = 0, size = 0;

    for (size_t i = 0; i < n; i++) {
        difference += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    return sqrt(difference / size);
}

static void exact_is_near_the_reference(void **state)
{
    rig r = rig_start("wan21-tiny", 0, HR_NUMERICS_EXACT);
    const hr_golden_run *run = hr_golden_run_at(r.golden, 0);
    const hr_golden_tensor *want = hr_golden_find(r.golden, "main/negative_embeds");
    int32_t ids[MAX_IDS];
    size_t n = make_ids(&r, run->negative_prompt, run->max_sequence_length, ids);
    float *got = encode(&r, ids, n, NULL);
    double error = relative_l2(got, want->f32, want->n);

    (void)state;
    print_message("bf16: relative L2 error %.2e\n", error);
    /* Weights and inputs of products are rounded to 8 bits: 2^-9 each, over a few layers.
     */
    assert_true(error > 1e-5 && error < 1e-2);
    hr_free(got);
    rig_stop(&r);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    static const hr_numerics kinds[] = {HR_NUMERICS_F32, HR_NUMERICS_EXACT};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        float *first = NULL;

        for (int threads = 1; threads <= MAX_THREADS; threads++) {
            rig r = rig_start("wan21-tiny", threads, kinds[k]);
            const hr_golden_run *run = hr_golden_run_at(r.golden, 0);
            int32_t ids[MAX_IDS];
            size_t n = make_ids(&r, run->negative_prompt, run->max_sequence_length, ids);
            float *got = encode(&r, ids, n, NULL);

            if (first == NULL) {
                first = got;
            } else {
                assert_memory_equal(got, first,
                                    n * (size_t)r.config.d_model * sizeof *got);
                hr_free(got);
            }
            rig_stop(&r);
        }
        hr_free(first);
    }
}

/* A second run finds the arena as large as it needs it, and gives the same. */
static void repeated_runs_allocate_nothing(void **state)
{
    rig r = rig_start("wan22-5b", 2, HR_NUMERICS_F32);
    const int32_t ids[] = {7, 21, 90, 1};
    float *once = encode(&r, ids, 4, NULL), *again;
    uint64_t allocations = hr_device_get_stats(r.on.device).n_allocations;

    (void)state;
    again = encode(&r, ids, 4, NULL);
    assert_memory_equal(once, again, 4 * (size_t)r.config.d_model * sizeof *once);
    /* the output tensor that encode() makes */
    assert_int_equal(hr_device_get_stats(r.on.device).n_allocations, allocations + 1);
    hr_free(once);
    hr_free(again);
    rig_stop(&r);
}

static void embeddings_may_have_the_encoder_s_name(void **state)
{
    const char *from =
        HR_TEST_GOLDEN "/wan21-tiny/pipeline/text_encoder/model.safetensors";
    const char *folder = hr_test_folder();
    static const char usual[] = "\"shared.weight\"";
    static const char alias[] = "\"encoder.embed_tokens.weight\"";
    hr_text_config config = {0};
    hr_weights *weights;
    hr_text file = {0};
    uint64_t header;
    char *data, *at;
    size_t n;

    (void)state;
    data = hr_test_read(from, &n);
    memcpy(&header, data, sizeof header);
    at = memmem(data, n, usual, strlen(usual));
    assert_non_null(at);
    header += strlen(alias) - strlen(usual);
    hr_test_ok(hr_text_append(&file, (const char *)&header, sizeof header));
    hr_test_ok(hr_text_append(&file, data + 8, (size_t)(at - data) - 8));
    hr_test_ok(hr_text_add(&file, alias));
    at += strlen(usual);
    hr_test_ok(hr_text_append(&file, at, (size_t)(data + n - at)));
    hr_test_write(hr_test_path(folder, "model.safetensors"), file.s, file.length);
    config = (hr_text_config){.d_model = 48,
                              .d_kv = 12,
                              .n_heads = 5,
                              .d_ff = 112,
                              .n_layers = 2,
                              .vocab_size = 1024,
                              .n_buckets = 32,
                              .max_distance = 128};
    hr_test_ok(hr_weights_open(folder, "model", &weights));
    hr_test_ok(hr_text_encoder_expect(&config, weights));
    hr_test_ok(hr_weights_check(weights));
    hr_weights_close(weights);
    hr_text_free(&file);
    hr_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(embeddings_are_the_reference_s, hr_test_leak_teardown),
        cmocka_unit_test_teardown(exact_is_near_the_reference, hr_test_leak_teardown),
        cmocka_unit_test_teardown(any_number_of_threads_gives_the_same_bits,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(repeated_runs_allocate_nothing, hr_test_leak_teardown),
        cmocka_unit_test_teardown(embeddings_may_have_the_encoder_s_name,
                                  hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
