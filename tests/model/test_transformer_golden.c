/* The transformer against diffusers: every recorded intermediate of every case, each step
 * fed with the recorded latents of the step before. Runs on the device of HR_TEST_DEVICE.
 */
#include "model/toy_transformer.h"
#include "support/device.h"
#include "support/golden.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "model/rope.h"
#include "model/transformer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FLOATS = 1 << 18 };

/* A case opened for its transformers. */
typedef struct fixture {
    hr_golden *golden;
    hr_test_device on;
    hr_arena *arena;
    hr_model_config config;
    hr_transformer *transformer[2];
    hr_rope *rope;
    hr_text_context *context[2][2]; /* by expert, by branch */
    char prefix[64]; /* of the golden names now looked at, "main/step0/cond" */
    int n_checked;
} fixture;

static const char *const branch_name[2] = {"cond", "uncond"};

static hr_transformer *open_transformer(const fixture *f, const char *part,
                                        hr_numerics numerics)
{
    const hr_transformer_part whole = hr_toy_whole(&f->config.transformer);
    char folder[512];
    hr_weights *weights;
    hr_transformer *transformer;

    snprintf(folder, sizeof folder, "%s/%s", hr_golden_pipeline(f->golden), part);
    hr_test_ok(hr_weights_open(folder, "diffusion_pytorch_model", &weights));
    hr_test_ok(hr_transformer_expect(&f->config.transformer, weights));
    hr_test_ok(hr_weights_check(weights));
    hr_test_ok(hr_transformer_open(&f->config.transformer, &whole, weights, f->on.stream,
                                   numerics, &transformer));
    hr_weights_close(weights);
    return transformer;
}

static void open_case(fixture *f, const char *name, hr_numerics numerics, int threads)
{
    memset(f, 0, sizeof *f);
    f->golden = hr_golden_open(name);
    f->on = hr_test_device_start(threads);
    hr_test_ok(hr_arena_create(f->on.device, &f->arena));
    hr_test_ok(hr_model_config_load(hr_golden_pipeline(f->golden), &f->config));
    f->transformer[0] = open_transformer(f, "transformer", numerics);
    if (f->config.has_second_expert)
        f->transformer[1] = open_transformer(f, "transformer_2", numerics);
}

static void stop_case(fixture *f)
{
    for (int i = 0; i < 2; i++)
        hr_transformer_close(f->transformer[i]);
    hr_arena_destroy(f->arena);
    hr_test_device_stop(&f->on);
    hr_golden_close(f->golden);
}

static void close_case(fixture *f)
{
    stop_case(f);
    hr_test_no_leaks();
}

/* out[i][j][k] = in[j][i][k] */
static void swap_axes(const float *in, int64_t n_j, int64_t n_i, int64_t n_k, float *out)
{
    for (int64_t j = 0; j < n_j; j++)
        for (int64_t i = 0; i < n_i; i++)
            memcpy(out + (i * n_j + j) * n_k, in + (j * n_i + i) * n_k,
                   (size_t)n_k * sizeof *out);
}

/* Our order of axes into the reference's: tokens x width is (1, d, f, h, w) there for the
 * patch embedding, frames x channels is (1, C, F, h, w) for the output. Returns how many
 * values there are: with a timestep per token the reference repeats what depends on the
 * timestep only. */
static size_t reorder(const char *name, const hr_tensor *t, const float *in,
                      size_t n_wanted, float *out)
{
    size_t n = (size_t)hr_tensor_count(t);
    bool is_time = strncmp(name, "time_", 5) == 0 || strcmp(name, "temb") == 0;

    assert_true(n <= MAX_FLOATS && n_wanted <= MAX_FLOATS);
    if (strcmp(name, "patch_embed") == 0)
        swap_axes(in, t->dim[0], t->dim[1], 1, out);
    else if (strcmp(name, "model_out") == 0)
        swap_axes(in, t->dim[0], t->dim[1], t->dim[2] * t->dim[3], out);
    else
        memcpy(out, in, n * sizeof *out);
    for (; is_time && n < n_wanted; n += (size_t)hr_tensor_count(t))
        memcpy(out + n, in, (size_t)hr_tensor_count(t) * sizeof *out);
    return n;
}

/* The reference's fp32 exp (MKL) misses the nearest float in 2 of 128 frequencies by 6e-8
 * of the value; angles reach 999. */
static const double sinusoid_atol = 999 * 6e-8;

static hr_status check_tensor(void *user, hr_stream *stream, const char *name,
                              const hr_tensor *t)
{
    static float ordered[MAX_FLOATS];
    fixture *f = user;
    char full[128];
    float *values;
    size_t n;

    snprintf(full, sizeof full, "%s/%s", f->prefix, name);
    if (!hr_golden_has(f->golden, full))
        return HR_OK;
    values = hr_test_download(stream, t);
    n = reorder(name, t, values, hr_golden_find(f->golden, full)->n, ordered);
    if (strcmp(name, "time_sinusoid") == 0)
        hr_golden_check_atol(f->golden, full, ordered, n, sinusoid_atol);
    else
        hr_golden_check(f->golden, full, ordered, n);
    f->n_checked++;
    hr_free(values);
    return HR_OK;
}

