/* The instruction sets of the cpu device: which one a process gets, and that the kernels
 * of each are as accurate as the others. */
#include "base/memory.h"
#include "compute/cpu/isa.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/onednn.h"
#include "support/test_util.h"

#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const hr_isa levels[] = {HR_ISA_PLAIN, HR_ISA_AVX2, HR_ISA_AVX512};
enum { N_LEVELS = sizeof levels / sizeof levels[0] };

/* A process settles once: each case has a process of its own, which exits with 0 when
 * `check` holds. */
static void in_a_process(bool (*check)(hr_isa level), hr_isa level)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0)
        _exit(check(level) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Forced, and the default of devices opened later. */
static bool is_given(hr_isa level)
{
    hr_isa first = HR_ISA_AUTO, second = HR_ISA_AUTO;

    return hr_isa_settle(level, &first) == HR_OK && first == level &&
           hr_isa_settle(HR_ISA_AUTO, &second) == HR_OK && second == level;
}

static bool is_refused_when_missing(hr_isa level)
{
    hr_isa isa = HR_ISA_AUTO;

    hr_test_catch_log();
    return hr_isa_settle(level, &isa) == HR_ERR_UNSUPPORTED && isa == HR_ISA_AUTO &&
           hr_test_log_lines() == 1 &&
           strstr(hr_test_log_line(0), hr_isa_name(level)) != NULL;
}

static bool is_refused_after_another(hr_isa level)
{
    hr_isa isa = HR_ISA_AUTO, other = level == HR_ISA_PLAIN ? HR_ISA_AVX2 : HR_ISA_PLAIN;

    if (!hr_isa_is_available(other) || hr_isa_settle(level, &isa) != HR_OK)
        return !hr_isa_is_available(other);
    hr_test_catch_log();
    return hr_isa_settle(other, &isa) == HR_ERR_UNSUPPORTED && isa == level &&
           hr_test_log_lines() == 1;
}

static bool device_says_level(hr_isa level)
{
    hr_device_options options = {.name = "cpu", .threads = 2, .isa = level};
    hr_device *device;
    bool said;

    if (hr_device_open(&options, &device) != HR_OK)
        return false;
    said = strstr(hr_device_description(device), hr_isa_name(level)) != NULL;
    hr_device_close(device);
    return said && hr_mem_live_blocks() == 0;
}

/* Looking settles nothing, and bf16 can be given up for the whole process. */
static bool looks_without_settling(hr_isa level)
{
    hr_isa_level best, found;
    hr_isa isa;

    if (hr_isa_look(HR_ISA_AUTO, &best) != HR_OK || hr_isa_look(level, &found) != HR_OK ||
        best.isa < level || found.isa != level ||
        found.has_bf16 != hr_isa_has_bf16(level))
        return false;
    hr_isa_forbid_bf16();
    return hr_isa_look(level, &found) == HR_OK && !found.has_bf16 &&
           !hr_isa_has_bf16(level) && hr_isa_settle(level, &isa) == HR_OK && isa == level;
}

static void levels_are_given_or_refused(void **state)
{
    (void)state;
    for (int i = 0; i < N_LEVELS; i++) {
        if (hr_isa_is_available(levels[i])) {
            in_a_process(is_given, levels[i]);
            in_a_process(is_refused_after_another, levels[i]);
            in_a_process(device_says_level, levels[i]);
            in_a_process(looks_without_settling, levels[i]);
        } else {
            in_a_process(is_refused_when_missing, levels[i]);
        }
    }
}

/* Both are x / (1 + exp(-a)). */
static double exponent(double x, hr_activation activation)
{
    double u = sqrt(2 / acos(-1.0)) * (x + 0.044715 * x * x * x);

    return activation == HR_ACT_SILU ? x : 2 * u;
}

/* Tensors of the kernels are plain memory here: no device follows them. */
static hr_tensor host_tensor(void *data, int64_t n)
{
    return (hr_tensor){.data = data, .dtype = HR_F32, .n_dims = 1, .dim = {n}};
}

/* Each rounding on the way to the argument of exp moves the result by |a| half units. */
static void activations_are_accurate(const hr_cpu_kernels *kernels,
                                     hr_activation activation)
{
    enum { N = 40001 };
    static float x[N], y[N];
    hr_activate_args args = {
        .x = host_tensor(x, N), .out = host_tensor(y, N), .activation = activation};

    for (int i = 0; i < N; i++)
        x[i] = (float)(i - N / 2) * (activation == HR_ACT_SILU ? 0x1p-8F : 0x1p-12F);
    kernels->activate(&args, 0, N);
    for (int i = 0; i < N; i++) {
        double a = exponent((double)x[i], activation),
               want = (double)x[i] / (1 + exp(-a));
        double bound = fabs(want) * 0x1p-24 * (6 + 4 * fabs(a));

        if (!(fabs((double)y[i] - want) <= bound + 1e-36))
            fail_msg("%d: of %.9g %.9g, expected %.9g", (int)activation, (double)x[i],
                     (double)y[i], want);
    }
}

static void extremes_stay_finite(const hr_cpu_kernels *kernels)
{
    float x[] = {-1e30F, -1e4F, -0.0F, 0.0F, 1e4F, 1e30F, NAN}, y[7];
    hr_activate_args args = {.x = host_tensor(x, 7), .out = host_tensor(y, 7)};

    for (int i = 0; i < 2; i++) {
        args.activation = i == 0 ? HR_ACT_SILU : HR_ACT_GELU_TANH;
        kernels->activate(&args, 1, 7);
        assert_true(y[1] <= 0 && y[1] > -1e-30F);
        assert_true(y[2] == 0 && y[3] == 0);
        assert_true(y[4] == 1e4F && y[5] == 1e30F);
        assert_true(isnan(y[6]));
    }
}

/* The halves of all tails: a unit is written when it is asked for, and not otherwise. */
static void nothing_else_is_written(const hr_cpu_kernels *kernels)
{
    float x[40], y[40];
    hr_lincomb_args args = {.x = {host_tensor(x, 40), host_tensor(x, 40)},
                            .out = host_tensor(y, 40),
                            .c = {1, 2},
                            .n = 2};
    hr_fill_args fill = {.out = host_tensor(y, 40), .value = -1};

    for (int i = 0; i < 40; i++)
        x[i] = (float)i;
    for (int first = 0; first < 40; first++)
        for (int last = first; last <= 40; last++) {
            kernels->fill(&fill, 0, 40);
            kernels->lincomb(&args, first, last);
            for (int i = 0; i < 40; i++)
                assert_true(y[i] == (i >= first && i < last ? 3 * x[i] : -1));
        }
}

static void kernels_of_every_level(void **state)
{
    (void)state;
    for (int i = 0; i < N_LEVELS; i++) {
        const hr_cpu_kernels *kernels;

        if (!hr_isa_is_available(levels[i])) {
            print_message("skip: this machine has no %s\n", hr_isa_name(levels[i]));
            continue;
        }
        kernels = hr_cpu_kernels_of(levels[i]);
        activations_are_accurate(kernels, HR_ACT_SILU);
        activations_are_accurate(kernels, HR_ACT_GELU_TANH);
        extremes_stay_finite(kernels);
        nothing_else_is_written(kernels);
    }
}

/* The widths of real models, and odd ones: never oneDNN's plain loops. */
static void products_have_fast_kernels(void **state)
{
    static const int64_t widths[][2] = {
        {160, 160}, {160, 640}, {4096, 256}, {1536, 256},  {8960, 256},
        {33, 65},   {7, 5},     {1, 1},      {16 * 27, 3}, {96 * 27, 3}};
    hr_onednn *onednn;
    hr_isa isa;

    (void)state;
    hr_test_ok(hr_isa_settle(HR_ISA_AUTO, &isa));
    hr_test_ok(hr_onednn_create(isa, 1, NULL, &onednn));
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
        for (int64_t rows = 1; rows <= 128; rows += 127) {
            hr_onednn_shape shape = {.height = 1,
                                     .width = rows,
                                     .c_in = widths[i][0],
                                     .c_out = widths[i][1],
                                     .kernel_height = 1,
                                     .kernel_width = 1};
            const hr_onednn_conv *conv, *again;
            bool is_fast;

            hr_test_ok(hr_onednn_is_fast(onednn, &shape, &is_fast));
            assert_true(is_fast);
            hr_test_ok(hr_onednn_get(onednn, &shape, &conv));
            assert_int_not_equal(strncmp(hr_onednn_conv_name(conv), "ref", 3), 0);
            hr_test_ok(hr_onednn_get(onednn, &shape, &again));
            assert_ptr_equal(conv, again);
        }
    hr_onednn_destroy(onednn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(levels_are_given_or_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(kernels_of_every_level, hr_test_leak_teardown),
        cmocka_unit_test_teardown(products_have_fast_kernels, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
