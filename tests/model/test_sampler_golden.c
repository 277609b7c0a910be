/* Samplers against diffusers: tables to the bit, trajectories on the device that
 * HR_TEST_DEVICE names. */
#include "support/device.h"
#include "support/golden.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "model/sampler.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const int all_steps[] = {1, 2, 5, 20, 50};
static const int all_shifts[] = {1, 3, 5, 8, 12};
enum { N_STEPS = 5, N_SHIFTS = 5 };

static const struct {
    const char *key;
    hr_sampler_kind kind;
    int n_history;
} kinds[] = {{"unipc", HR_SAMPLER_UNIPC, 3},
             {"euler", HR_SAMPLER_EULER, 0},
             {"dpm", HR_SAMPLER_DPMPP, 2}};
enum { N_KINDS = 3 };

static hr_sampler *create(hr_sampler_kind kind, hr_sigma_table table, int n_steps,
                          double shift)
{
    const hr_sampler_options options = {.kind = kind,
                                        .sigmas = table,
                                        .n_steps = n_steps,
                                        .shift = shift,
                                        .n_train_timesteps = 1000};
    hr_sampler *sampler = NULL;

    hr_test_ok(hr_sampler_create(&options, &sampler));
    return sampler;
}

/* Frames under way: x and its history on the device. */
typedef struct state {
    hr_stream *stream;
    hr_tensor x, history[HR_SAMPLER_MAX_HISTORY];
    int n_history;
} state;

/* Histories start as NaN: what they hold must not matter. */
static state state_start(hr_stream *stream, const hr_sampler *sampler, int n_dims,
                         const int64_t *dim, const float *init)
{
    state s = {.stream = stream, .n_history = hr_sampler_n_history(sampler)};

    s.x = hr_test_upload(stream, HR_F32, n_dims, dim, init);
    for (int i = 0; i < s.n_history; i++) {
        s.history[i] = hr_test_upload(stream, HR_F32, n_dims, dim, init);
        hr_test_ok(
            hr_op_fill(stream, &(hr_fill_args){.out = s.history[i], .value = NAN}));
    }
    return s;
}

static void state_stop(state *s)
{
    hr_test_ok(hr_stream_sync(s->stream));
    hr_tensor_free(&s->x);
    for (int i = 0; i < s->n_history; i++)
        hr_tensor_free(&s->history[i]);
}

/* Steps x with the velocity; gives x, to be freed. */
static float *state_step(state *s, const hr_sampler *sampler, int step,
                         const float *velocity)
{
    hr_sampler_step_args args = {.x = s->x, .step = step};
    float *out;

    args.velocity = hr_test_upload(s->stream, HR_F32, s->x.n_dims, s->x.dim, velocity);
    memcpy(args.history, s->history, sizeof args.history);
    hr_test_ok(hr_sampler_step(sampler, s->stream, &args));
    out = hr_test_download(s->stream, &s->x);
    hr_tensor_free(&args.velocity);
    return out;
}

static void check_table(hr_golden *golden, const char *key, const hr_sampler *sampler)
{
    const hr_golden_tensor *sigmas = hr_golden_findf(golden, "%s/sigmas", key);
    const hr_golden_tensor *timesteps = hr_golden_findf(golden, "%s/timesteps", key);
    int n = hr_sampler_n_steps(sampler);

    assert_int_equal(sigmas->n, n + 1);
    assert_memory_equal(hr_sampler_sigmas(sampler), sigmas->f32,
                        (size_t)(n + 1) * sizeof(float));
    for (int i = 0; i < n; i++) {
        double want =
            timesteps->f32 ? (double)timesteps->f32[i] : (double)timesteps->i64[i];

        assert_true(hr_sampler_timestep(sampler, i) == want);
    }
}

