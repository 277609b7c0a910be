#include "io/safetensors.h"
#include "support/test_util.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_BYTES = 4096 };

static const char *folder, *path;

static int make_folder(void **state)
{
    (void)state;
    folder = hr_test_folder();
    path = "";
    return 0;
}

/* A file of this header and n_data bytes 0, 1, 2, ... */
static void write_file(const char *header, size_t n_data)
{
    char bytes[FILE_BYTES] = {0};
    size_t n = strlen(header);

    path = hr_test_path(folder, "a.safetensors");
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(n >> 8 * i);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        bytes[8 + n + i] = (char)i;
    hr_test_write(path, bytes, 8 + n + n_data);
}

static void refused(const char *header, size_t n_data, const char *part)
{
    hr_safetensors *file = NULL;

    write_file(header, n_data);
    hr_test_fails(HR_ERR_FORMAT, part, hr_safetensors_open(path, &file));
    assert_non_null(strstr(hr_test_log_line(0), path));
    assert_null(file);
}

static void tensors_are_found(void **state)
{
    hr_safetensors *file;
    const hr_stored_tensor *t;

    (void)state;
    write_file("{\"__metadata__\":{\"format\":\"pt\"},"
               "\"z\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
               "\"none\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[24,24]},"
               "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[24,32]},"
               "\"odd\":{\"dtype\":\"F8_E4M3\",\"shape\":[3],\"data_offsets\":[32,35]},"
               "\"b\":{\"dtype\":\"NEW\",\"shape\":[3],\"data_offsets\":[35,36]}}   ",
               36);
    hr_test_ok(hr_safetensors_open(path, &file));
    assert_string_equal(hr_safetensors_path(file), path);
    assert_int_equal(hr_safetensors_count(file), 5);
    t = hr_safetensors_find(file, "z");
    assert_ptr_equal(t, hr_safetensors_at(file, 0));
    assert_true(t->dtype == HR_F32 && t->n_dims == 2 && t->dim[0] == 2 && t->dim[1] == 3);
    assert_true(t->n_elements == 6 && t->n_bytes == 24);
    assert_int_equal(((const char *)t->data)[5], 5);
    t = hr_safetensors_find(file, "a");
    assert_true(t->dtype == HR_I64 && t->n_dims == 0 && t->n_elements == 1);
    assert_int_equal(((const char *)t->data)[0], 24);
    t = hr_safetensors_find(file, "none");
    assert_true(t->dtype == HR_BF16 && t->n_elements == 0 && t->n_bytes == 0);
    t = hr_safetensors_find(file, "odd");
    assert_true(t->dtype == HR_DTYPE_COUNT && t->n_bytes == 3);
    assert_string_equal(t->dtype_name, "F8_E4M3");
    assert_string_equal(hr_safetensors_find(file, "b")->dtype_name, "NEW");
    assert_null(hr_safetensors_find(file, "c"));
    assert_null(hr_safetensors_find(file, ""));
    hr_safetensors_close(file);
    hr_safetensors_close(NULL);
}

static void order_in_the_header_does_not_matter(void **state)
{
    hr_safetensors *file;

    (void)state;
    write_file("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[3,5]},"
               "\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}",
               5);
    hr_test_ok(hr_safetensors_open(path, &file));
    assert_string_equal(hr_safetensors_at(file, 0)->name, "a");
    assert_string_equal(hr_safetensors_at(file, 1)->name, "b");
    hr_safetensors_close(file);
}

static void empty_file_of_no_tensors(void **state)
{
    hr_safetensors *file;

    (void)state;
    write_file("{}", 0);
    hr_test_ok(hr_safetensors_open(path, &file));
    assert_int_equal(hr_safetensors_count(file), 0);
    assert_null(hr_safetensors_find(file, "a"));
    hr_safetensors_close(file);
}

