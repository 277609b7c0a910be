/* The generators against Random123's known answers, libm and torch's recorded draws. */
#include "support/golden.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FRAME = 4 * 60 * 104 };

/* Random123 1.14, kat_vectors: philox4x32 10. */
static void test_philox_known_answers(void **state)
{
    static const uint32_t pi[6] = {0x243f6a88, 0x85a308d3, 0x13198a2e,
                                   0x03707344, 0xa4093822, 0x299f31d0};
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } cases[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0U, ~0U, ~0U, ~0U},
         {~0U, ~0U},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    };
    static const uint32_t expected[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    uint32_t out[4];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hr_philox(cases[i].counter, cases[i].key, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
    hr_philox(pi, pi + 4, out);
    assert_memory_equal(out, expected, sizeof out);
}

/* The formula of rng.h with libm: one rounding to float apart at most. */
static void test_latent_noise_is_box_muller(void **state)
{
    const uint64_t seed = 0x123456789abcdef0ULL;
    const uint32_t key[2] = {0x9abcdef0U, 0x12345678U};
    const double pi = 3.14159265358979323846;
    uint32_t words[4];
    float *noise = hr_alloc(FRAME * sizeof *noise);
    double a, b, want;

    (void)state;
    assert_non_null(noise);
    hr_rng_latent_frame(seed, 77, 4, 60, 104, noise);
    for (uint32_t i = 0; i < FRAME; i++) {
        const uint32_t counter[4] = {i % 104, i / 104 % 60, i / (104 * 60), 77};
        hr_philox(counter, key, words);
        a = 1 - (double)(((uint64_t)words[0] << 32 | words[1]) & 0x1fffffffffffffULL) /
                    0x1p53;
        b = (double)(((uint64_t)words[2] << 32 | words[3]) & 0x1fffffffffffffULL) /
            0x1p53;
        want = sqrt(-2 * log(a)) * cos(2 * pi * b);
        assert_true(fabs((double)noise[i] - want) <= 0x1p-24 * fabs(want) + 1e-14);
    }
    hr_free(noise);
}

static void test_latent_noise_is_normal(void **state)
{
    float *noise = hr_alloc(2 * FRAME * sizeof *noise);
    double sum = 0, squares = 0, fourth = 0, product = 0, neighbours = 0, x;
    const double n = 2.0 * FRAME;

    (void)state;
    assert_non_null(noise);
    hr_rng_latent_frame(1, 0, 4, 60, 104, noise);
    hr_rng_latent_frame(1, 1, 4, 60, 104, noise + FRAME);
    for (size_t i = 0; i < 2 * FRAME; i++) {
        x = (double)noise[i];
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
        if (i < FRAME)
            product += x * (double)noise[i + FRAME];
        if (i > 0)
            neighbours += x * (double)noise[i - 1];
    }
    /* 4.5 standard deviations of each estimate */
    assert_true(fabs(sum / n) < 4.5 / sqrt(n));
    assert_true(fabs(squares / n - 1) < 4.5 * sqrt(2 / n));
    assert_true(fabs(fourth / n - 3) < 4.5 * sqrt(96 / n));
    assert_true(fabs(product / FRAME) < 4.5 / sqrt(FRAME));
    assert_true(fabs(neighbours / n) < 4.5 / sqrt(n));
    hr_free(noise);
}

/* A place keeps its number in a larger picture, and seeds and frames differ. */
static void test_latent_noise_ignores_sizes(void **state)
{
    float small[2 * 3 * 5], large[4 * 7 * 9], other[2 * 3 * 5];

    (void)state;
    hr_rng_latent_frame(9, 4, 2, 3, 5, small);
    hr_rng_latent_frame(9, 4, 4, 7, 9, large);
    for (size_t c = 0; c < 2; c++)
        for (size_t y = 0; y < 3; y++)
            for (size_t x = 0; x < 5; x++)
                assert_true(small[(c * 3 + y) * 5 + x] == large[(c * 7 + y) * 9 + x]);
    hr_rng_latent_frame(9, 5, 2, 3, 5, other);
    for (size_t i = 0; i < 30; i++)
        assert_true(small[i] != other[i]);
    hr_rng_latent_frame(9 + (1ULL << 32), 4, 2, 3, 5, other);
    for (size_t i = 0; i < 30; i++)
        assert_true(small[i] != other[i]);
}

static void check_torch(hr_golden *golden, hr_torch_rng *rng, const char *name)
{
    const hr_golden_tensor *want = hr_golden_find(golden, name);
    float *got = hr_alloc(want->n * sizeof *got);

    assert_non_null(got);
    hr_torch_randn(rng, got, want->n);
    for (size_t i = 0; i < want->n; i++)
        if (memcmp(&got[i], &want->f32[i], sizeof(float)) != 0)
            fail_msg("%s[%zu]: %.9g, torch has %.9g", name, i, (double)got[i],
                     (double)want->f32[i]);
    hr_free(got);
}

static void test_torch_bits(void **state)
{
    static const uint64_t seeds[] = {0, 1, 42, 2147483647, 1099511627783};
    static const int sizes[] = {1, 7, 15, 16, 17, 31, 1000, 4097};
    hr_golden *golden = hr_golden_open("rng");
    hr_torch_rng rng;
    char name[64];
    int n_checked = 0;

    (void)state;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            snprintf(name, sizeof name, "seed%llu/n%d", (unsigned long long)seeds[i],
                     sizes[j]);
            if (!hr_golden_has(golden, name))
                continue;
            hr_torch_rng_seed(&rng, seeds[i]);
            check_torch(golden, &rng, name);
            n_checked++;
        }
    }
    assert_int_equal(n_checked, 35);
    hr_torch_rng_seed(&rng, 42);
    check_torch(golden, &rng, "seed42/two_draws/a");
    check_torch(golden, &rng, "seed42/two_draws/b");
    hr_golden_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_philox_known_answers, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_latent_noise_is_box_muller, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_latent_noise_is_normal, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_latent_noise_ignores_sizes, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_torch_bits, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