static void check_trajectory(hr_golden *golden, const char *key,
                             const hr_sampler *sampler, hr_stream *stream)
{
    const hr_golden_tensor *init = hr_golden_findf(golden, "%s/init", key);
    const hr_golden_tensor *velocity = hr_golden_findf(golden, "%s/model_outputs", key);
    const hr_golden_tensor *latents = hr_golden_findf(golden, "%s/latents", key);
    state s = state_start(stream, sampler, init->n_dims, init->dim, init->f32);

    for (int i = 0; i < hr_sampler_n_steps(sampler); i++) {
        size_t at = (size_t)i * init->n;
        float *x = state_step(&s, sampler, i, velocity->f32 + at);

        hr_golden_compare(key, x, latents->f32 + at, init->n, 1e-5, __FILE__, __LINE__);
        hr_free(x);
    }
    state_stop(&s);
}

static void test_golden(void **unused)
{
    hr_test_device on = hr_test_device_start(1);
    hr_golden *golden = hr_golden_open("schedulers");

    (void)unused;
    for (int i = 0; i < N_KINDS * N_STEPS * N_SHIFTS; i++) {
        int kind = i / (N_STEPS * N_SHIFTS);
        int n = all_steps[i / N_SHIFTS % N_STEPS], shift = all_shifts[i % N_SHIFTS];
        hr_sampler *sampler = create(kinds[kind].kind, HR_SIGMAS_DIFFUSERS_037, n, shift);
        char key[64];

        snprintf(key, sizeof key, "%s/N%d/shift%d", kinds[kind].key, n, shift);
        assert_int_equal(hr_sampler_n_history(sampler), kinds[kind].n_history);
        check_table(golden, key, sampler);
        check_trajectory(golden, key, sampler, on.stream);
        hr_sampler_destroy(sampler);
    }
    hr_golden_close(golden);
    hr_test_device_stop(&on);
}

/* The table of diffusers up to 0.36: timesteps and sigmas printed in wan-spec 5.2. */
static void test_older_table(void **unused)
{
    static const int want50[] = {999, 992, 985, 978, 971, 963, 956, 948, 939, 931,
                                 922, 913, 904, 894, 884, 874, 864, 853, 841, 829,
                                 817, 805, 792, 778, 764, 749, 734, 718, 701, 684,
                                 666, 647, 627, 606, 585, 562, 538, 512, 486, 458,
                                 428, 396, 363, 327, 290, 249, 206, 160, 111, 57};
    static const int want40[] = {999, 997, 995, 993, 990, 988, 985, 982, 979, 976,
                                 972, 969, 965, 961, 956, 952, 947, 941, 936, 929,
                                 922, 915, 907, 898, 888, 877, 865, 852, 837, 819,
                                 799, 776, 749, 717, 678, 631, 571, 492, 386, 235};
    static const float want4[] = {0.999666452F, 0.899639785F, 0.749624789F, 0.499666542F,
                                  0};
    hr_sampler *sampler = create(HR_SAMPLER_UNIPC, HR_SIGMAS_DIFFUSERS_036, 50, 3);

    (void)unused;
    for (int i = 0; i < 50; i++)
        assert_true(hr_sampler_timestep(sampler, i) == want50[i]);
    hr_sampler_destroy(sampler);
    sampler = create(HR_SAMPLER_UNIPC, HR_SIGMAS_DIFFUSERS_036, 40, 12);
    for (int i = 0; i < 40; i++)
        assert_true(hr_sampler_timestep(sampler, i) == want40[i]);
    hr_sampler_destroy(sampler);
    sampler = create(HR_SAMPLER_UNIPC, HR_SIGMAS_DIFFUSERS_036, 4, 3);
    assert_memory_equal(hr_sampler_sigmas(sampler), want4, sizeof want4);
    hr_sampler_destroy(sampler);
}