static void bad_containers_are_refused(void **state)
{
    hr_safetensors *file;
    char bytes[16] = {0};

    (void)state;
    path = hr_test_path(folder, "b.safetensors");
    hr_test_fails(HR_ERR_IO, path, hr_safetensors_open(path, &file));
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_safetensors_open(folder, &file));
    hr_test_write(path, "", 0);
    hr_test_fails(HR_ERR_FORMAT, "0 bytes are too few", hr_safetensors_open(path, &file));
    bytes[0] = 9;
    hr_test_write(path, bytes, 16);
    hr_test_fails(HR_ERR_FORMAT, "header of 9 bytes, but only 8 follow",
                  hr_safetensors_open(path, &file));
    memset(bytes, 0xff, 8);
    hr_test_write(path, bytes, 16);
    hr_test_fails(HR_ERR_FORMAT, "at most 100 MB", hr_safetensors_open(path, &file));
    memset(bytes, 0, 16);
    hr_test_write(path, bytes, 16);
    hr_test_fails(HR_ERR_FORMAT, "does not start with '{'",
                  hr_safetensors_open(path, &file));
    refused(" {}", 0, "does not start with '{'");
    refused("{\"a\"", 0, "not valid JSON");
    refused("{} \x01", 0, "control character");
    refused("{\"a\xff\":1}", 0, "not valid UTF-8");
}

static void bad_entries_are_refused(void **state)
{
    (void)state;
    refused("{\"a\":1}", 0, "tensor a: expected an object");
    refused("{\"__metadata__\":[]}", 0, "__metadata__: expected an object");
    refused("{\"__metadata__\":{\"x\":1}}", 0, "__metadata__.x: expected a string");
    refused("{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "tensor a: no dtype");
    refused("{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "a.dtype");
    refused("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "tensor a: no shape");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, "tensor a: no data_offsets");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0]}}", 1,
            "tensor a: no data_offsets");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1,1]}}", 1,
            "a.data_offsets: found a list of 3");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1.5],\"data_offsets\":[0,1]}}", 1,
            "a.shape[0]: found 1.5");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[-1],\"data_offsets\":[0,1]}}", 1,
            "tensor a: shape[0]: -1 is impossible");
    refused(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}",
        1, "a.shape: found a list of 9");
    refused(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[9007199254740993],\"data_offsets\":[0,1]}}",
        1, "expected a whole number");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],"
            "\"data_offsets\":[0,0]}}",
            0, "shape[1]: 4294967296 is impossible");
    refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[4503599627370496,512],"
            "\"data_offsets\":[0,0]}}",
            0, "found 0 bytes, expected");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2, "key \"a\" is there twice");
}

static void bad_offsets_are_refused(void **state)
{
    (void)state;
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,7]}}", 7,
            "tensor a: found 7 bytes, expected 2 x 4");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 1,
            "tensor a: data at 0 to 2, but the data has 1 bytes");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[-2,0]}}", 2,
            "tensor a: data at -2 to 0");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,0]}}", 2,
            "tensor a: data at 2 to 0");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", 3,
            "1 bytes after the last tensor");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}", 3,
            "tensor a: its data starts at 1, after a gap");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
            3, "tensor b: its data starts at 1, inside the tensor before");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
            2, "inside the tensor before");
    refused("{}", 1, "1 bytes after the last tensor");
}

static void many_names_are_found_and_pages_let_go(void **state)
{
    enum { N = 3000, PAGE = 4096 };
    static char names[N][16], data[8 * PAGE];
    static hr_stored_tensor tensors[N + 1];
    hr_safetensors *file;
    const hr_stored_tensor *t;
    float value = 0;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "w.%zu", i * 7919 % N);
        tensors[i] =
            (hr_stored_tensor){.name = names[i], .dtype = HR_F32, .data = &value};
    }
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * i >> 3);
    tensors[N] =
        (hr_stored_tensor){.name = "big \"quoted\\\n", .dtype = HR_U8, .n_dims = 1};
    tensors[N].dim[0] = sizeof data;
    tensors[N].data = data;
    path = hr_test_path(folder, "many.safetensors");
    hr_test_ok(hr_safetensors_write(path, tensors, N + 1));
    hr_test_ok(hr_safetensors_open(path, &file));
    assert_int_equal(hr_safetensors_count(file), N + 1);
    for (size_t i = 0; i < N; i++) {
        t = hr_safetensors_find(file, names[i]);
        assert_ptr_equal(t, hr_safetensors_at(file, i));
        assert_string_equal(t->name, names[i]);
    }
    t = hr_safetensors_find(file, "big \"quoted\\\n");
    assert_memory_equal(t->data, data, sizeof data);
    hr_safetensors_release(t);
    assert_memory_equal(t->data, data, sizeof data);
    hr_safetensors_release(hr_safetensors_at(file, 0));
    hr_safetensors_close(file);
}