/* The tables hold one value per pair, the reference two. */
static void check_rope(fixture *f, const char *name, const hr_tensor *table)
{
    static float twice[MAX_FLOATS];
    size_t n = (size_t)hr_tensor_count(table);
    float *values = hr_test_download(f->on.stream, table);
    char full[128];

    assert_true(2 * n <= MAX_FLOATS);
    for (size_t i = 0; i < 2 * n; i++)
        twice[i] = values[i / 2];
    snprintf(full, sizeof full, "%s/%s", f->prefix, name);
    if (hr_golden_has(f->golden, full)) {
        hr_golden_check_atol(f->golden, full, twice, 2 * n, 0.0);
        f->n_checked++;
    }
    hr_free(values);
}

static hr_tensor upload_latents(fixture *f, const hr_golden_tensor *g)
{
    static float frames_first[MAX_FLOATS];

    assert_true(g->n_dims == 5 && g->n <= MAX_FLOATS);
    swap_axes(g->f32, g->dim[1], g->dim[2], g->dim[3] * g->dim[4], frames_first);
    return hr_test_upload(f->on.stream, HR_F32,
                          HR_DIMS(g->dim[2], g->dim[1], g->dim[3], g->dim[4]),
                          frames_first);
}

/* Recorded embeddings of a branch, or NULL. */
static const hr_golden_tensor *find_embeds(fixture *f, const hr_golden_run *run,
                                           int branch)
{
    char name[128];

    snprintf(name, sizeof name, "%s/%s_embeds", run->name,
             branch == 0 ? "prompt" : "negative");
    return hr_golden_has(f->golden, name) ? hr_golden_find(f->golden, name) : NULL;
}

static hr_text_context *make_context(fixture *f, int expert, const hr_golden_tensor *g,
                                     int64_t text_length, const hr_trace *trace)
{
    hr_text_rows rows = {.text_length = text_length, .trace = trace};
    hr_text_context *context;

    rows.embeds =
        hr_test_upload(f->on.stream, HR_F32, HR_DIMS(g->dim[1], g->dim[2]), g->f32);
    hr_test_ok(hr_text_context_create(f->transformer[expert], f->on.stream, f->arena,
                                      &rows, &context));
    hr_test_ok(hr_stream_sync(f->on.stream));
    hr_tensor_free(&rows.embeds);
    return context;
}

static void start_run(fixture *f, const hr_golden_run *run, const hr_trace *trace)
{
    const hr_golden_tensor *init =
        hr_golden_findf(f->golden, "%s/latents_init", run->name);

    hr_test_ok(hr_rope_create(&f->config.transformer, f->on.stream, init->dim[2],
                              init->dim[3], init->dim[4], &f->rope));
    for (int branch = 0; branch < 2; branch++) {
        const hr_golden_tensor *embeds = find_embeds(f, run, branch);

        if (embeds == NULL)
            continue;
        snprintf(f->prefix, sizeof f->prefix, "%s/step0/%s", run->name,
                 branch_name[branch]);
        check_rope(f, "rope_cos", &f->rope->cos);
        check_rope(f, "rope_sin", &f->rope->sin);
        for (int expert = 0; expert < 2; expert++)
            if (f->transformer[expert] != NULL)
                f->context[expert][branch] =
                    make_context(f, expert, embeds, run->max_sequence_length,
                                 expert == 0 ? trace : NULL);
    }
}

static void end_run(fixture *f)
{
    hr_rope_destroy(f->rope);
    f->rope = NULL;
    for (int i = 0; i < 4; i++) {
        hr_text_context_destroy(f->context[i / 2][i % 2]);
        f->context[i / 2][i % 2] = NULL;
    }
}

static const hr_golden_tensor *find_latents(fixture *f, const hr_golden_run *run,
                                            int step)
{
    return step == 0
               ? hr_golden_findf(f->golden, "%s/latents_init", run->name)
               : hr_golden_findf(f->golden, "%s/step%d/latents", run->name, step - 1);
}

