/* How far an operator's result may be from the reference, by operator: the one table.
 *
 * Element by element: |got - want| <= atol * rms(want) + rtol * |want|, and for a BF16
 * result another |want| / 256: half a unit in the last of 8 bits is at most |want| / 256
 * away, and a value next to a tie may fall to the other side only if the float result
 * moved, which is in atol. */
#ifndef HR_TESTS_TOLERANCE_H
#define HR_TESTS_TOLERANCE_H

typedef struct hr_tolerance {
    const char *op;
    double atol, rtol;
    const char *reason;
} hr_tolerance;

static const double hr_tolerance_of_bf16 = 0x1p-8;

static const hr_tolerance hr_tolerances[] = {
    {"linear", 1e-5, 1e-6,
     "fp32 sums of up to 1,500 products: sqrt(1500) * 2^-24 of their size, a few times"},
    {"conv", 1e-5, 1e-6, "as linear: up to 27 * 48 products"},
    {"attention", 2e-5, 2e-6, "scores of size 5 have errors of 1e-6, exp passes them on"},
    {"norm", 3e-6, 2e-6, "mean and variance over up to 2,048 values in fp32, one rsqrt"},
    {"row_squares", 0, 1e-6, "squares of one sign, summed up 128 in fp32 at a time"},
    {"rope", 3e-7, 3e-7, "two products and a sum, each rounded to 2^-24"},
    {"gated_add", 2e-7, 2e-7, "one product and one sum"},
    {"activate", 2e-6, 2e-6,
     "an exponential of 2 units in the last place; cancels near -3"},
    {"geglu", 2e-6, 2e-6, "as activate, and one product"},
    {"lincomb", 0, 0, "fma from the left has one result only"},
    {"gather_rows", 0, 0, "copies"},
    {"patchify", 0, 0, "copies"},
    {"unpatchify", 0, 0, "copies"},
    {"denormalize", 2e-7, 2e-7, "one quotient and one sum"},
    {"upsample", 0, 0, "copies"},
    {"split_frames", 0, 0, "copies"},
    {"add_duplicated", 1e-7, 1e-7, "one sum"},
    {"to_rgb", 1e-7, 1e-7, "one product and one sum"},
    {"fill", 0, 0, "the value itself"},
};

/* The bf16 products of a device that has them natively take the softmax's weights as BF16
 * too. */
static const double hr_tolerance_native_bf16_attention = 0x1p-8;

#endif
