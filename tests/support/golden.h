/* The golden cases: reference tensors of diffusers with their tolerances
 * (tests/golden/README.md).
 *
 * Every function fails the running CMocka test when the case does not hold what is asked
 * for. */
#ifndef HR_TESTS_GOLDEN_H
#define HR_TESTS_GOLDEN_H

#include "support/test_util.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hr_golden hr_golden;

typedef struct hr_golden_tensor {
    const char *name;
    const char *dtype; /* of the file: "F32", "I32", "I64", "BF16" */
    int n_dims;
    int64_t dim[8];
    size_t n;           /* elements */
    double atol;        /* 0 where case.json names none */
    const float *f32;   /* of F32 and BF16; NULL otherwise */
    const int64_t *i64; /* of I32 and I64; NULL otherwise */
} hr_golden_tensor;

enum { HR_GOLDEN_MAX_STEPS = 64 };

typedef struct hr_golden_run {
    const char *name; /* tensors of this run are NAME/... */
    const char *prompt;
    const char *negative_prompt; /* NULL when the run has none */
    uint64_t seed;
    int64_t steps, height, width, num_frames, max_sequence_length;
    double guidance_scale;
    double guidance_scale_2;          /* equal to guidance_scale when the case has none */
    bool second[HR_GOLDEN_MAX_STEPS]; /* step i uses transformer_2 */
} hr_golden_run;

/* The case is a folder of tests/golden, "wan21-tiny". Close it before checking for leaks.
 */
hr_golden *hr_golden_open(const char *case_name);
void hr_golden_close(hr_golden *golden);

/* Folder of the case, and its pipeline (a diffusers folder). */
const char *hr_golden_folder(const hr_golden *golden);
const char *hr_golden_pipeline(const hr_golden *golden);

size_t hr_golden_n_runs(const hr_golden *golden);
const hr_golden_run *hr_golden_run_at(const hr_golden *golden, size_t i);

/* Aligned copies, alive until close. */
const hr_golden_tensor *hr_golden_find(hr_golden *golden, const char *name);
/* printf-like: hr_golden_findf(g, "%s/step%d/latents", run->name, 0). */
const hr_golden_tensor *hr_golden_findf(hr_golden *golden, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool hr_golden_has(const hr_golden *golden, const char *name);

/* Asserts max|got - reference| <= atol of case.json over the n elements of the tensor.
 * Prints relative L2 error, worst index, got, want and atol when it fails. */
#define hr_golden_check(golden, name, got, n)                                            \
    hr_golden_check_atol(golden, name, got, n, -1.0)
/* The same with another tolerance, which needs a reason where it is given; 0: exact. */
#define hr_golden_check_atol(golden, name, got, n, atol)                                 \
    (hr_golden_agrees(golden, name, got, n, atol) ? (void)0 : _fail(__FILE__, __LINE__))
/* The same for references that are not in a case file; `file` and `line` are shown. */
#define hr_golden_compare(what, got, want, n, atol, file, line)                          \
    (hr_golden_is_near(what, got, want, n, atol) ? (void)0 : _fail(file, line))

/* The largest difference / atol of all checks so far in this program, for reports. */
double hr_golden_worst_ratio(void);

/* Behind the macros. */
bool hr_golden_agrees(hr_golden *golden, const char *name, const float *got, size_t n,
                      double atol);
bool hr_golden_is_near(const char *what, const float *got, const float *want, size_t n,
                       double atol);

#endif
