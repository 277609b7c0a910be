#include "io/latents.h"
#include "support/test_util.h"

#include "io/safetensors.h"

#include <math.h>

static const int64_t shape[4] = {2, 3, 2, 2}; /* frames, channels, height, width */
static float values[24];

static void fill(void)
{
    for (int i = 0; i < 24; i++)
        values[i] = (float)i;
}

static hr_status write_all(const char *path, const int64_t fchw[4], const float *data)
{
    const int64_t per_frame = fchw[1] * fchw[2] * fchw[3];
    hr_latents_writer *writer;

    HR_TRY(hr_latents_begin(path, fchw, &writer));
    for (int64_t f = fchw[0] - 1; f >= 0; f--) /* the order is free */
        hr_test_ok(hr_latents_write_frame(writer, f, data + f * per_frame));
    return hr_latents_finish(writer);
}

static hr_status read_all(const char *path, const int64_t fchw[4], float *out)
{
    hr_latents_reader *reader;
    hr_status status = HR_OK;

    HR_TRY(hr_latents_open(path, fchw, &reader));
    for (int64_t f = 0; f < fchw[0] && status == HR_OK; f++)
        status = hr_latents_read_frame(reader, f, out + f * fchw[1] * fchw[2] * fchw[3]);
    hr_latents_close(reader);
    return status;
}

static void stored_channels_first(void **state)
{
    const char *path = hr_test_path(hr_test_folder(), "l.safetensors");
    const hr_stored_tensor *t;
    hr_safetensors *file;
    const float *stored;
    float back[24] = {0};

    (void)state;
    fill();
    hr_test_ok(write_all(path, shape, values));
    hr_test_ok(hr_safetensors_open(path, &file));
    assert_int_equal(hr_safetensors_count(file), 1);
    t = hr_safetensors_find(file, "latents");
    assert_non_null(t);
    assert_true(t->dtype == HR_F32 && t->n_dims == 5 && t->dim[0] == 1 &&
                t->dim[1] == 3 && t->dim[2] == 2 && t->dim[3] == 2 && t->dim[4] == 2);
    stored = t->data;
    for (int f = 0; f < 2; f++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < 4; i++)
                assert_true(stored[(c * 2 + f) * 4 + i] == values[(f * 3 + c) * 4 + i]);
    hr_safetensors_close(file);
    hr_test_ok(read_all(path, shape, back));
    assert_memory_equal(back, values, sizeof values);
}

static void another_tensor_is_refused(void **state)
{
    const char *path = hr_test_path(hr_test_folder(), "l.safetensors");
    const int64_t longer[4] = {3, 3, 2, 2};
    hr_stored_tensor t = {.name = "noise", .dtype = HR_F32, .n_dims = 5};
    float back[36] = {7};

    (void)state;
    fill();
    hr_test_ok(write_all(path, shape, values));
    hr_test_fails(HR_ERR_ARG,
                  "latents: found F32 (1, 3, 2, 2, 2), expected F32 (1, 3, 3, 2, 2)",
                  read_all(path, longer, back));
    for (int i = 0; i < 5; i++)
        t.dim[i] = i == 0 ? 1 : shape[i == 1 ? 1 : i == 2 ? 0 : i - 1];
    t.data = values;
    hr_test_ok(hr_safetensors_write(path, &t, 1));
    hr_test_fails(HR_ERR_ARG,
                  "no tensor named latents, expected one of F32 (1, 3, 2, 2, 2)",
                  read_all(path, shape, back));
    t.name = "latents";
    t.dtype = HR_I32;
    hr_test_ok(hr_safetensors_write(path, &t, 1));
    hr_test_fails(HR_ERR_ARG, "found I32 (1, 3, 2, 2, 2)", read_all(path, shape, back));
    t.dtype = HR_F32;
    t.n_dims = 4;
    hr_test_ok(hr_safetensors_write(path, &t, 1));
    hr_test_fails(HR_ERR_ARG, "found F32 (1, 3, 2, 2)", read_all(path, shape, back));
    hr_test_write(path, "x", 1);
    hr_test_fails(HR_ERR_FORMAT, "too few", read_all(path, shape, back));
    assert_true(back[0] == 7);
}

static void numbers_that_are_not_finite_are_refused(void **state)
{
    const char *path = hr_test_path(hr_test_folder(), "l.safetensors");
    float back[24];

    (void)state;
    fill();
    values[17] = NAN;
    hr_test_ok(write_all(path, shape, values));
    hr_test_fails(HR_ERR_ARG, "nan in frame 1, channel 1", read_all(path, shape, back));
    values[17] = INFINITY;
    hr_test_ok(write_all(path, shape, values));
    hr_test_fails(HR_ERR_ARG, "inf in frame 1, channel 1", read_all(path, shape, back));
}

static void unfinished_leaves_nothing(void **state)
{
    const char *folder = hr_test_folder();

    hr_latents_writer *writer;

    (void)state;
    fill();
    hr_test_fails(HR_ERR_IO, "No such file",
                  write_all(hr_test_path(folder, "no/l"), shape, values));
    assert_int_equal(hr_test_count_entries(folder), 0);
    hr_test_ok(hr_latents_begin(hr_test_path(folder, "l"), shape, &writer));
    hr_test_ok(hr_latents_write_frame(writer, 1, values));
    hr_test_fails(HR_ERR_INTERNAL, "48 of the tensor's 96 bytes came",
                  hr_latents_finish(writer));
    hr_test_ok(hr_latents_begin(hr_test_path(folder, "l"), shape, &writer));
    hr_latents_abandon(writer);
    hr_latents_abandon(NULL);
    hr_latents_close(NULL);
    assert_int_equal(hr_test_count_entries(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(stored_channels_first, hr_test_leak_teardown),
        cmocka_unit_test_teardown(another_tensor_is_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(numbers_that_are_not_finite_are_refused,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(unfinished_leaves_nothing, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