/* The scalar trajectories of wan-spec 5.3, for both tables. */
static void test_scalar_trajectories(void **unused)
{
    static const float velocity[] = {0.5F, -0.25F, 0.125F, 0.3F, -0.4F};
    static const float want[2][5] = {
        {0.96158338F, 1.01475120F, 0.95709294F, 0.85504794F, 1.02696574F},
        {0.96152759F, 1.01832664F, 0.95860380F, 0.85552818F, 1.02683425F}};
    hr_test_device on = hr_test_device_start(1);

    (void)unused;
    for (int table = 0; table < 2; table++) {
        hr_sampler *sampler = create(HR_SAMPLER_UNIPC, (hr_sigma_table)table, 5, 3);
        state s = state_start(on.stream, sampler, HR_DIMS(1), (const float[]){1});

        for (int i = 0; i < 5; i++) {
            float *x = state_step(&s, sampler, i, &velocity[i]);

            /* 8 printed digits and the fp32 rounding of another order of operations */
            hr_golden_compare("scalar", x, &want[table][i], 1, 5e-7, __FILE__, __LINE__);
            hr_free(x);
        }
        state_stop(&s);
        hr_sampler_destroy(sampler);
    }
    hr_test_device_stop(&on);
}

/* Frames stepped by themselves, each with its own history, get the bits that they get
 * together. */
static void test_frames_apart(void **unused)
{
    enum { STEPS = 6, FRAMES = 3, EACH = 35 };
    hr_test_device on = hr_test_device_start(1);
    float init[FRAMES * EACH], velocity[STEPS][FRAMES * EACH];

    (void)unused;
    hr_test_random(1, init, FRAMES * EACH);
    for (int i = 0; i < STEPS; i++)
        hr_test_random(2 + (uint32_t)i, velocity[i], FRAMES * EACH);
    for (int kind = 0; kind < N_KINDS; kind++) {
        hr_sampler *sampler = create(kinds[kind].kind, HR_SIGMAS_DIFFUSERS_037, STEPS, 5);
        state all = state_start(on.stream, sampler, HR_DIMS(FRAMES, 5, 7), init),
              one[FRAMES];

        for (int f = 0; f < FRAMES; f++)
            one[f] = state_start(on.stream, sampler, HR_DIMS(1, 5, 7), init + f * EACH);
        for (int i = 0; i < STEPS; i++) {
            float *want = state_step(&all, sampler, i, velocity[i]);

            for (int f = 0; f < FRAMES; f++) {
                float *got = state_step(&one[f], sampler, i, velocity[i] + f * EACH);

                assert_memory_equal(got, want + f * EACH, EACH * sizeof(float));
                hr_free(got);
            }
            hr_free(want);
        }
        for (int f = 0; f < FRAMES; f++)
            state_stop(&one[f]);
        state_stop(&all);
        hr_sampler_destroy(sampler);
    }
    hr_test_device_stop(&on);
}

static void test_impossible_options(void **unused)
{
    const hr_sampler_options good = {.n_steps = 5, .shift = 3, .n_train_timesteps = 1000};
    hr_sampler_options options = good;
    hr_sampler *sampler = NULL;

    (void)unused;
    options.n_steps = 0;
    hr_test_fails(HR_ERR_ARG, "steps: found 0", hr_sampler_create(&options, &sampler));
    options.n_steps = HR_SAMPLER_MAX_STEPS + 1;
    hr_test_fails(HR_ERR_ARG, "steps: found 10001",
                  hr_sampler_create(&options, &sampler));
    options = good;
    options.shift = 0;
    hr_test_fails(HR_ERR_ARG, "shift: found 0", hr_sampler_create(&options, &sampler));
    options.shift = NAN;
    hr_test_fails(HR_ERR_ARG, "shift: found", hr_sampler_create(&options, &sampler));
    options.shift = 1e6;
    hr_test_fails(HR_ERR_ARG, "does not fall", hr_sampler_create(&options, &sampler));
    options = good;
    options.n_train_timesteps = 1;
    hr_test_fails(HR_ERR_ARG, "training timesteps",
                  hr_sampler_create(&options, &sampler));
    assert_null(sampler);
    hr_sampler_destroy(NULL);
    hr_test_release_log();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_golden, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_older_table, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_scalar_trajectories, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_frames_apart, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_impossible_options, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