/* One forward from the recorded latents; the result is the caller's. */
static hr_tensor forward(fixture *f, const hr_golden_run *run, int step, int branch,
                         const hr_trace *trace)
{
    const hr_golden_tensor *times = hr_golden_findf(f->golden, "%s/timesteps", run->name);
    int expert = run->second[step] ? 1 : 0;
    hr_forward args = {.rope = f->rope, .context = f->context[expert][branch]};

    args.timestep =
        times->i64 != NULL ? (double)times->i64[step] : (double)times->f32[step];
    args.latents = upload_latents(f, find_latents(f, run, step));
    args.trace = trace;
    hr_test_ok(hr_tensor_create(f->on.device, HR_F32, 4, args.latents.dim, &args.out));
    hr_test_ok(hr_transformer_run(f->transformer[expert], f->on.stream, f->arena, &args));
    hr_test_ok(hr_stream_sync(f->on.stream));
    hr_tensor_free(&args.latents);
    return args.out;
}

/* All steps and branches of all runs; returns how many tensors were compared. */
static int check_case(const char *name)
{
    fixture f;
    const hr_trace trace = {.on_tensor = check_tensor, .user = &f};
    int n_checked;

    open_case(&f, name, HR_NUMERICS_F32, 2);
    for (size_t r = 0; r < hr_golden_n_runs(f.golden); r++) {
        const hr_golden_run *run = hr_golden_run_at(f.golden, r);

        start_run(&f, run, &trace);
        for (int i = 0; i < 2 * run->steps; i++) {
            int step = i / 2, branch = i % 2, before = f.n_checked;
            hr_tensor out;

            if (f.context[0][branch] == NULL)
                continue;
            snprintf(f.prefix, sizeof f.prefix, "%s/step%d/%s", run->name, step,
                     branch_name[branch]);
            out = forward(&f, run, step, branch, &trace);
            assert_true(f.n_checked > before);
            hr_tensor_free(&out);
        }
        end_run(&f);
    }
    n_checked = f.n_checked;
    close_case(&f);
    return n_checked;
}

/* Everything that was recorded inside the transformer is compared: 19 tensors of the
 * first pass, 9 of its other branch, 16 and 8 of step 1, then the outputs. */
static void agrees_on_wan21_tiny(void **state)
{
    (void)state;
    assert_int_equal(check_case("wan21-tiny"), 19 + 9 + 16 + 8 + 2 * 2);
}

static void agrees_on_wan21_odd(void **state)
{
    (void)state;
    assert_true(check_case("wan21-odd") > 0);
}

static void agrees_on_two_experts(void **state)
{
    (void)state;
    assert_true(check_case("wan22-moe") > 0);
}

static void agrees_on_wan22_5b(void **state)
{
    (void)state;
    assert_true(check_case("wan22-5b") > 0);
}

static void agrees_on_mixed_files(void **state)
{
    (void)state;
    assert_true(check_case("bf16") > 0);
}

static double relative_distance(const float *got, const float *want, size_t n)
{
    double difference = 0.0, norm = 0.0;

    for (size_t i = 0; i < n; i++) {
        difference += pow((double)got[i] - (double)want[i], 2);
        norm += pow((double)want[i], 2);
    }
    return sqrt(difference / norm);
}

/* bf16 has 8 bits: one rounding is 2^-9, some dozens of them in a row stay below 2^-5. A
 * result that is too near was not computed in bf16. */
static void stays_near_in_bf16(void **state)
{
    static const char *const cases[] = {"wan21-tiny", "wan21-odd", "wan22-moe",
                                        "wan22-5b"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static float ordered[MAX_FLOATS];
        fixture f;
        const hr_golden_run *run;
        const hr_golden_tensor *want;
        hr_tensor out;
        double distance;
        float *values;

        open_case(&f, cases[i], HR_NUMERICS_EXACT, 2);
        run = hr_golden_run_at(f.golden, 0);
        start_run(&f, run, NULL);
        out = forward(&f, run, 0, 0, NULL);
        values = hr_test_download(f.on.stream, &out);
        reorder("model_out", &out, values, 0, ordered);
        want = hr_golden_findf(f.golden, "%s/step0/cond/model_out", run->name);
        distance = relative_distance(ordered, want->f32, want->n);
        print_message("%s: bf16 is %.2e from f32\n", cases[i], distance);
        assert_true(distance > 1e-4 && distance < 0x1p-5);
        hr_free(values);
        hr_tensor_free(&out);
        end_run(&f);
        close_case(&f);
    }
}

/* n_pad equal rows are one whose score is larger by log(n_pad): the same as writing them
 * out. */
