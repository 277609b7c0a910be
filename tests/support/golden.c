#include "support/golden.h"

#include "base/dtype.h"
#include "base/memory.h"
#include "io/json.h"
#include "io/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_CASE_BYTES = 16 << 20, MAX_RUNS = 8, PATH_BYTES = 1024 };

struct hr_golden {
    char folder[PATH_BYTES], pipeline[PATH_BYTES + 16];
    hr_json *json;
    hr_safetensors *file;
    hr_golden_run run[MAX_RUNS];
    size_t n_runs;
    hr_golden_tensor *tensors; /* filled when first asked for; same order as the file */
};

static double worst_ratio;

static void read_run(const hr_json *json, const hr_json_node *node, hr_golden_run *run)
{
    int64_t seed = 0;
    const hr_json_node *experts = hr_json_get(node, "expert_per_step");

    hr_test_ok(hr_json_read_string(json, node, "name", &run->name));
    hr_test_ok(hr_json_read_string(json, node, "prompt", &run->prompt));
    hr_test_ok(hr_json_read_string(json, node, "negative_prompt", &run->negative_prompt));
    hr_test_ok(hr_json_read_i64(json, node, "seed", 0, INT64_MAX, &seed));
    hr_test_ok(
        hr_json_read_i64(json, node, "steps", 1, HR_GOLDEN_MAX_STEPS, &run->steps));
    hr_test_ok(hr_json_read_i64(json, node, "height", 1, 4096, &run->height));
    hr_test_ok(hr_json_read_i64(json, node, "width", 1, 4096, &run->width));
    hr_test_ok(hr_json_read_i64(json, node, "num_frames", 1, 4096, &run->num_frames));
    hr_test_ok(hr_json_read_i64(json, node, "max_sequence_length", 1, 4096,
                                &run->max_sequence_length));
    hr_test_ok(hr_json_read_f64(json, node, "guidance_scale", &run->guidance_scale));
    run->guidance_scale_2 = run->guidance_scale;
    hr_test_ok(hr_json_read_f64(json, node, "guidance_scale_2", &run->guidance_scale_2));
    run->seed = (uint64_t)seed;
    for (int i = 0; i < run->steps; i++) {
        char key[16];
        const char *expert;
        snprintf(key, sizeof key, "%d", i);
        expert = hr_json_string(hr_json_get(experts, key));
        run->second[i] = expert != NULL && strcmp(expert, "transformer_2") == 0;
    }
}

static void read_case(hr_golden *golden)
{
    const hr_json_node *root, *runs;

    hr_test_ok(hr_json_open(hr_test_path(golden->folder, "case.json"), MAX_CASE_BYTES,
                            &golden->json));
    root = hr_json_root(golden->json);
    runs = hr_json_get(root, "runs");
    for (const hr_json_node *x = hr_json_first(runs); x != NULL; x = hr_json_next(x)) {
        assert_true(golden->n_runs < MAX_RUNS);
        read_run(golden->json, x, &golden->run[golden->n_runs++]);
    }
}

hr_golden *hr_golden_open(const char *case_name)
{
    hr_golden *golden = hr_alloc(sizeof *golden);

    assert_non_null(golden);
    assert_true(snprintf(golden->folder, PATH_BYTES, "%s/%s", HR_TEST_GOLDEN, case_name) <
                PATH_BYTES);
    snprintf(golden->pipeline, sizeof golden->pipeline, "%s/pipeline", golden->folder);
    read_case(golden);
    hr_test_ok(hr_safetensors_open(hr_test_path(golden->folder, "reference.safetensors"),
                                   &golden->file));
    golden->tensors =
        hr_alloc((hr_safetensors_count(golden->file) + 1) * sizeof *golden->tensors);
    assert_non_null(golden->tensors);
    return golden;
}

void hr_golden_close(hr_golden *golden)
{
    if (golden == NULL)
        return;
    for (size_t i = 0; i < hr_safetensors_count(golden->file); i++) {
        /* The pointers are to const for the readers; the memory is ours. */
        hr_free((void *)(uintptr_t)golden->tensors[i].f32);
        hr_free((void *)(uintptr_t)golden->tensors[i].i64);
    }
    hr_free(golden->tensors);
    hr_safetensors_close(golden->file);
    hr_json_close(golden->json);
    hr_free(golden);
}

const char *hr_golden_folder(const hr_golden *golden)
{
    return golden->folder;
}

const char *hr_golden_pipeline(const hr_golden *golden)
{
    return golden->pipeline;
}