static void written_bytes_are_the_formats_own(void **state)
{
    static const float values[3] = {1, -2, 0.5F};
    static const char want[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,3],"
                               "\"data_offsets\":[0,12]},\"s\":{\"dtype\":\"I32\","
                               "\"shape\":[],\"data_offsets\":[12,16]}}";
    hr_stored_tensor tensors[2] = {
        {.name = "x", .dtype = HR_F32, .n_dims = 2, .dim = {1, 3}},
        {.name = "s", .dtype = HR_I32}};
    int32_t scalar = 7;
    char *bytes;
    size_t n, header = (sizeof want - 1 + 7) / 8 * 8;

    (void)state;
    tensors[0].data = values;
    tensors[1].data = &scalar;
    path = hr_test_path(folder, "own.safetensors");
    hr_test_ok(hr_safetensors_write(path, tensors, 2));
    bytes = hr_test_read(path, &n);
    assert_int_equal(n, 8 + header + 16);
    assert_int_equal((unsigned char)bytes[0], header);
    assert_memory_equal(bytes + 8, want, sizeof want - 1);
    for (size_t i = sizeof want - 1; i < header; i++)
        assert_int_equal(bytes[8 + i], ' ');
    assert_memory_equal(bytes + 8 + header, values, 12);
    assert_memory_equal(bytes + 8 + header + 12, &scalar, 4);
    hr_free(bytes);
}

static void streamed_equals_whole(void **state)
{
    float values[24];
    hr_stored_tensor tensor = {.name = "v", .dtype = HR_F32, .n_dims = 2, .dim = {4, 6}};
    const char *whole = hr_test_path(folder, "w"), *streamed = hr_test_path(folder, "s");
    hr_safetensors_writer *writer;
    char *a, *b;
    size_t n_a, n_b;

    (void)state;
    for (int i = 0; i < 24; i++)
        values[i] = (float)i;
    hr_test_ok(hr_safetensors_begin(streamed, &tensor, &writer));
    tensor.data = values;
    hr_test_ok(hr_safetensors_write(whole, &tensor, 1));
    for (int i = 0; i < 4; i++)
        hr_test_ok(hr_safetensors_append(writer, values + 6 * i, 24));
    hr_test_fails(HR_ERR_INTERNAL, "1 bytes more than",
                  hr_safetensors_append(writer, "", 1));
    hr_test_ok(hr_safetensors_finish(writer));
    a = hr_test_read(whole, &n_a);
    b = hr_test_read(streamed, &n_b);
    assert_int_equal(n_a, n_b);
    assert_memory_equal(a, b, n_a);
    hr_free(a);
    hr_free(b);
}

static void unfinished_leaves_nothing(void **state)
{
    const char *here = hr_test_folder();
    hr_stored_tensor tensor = {.name = "v", .dtype = HR_F32, .n_dims = 1, .dim = {4}};
    hr_safetensors_writer *writer;

    (void)state;
    path = hr_test_path(here, "v.safetensors");
    hr_test_ok(hr_safetensors_begin(path, &tensor, &writer));
    hr_test_ok(hr_safetensors_append(writer, "abcd", 4));
    assert_int_equal(hr_test_count_entries(here), 1);
    hr_test_fails(HR_ERR_INTERNAL, "4 of the tensor's 16 bytes came",
                  hr_safetensors_finish(writer));
    assert_int_equal(hr_test_count_entries(here), 0);
    hr_test_ok(hr_safetensors_begin(path, &tensor, &writer));
    hr_safetensors_abandon(writer);
    hr_safetensors_abandon(NULL);
    assert_int_equal(hr_test_count_entries(here), 0);
}

static void full_disk_leaves_the_old_file(void **state)
{
    static float values[100000];
    const char *here = hr_test_folder();
    hr_stored_tensor tensor = {
        .name = "v", .dtype = HR_F32, .n_dims = 1, .dim = {100000}};

    (void)state;
    path = hr_test_path(here, "v.safetensors");
    hr_test_write(path, "old", 3);
    tensor.data = values;
    hr_test_limit_files(65536);
    hr_test_fails(HR_ERR_IO, "v.safetensors: File too large",
                  hr_safetensors_write(path, &tensor, 1));
    hr_test_limit_files(UINT64_MAX);
    assert_int_equal(hr_test_count_entries(here), 1);
    hr_test_ok(hr_safetensors_write(path, &tensor, 1));
    assert_int_equal(hr_test_count_entries(here), 1);
}

