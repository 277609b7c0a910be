/* Attention against the reference loops; on each device of HR_TEST_DEVICE. */
#include "support/op_case.h"
#include "support/test_util.h"

#include <math.h>

typedef struct shape {
    int64_t lq, lk, heads, width;
} shape;

/* How the call differs from plain attention. */
typedef struct variant {
    hr_dtype in, out;
    bool key_bias, relative_bias;
    float scale; /* 0: 1 / sqrt(width) */
} variant;

static hr_attention_args make(const shape *s, const variant *v)
{
    hr_tensor none = {0};

    return (hr_attention_args){
        .q = hr_case_random(v->in, HR_DIMS(s->lq, s->heads, s->width)),
        .k = hr_case_random(v->in, HR_DIMS(s->lk, s->heads, s->width)),
        .v = hr_case_random(v->in, HR_DIMS(s->lk, s->heads, s->width)),
        .key_bias = v->key_bias ? hr_case_random(HR_F32, HR_DIMS(s->lk)) : none,
        .relative_bias =
            v->relative_bias
                ? hr_case_random(HR_F32, HR_DIMS(s->heads, s->lq + s->lk - 1))
                : none,
        .out = hr_case_empty(v->out, HR_DIMS(s->lq, s->heads, s->width)),
        .scale = v->scale > 0 ? v->scale : 1 / sqrtf((float)s->width)};
}

static void run(const shape *s, const variant *v)
{
    hr_attention_args args = make(s, v);

    hr_case_run_attention(&args, NULL);
    hr_case_clear(NULL);
}

static const variant plain = {.in = HR_F32, .out = HR_F32};
static const variant narrow = {.in = HR_BF16, .out = HR_BF16};

static void head_widths(void **state)
{
    static const int64_t widths[] = {1, 2, 3, 7, 8, 12, 16, 20, 24, 40, 64, 72, 128};

    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        shape s = {19, 23, 2, widths[i]};

        run(&s, &plain);
        run(&s, &narrow);
    }
}

static void lengths(void **state)
{
    static const shape list[] = {
        {1, 1, 1, 8},      {1, 37, 3, 12},   {37, 1, 3, 12},  {2, 3, 5, 20},
        {63, 64, 2, 16},   {64, 65, 1, 8},   {65, 63, 2, 4},  {127, 129, 1, 6},
        {130, 257, 2, 10}, {301, 17, 1, 24}, {16, 512, 1, 8}, {7, 1031, 1, 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        run(&list[i], &plain);
        run(&list[i], &narrow);
    }
}

static void biases(void **state)
{
    static const variant list[] = {
        {.in = HR_F32, .out = HR_F32, .key_bias = true},
        {.in = HR_F32, .out = HR_F32, .relative_bias = true, .scale = 1},
        {.in = HR_F32, .out = HR_BF16, .key_bias = true, .relative_bias = true},
        {.in = HR_BF16, .out = HR_F32, .key_bias = true, .relative_bias = true},
        {.in = HR_BF16, .out = HR_BF16, .relative_bias = true, .scale = 1},
    };
    static const shape shapes[] = {
        {1, 1, 1, 4}, {9, 9, 2, 12}, {5, 70, 3, 16}, {70, 5, 2, 6}};

    (void)state;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
            run(&shapes[k], &list[i]);
}

/* A text of 30 tokens padded to 512: 482 equal keys are one with log(482) on its score.
 */
static void one_key_may_stand_for_many(void **state)
{
    static const shape s = {33, 31, 2, 20};
    static const variant v = {.in = HR_F32, .out = HR_F32, .key_bias = true};
    hr_attention_args args = make(&s, &v);
    float *bias = args.key_bias.data;

    (void)state;
    for (int i = 0; i < 31; i++)
        bias[i] = i < 30 ? 0 : logf(482);
    hr_case_run_attention(&args, NULL);
}

/* Scores of several hundred, falling and rising along the keys: exp must never overflow.
 */
static void large_scores(void **state)
{
    static const shape s = {11, 200, 1, 8};
    static const variant v = {.in = HR_F32, .out = HR_F32, .key_bias = true, .scale = 1};

    (void)state;
    for (int rising = 0; rising < 2; rising++) {
        hr_attention_args args = make(&s, &v);
        float *bias = args.key_bias.data;

        for (int i = 0; i < 200; i++)
            bias[i] = (float)(rising ? 4 * i - 400 : 400 - 4 * i);
        hr_case_run_attention(&args, NULL);
        hr_case_clear(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(head_widths, hr_case_clear),
        cmocka_unit_test_teardown(lengths, hr_case_clear),
        cmocka_unit_test_teardown(biases, hr_case_clear),
        cmocka_unit_test_teardown(one_key_may_stand_for_many, hr_case_clear),
        cmocka_unit_test_teardown(large_scores, hr_case_clear),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