size_t hr_golden_n_runs(const hr_golden *golden)
{
    return golden->n_runs;
}

const hr_golden_run *hr_golden_run_at(const hr_golden *golden, size_t i)
{
    assert_true(i < golden->n_runs);
    return &golden->run[i];
}

bool hr_golden_has(const hr_golden *golden, const char *name)
{
    return hr_safetensors_find(golden->file, name) != NULL;
}

static double tolerance_of(const hr_golden *golden, const char *name)
{
    const hr_json_node *list = hr_json_get(hr_json_root(golden->json), "tensors");
    double atol = 0;

    for (const hr_json_node *x = hr_json_first(list); x != NULL; x = hr_json_next(x)) {
        const char *its = hr_json_string(hr_json_get(x, "name"));
        if (its != NULL && strcmp(its, name) == 0) {
            hr_test_ok(hr_json_read_f64(golden->json, x, "atol", &atol));
            break;
        }
    }
    return atol;
}

static void copy_whole(const hr_stored_tensor *stored, int64_t *out)
{
    const char *bytes = stored->data;
    int32_t narrow;

    for (size_t i = 0; i < stored->n_elements; i++) {
        if (stored->dtype == HR_I64) {
            memcpy(&out[i], bytes + 8 * i, 8);
        } else {
            memcpy(&narrow, bytes + 4 * i, 4);
            out[i] = narrow;
        }
    }
}

static void fill(hr_golden *golden, const hr_stored_tensor *stored,
                 hr_golden_tensor *tensor)
{
    void *raw = hr_alloc(stored->n_bytes), *copy = hr_alloc(stored->n_elements * 8);

    assert_non_null(raw);
    assert_non_null(copy);
    tensor->name = stored->name;
    tensor->dtype = stored->dtype_name;
    tensor->n_dims = stored->n_dims;
    memcpy(tensor->dim, stored->dim, sizeof tensor->dim);
    tensor->n = stored->n_elements;
    tensor->atol = tolerance_of(golden, stored->name);
    if (stored->dtype == HR_I64 || stored->dtype == HR_I32) {
        copy_whole(stored, copy);
        tensor->i64 = copy;
    } else {
        memcpy(raw, stored->data, stored->n_bytes);
        assert_int_equal(hr_dtype_convert(copy, HR_F32, raw, stored->dtype, tensor->n),
                         0);
        tensor->f32 = copy;
    }
    hr_free(raw);
}

const hr_golden_tensor *hr_golden_find(hr_golden *golden, const char *name)
{
    const hr_stored_tensor *stored = hr_safetensors_find(golden->file, name);
    hr_golden_tensor *tensor;

    if (stored == NULL)
        fail_msg("%s has no tensor %s", golden->folder, name);
    tensor = &golden->tensors[stored - hr_safetensors_at(golden->file, 0)];
    if (tensor->name == NULL)
        fill(golden, stored, tensor);
    return tensor;
}

const hr_golden_tensor *hr_golden_findf(hr_golden *golden, const char *format, ...)
{
    char name[256];
    va_list args;

    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return hr_golden_find(golden, name);
}

bool hr_golden_is_near(const char *what, const float *got, const float *want, size_t n,
                       double atol)
{
    double difference = 0, reference = 0, worst = -1;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - want[i]);
        if (!isfinite(got[i]))
            d = INFINITY;
        difference += d * d;
        reference += (double)want[i] * want[i];
        if (d > worst) {
            worst = d;
            at = i;
        }
    }
    if (atol > 0 && worst / atol > worst_ratio)
        worst_ratio = worst / atol;
    if (worst <= atol)
        return true;
    print_error("%s: rel-L2 %.3g; worst at %zu of %zu: got %.9g, want %.9g, off by %.3g, "
                "atol %.3g\n",
                what, sqrt(difference / (reference > 0 ? reference : 1)), at, n,
                (double)got[at], (double)want[at], worst, atol);
    return false;
}

bool hr_golden_agrees(hr_golden *golden, const char *name, const float *got, size_t n,
                      double atol)
{
    const hr_golden_tensor *want = hr_golden_find(golden, name);

    if (want->f32 == NULL || want->n != n) {
        print_error("%s is %s with %zu elements, compared with %zu floats\n", name,
                    want->dtype, want->n, n);
        return false;
    }
    return hr_golden_is_near(name, got, want->f32, n, atol < 0 ? want->atol : atol);
}

double hr_golden_worst_ratio(void)
{
    return worst_ratio;
}