static void impossible_places(void **state)
{
    const char *here = hr_test_folder();
    const char *file = hr_test_path(here, "file");
    hr_stored_tensor tensor = {.name = "v", .dtype = HR_F32, .data = "abcd"};

    (void)state;
    hr_test_write(file, "x", 1);
    hr_test_fails(HR_ERR_IO, "No such file or directory",
                  hr_safetensors_write(hr_test_path(here, "no/v"), &tensor, 1));
    hr_test_fails(HR_ERR_IO, "Not a directory",
                  hr_safetensors_write(hr_test_path(file, "v"), &tensor, 1));
    hr_test_fails(HR_ERR_IO, "not a plain file", hr_safetensors_write(here, &tensor, 1));
    hr_test_fails(HR_ERR_IO, "not a plain file",
                  hr_safetensors_write("/dev/full", &tensor, 1));
    assert_int_equal(hr_test_count_entries(here), 1);
}

/* Whatever bytes come, the reader answers, and what it takes lies inside the file. */
static void mutations_do_not_crash(void **state)
{
    static const char header[] =
        "{\"__metadata__\":{\"f\":\"pt\"},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]},"
        "\"c\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[32,33]}} ";
    static const char bits[] = "{}[]\",:\\0123456789-eUF \x80";
    enum { HEADER = sizeof header - 1, ALL = 8 + HEADER + 33 };
    int fd = memfd_create("mutated",
                          MFD_CLOEXEC); /* thousands of files would wait for a disk */
    char bytes[ALL], name[32];
    uint32_t random = 99;
    size_t taken = 0;

    (void)state;
    assert_true(fd >= 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    for (int round = 0; round < 6000; round++) {
        size_t n = ALL;
        hr_safetensors *file;
        memset(bytes, 0, sizeof bytes);
        bytes[0] = (char)(HEADER & 0xff);
        bytes[1] = (char)(HEADER >> 8);
        memcpy(bytes + 8, header, HEADER);
        for (int k = 0; k <= round % 3; k++) {
            random = random * 1664525U + 1013904223U;
            if (round % 7 == 0)
                bytes[(random >> 8) % 9] = (char)(random >> 24);
            else
                bytes[8 + (random >> 8) % HEADER] =
                    bits[(random >> 24) % (sizeof bits - 1)];
        }
        if (round % 11 == 0)
            n = (random >> 4) % n;
        assert_int_equal(ftruncate(fd, (off_t)n), 0);
        assert_int_equal(pwrite(fd, bytes, n, 0), n);
        hr_test_catch_log();
        if (hr_safetensors_open(name, &file) == HR_OK) {
            size_t total = 0;
            for (size_t i = 0; i < hr_safetensors_count(file); i++)
                total += hr_safetensors_at(file, i)->n_bytes;
            assert_true(total <= n);
            taken++;
            hr_safetensors_close(file);
        } else {
            assert_int_equal(hr_test_log_lines(), 1);
        }
    }
    hr_test_release_log();
    close(fd);
    assert_in_range(taken, 50, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(tensors_are_found, hr_test_leak_teardown),
        cmocka_unit_test_teardown(order_in_the_header_does_not_matter,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(empty_file_of_no_tensors, hr_test_leak_teardown),
        cmocka_unit_test_teardown(bad_containers_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(bad_entries_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(bad_offsets_are_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(many_names_are_found_and_pages_let_go,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(written_bytes_are_the_formats_own,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(streamed_equals_whole, hr_test_leak_teardown),
        cmocka_unit_test_teardown(unfinished_leaves_nothing, hr_test_leak_teardown),
        cmocka_unit_test_teardown(full_disk_leaves_the_old_file, hr_test_leak_teardown),
        cmocka_unit_test_teardown(impossible_places, hr_test_leak_teardown),
        cmocka_unit_test_teardown(mutations_do_not_crash, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, make_folder, NULL);
}