static void pad_rows_count_as_many(void **state)
{
    static const int n_pads[] = {1, 7};
    static float padded[MAX_FLOATS];
    fixture f;
    const hr_golden_run *run;
    const hr_golden_tensor *embeds;

    (void)state;
    open_case(&f, "wan21-tiny", HR_NUMERICS_F32, 2);
    run = hr_golden_run_at(f.golden, 0);
    embeds = find_embeds(&f, run, 0);
    for (size_t i = 0; i < 2; i++) {
        hr_golden_tensor written = *embeds;
        int64_t text_length = embeds->dim[1] + n_pads[i];
        float *collapsed, *whole;
        hr_tensor out;

        memset(padded, 0, sizeof padded);
        memcpy(padded, embeds->f32, embeds->n * sizeof padded[0]);
        written.f32 = padded;
        written.dim[1] = text_length;
        start_run(&f, run, NULL);
        hr_text_context_destroy(f.context[0][0]);
        f.context[0][0] = make_context(&f, 0, embeds, text_length, NULL);
        out = forward(&f, run, 0, 0, NULL);
        collapsed = hr_test_download(f.on.stream, &out);
        hr_tensor_free(&out);
        hr_text_context_destroy(f.context[0][0]);
        f.context[0][0] = make_context(&f, 0, &written, text_length, NULL);
        out = forward(&f, run, 0, 0, NULL);
        whole = hr_test_download(f.on.stream, &out);
        hr_golden_compare("collapsed pad rows", collapsed, whole,
                          (size_t)hr_tensor_count(&out), 1e-4, __FILE__, __LINE__);
        hr_tensor_free(&out);
        hr_free(collapsed);
        hr_free(whole);
        end_run(&f);
    }
    close_case(&f);
}

/* The output of step 1 as the caller's memory. */
static float *output_with_threads(hr_numerics numerics, int threads, size_t *n)
{
    fixture f;
    const hr_golden_run *run;
    hr_tensor out;
    float *values;

    open_case(&f, "wan21-odd", numerics, threads);
    run = hr_golden_run_at(f.golden, 0);
    start_run(&f, run, NULL);
    out = forward(&f, run, 1, 0, NULL);
    values = hr_test_download(f.on.stream, &out);
    *n = (size_t)hr_tensor_count(&out);
    hr_tensor_free(&out);
    end_run(&f);
    stop_case(&f);
    return values;
}

static void gives_the_same_bits_for_any_threads(void **state)
{
    static const hr_numerics all[] = {HR_NUMERICS_F32, HR_NUMERICS_EXACT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        float *first = output_with_threads(all[i], 1, &n);

        for (int threads = 2; threads <= 4; threads++) {
            float *other = output_with_threads(all[i], threads, &n);

            assert_memory_equal(other, first, n * sizeof *first);
            hr_free(other);
        }
        hr_free(first);
    }
    hr_test_no_leaks();
}

/* After the first forward nothing is allocated. */
static void reuses_its_memory(void **state)
{
    fixture f;
    const hr_golden_run *run;
    hr_forward args = {0};
    uint64_t after_first = 0;

    (void)state;
    open_case(&f, "wan21-tiny", HR_NUMERICS_EXACT, 2);
    run = hr_golden_run_at(f.golden, 0);
    start_run(&f, run, NULL);
    args.rope = f.rope;
    args.latents = upload_latents(&f, find_latents(&f, run, 0));
    hr_test_ok(hr_tensor_create(f.on.device, HR_F32, 4, args.latents.dim, &args.out));
    for (int i = 0; i < 4; i++) {
        args.context = f.context[0][i % 2];
        args.timestep = 900.0 - i;
        hr_test_ok(hr_transformer_run(f.transformer[0], f.on.stream, f.arena, &args));
        hr_test_ok(hr_stream_sync(f.on.stream));
        if (i == 0)
            after_first = hr_device_get_stats(f.on.device).n_allocations;
    }
    assert_int_equal(hr_device_get_stats(f.on.device).n_allocations, after_first);
    hr_tensor_free(&args.latents);
    hr_tensor_free(&args.out);
    end_run(&f);
    close_case(&f);
}

static void refuses_impossible_sizes(void **state)
{
    fixture f;
    hr_rope *rope;

    (void)state;
    open_case(&f, "wan21-tiny", HR_NUMERICS_F32, 1);
    hr_test_fails(HR_ERR_ARG, "latent height: found 5, expected a multiple",
                  hr_rope_create(&f.config.transformer, f.on.stream, 3, 5, 4, &rope));
    hr_test_fails(HR_ERR_ARG, "latent frames: found 1025, expected at most 1024",
                  hr_rope_create(&f.config.transformer, f.on.stream, 1025, 4, 4, &rope));
    close_case(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_on_wan21_tiny),
        cmocka_unit_test(agrees_on_wan21_odd),
        cmocka_unit_test(agrees_on_two_experts),
        cmocka_unit_test(agrees_on_wan22_5b),
        cmocka_unit_test(agrees_on_mixed_files),
        cmocka_unit_test(stays_near_in_bf16),
        cmocka_unit_test(pad_rows_count_as_many),
        cmocka_unit_test(gives_the_same_bits_for_any_threads),
        cmocka_unit_test(reuses_its_memory),
        cmocka_unit_test(refuses_impossible_sizes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    print_message("largest difference / atol: %.2f\n", hr_golden_worst_ratio());
    return failed;
}
