/* What the strict device does to host code that breaks the rules of device.h. */
#include "base/memory.h"
#include "compute/ops.h"
#include "support/test_util.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fixture {
    hr_device *device;
    hr_stream *stream;
    hr_tensor t;
} fixture;

static fixture the;

static int setup(void **state)
{
    (void)state;
    hr_test_ok(hr_device_open(&(hr_device_options){.name = "strict"}, &the.device));
    hr_test_ok(hr_stream_create(the.device, &the.stream));
    hr_test_ok(hr_tensor_create(the.device, HR_F32, HR_DIMS(4), &the.t));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hr_tensor_free(&the.t);
    hr_stream_destroy(the.stream);
    hr_device_close(the.device);
    return 0;
}

/* Whether `act` ends a process of its own by a signal (a sanitizer makes that an exit
 * status). */
static bool crashes(void (*act)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* CMocka's handler would fail the test instead */
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(0);
        act();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
}

static void nothing(void)
{
}

static void read_tensor(void)
{
    *(volatile float *)the.t.data;
}

static void write_tensor(void)
{
    *(volatile float *)the.t.data = 1;
}

static void use_freed_tensor(void)
{
    hr_tensor kept = the.t;

    hr_tensor_free(&the.t);
    hr_op_fill(the.stream, &(hr_fill_args){.out = kept, .value = 1});
    hr_stream_sync(the.stream);
}

static void free_before_sync(void)
{
    hr_op_fill(the.stream, &(hr_fill_args){.out = the.t, .value = 1});
    hr_tensor_free(&the.t);
    hr_stream_sync(the.stream);
}

static void write_past_the_end(void)
{
    hr_tensor longer = the.t;

    longer.dim[0] = 17; /* memory comes in steps of 64 bytes */
    hr_op_fill(the.stream, &(hr_fill_args){.out = longer, .value = 1});
    hr_stream_sync(the.stream);
}

static void host_code_cannot_touch_tensors(void **state)
{
    (void)state;
    assert_false(crashes(nothing));
    assert_true(crashes(read_tensor));
    assert_true(crashes(write_tensor));
}

static void freed_memory_is_gone(void **state)
{
    (void)state;
    assert_true(crashes(use_freed_tensor));
    assert_true(crashes(free_before_sync));
}

static void operators_cannot_leave_the_memory(void **state)
{
    (void)state;
    assert_true(crashes(write_past_the_end));
}

static void addresses_are_not_used_again(void **state)
{
    void *old = the.t.data;

    (void)state;
    hr_tensor_free(&the.t);
    hr_test_ok(hr_tensor_create(the.device, HR_F32, HR_DIMS(4), &the.t));
    assert_ptr_not_equal(the.t.data, old);
}

static void new_memory_is_nan(void **state)
{
    float got[4] = {0};

    (void)state;
    hr_test_ok(hr_copy_to_host(the.stream, got, &the.t));
    hr_test_ok(hr_stream_sync(the.stream));
    assert_true(isnan(got[0]) && isnan(got[3]));
}

static void results_come_with_the_sync(void **state)
{
    float got[4] = {7, 7, 7, 7};

    (void)state;
    hr_test_ok(hr_op_fill(the.stream, &(hr_fill_args){.out = the.t, .value = 2}));
    hr_test_ok(hr_copy_to_host(the.stream, got, &the.t));
    assert_true(isnan(got[0]) && isnan(got[3]));
    hr_test_ok(hr_stream_sync(the.stream));
    assert_true(got[0] == 2 && got[3] == 2);
}

static void sources_are_read_late(void **state)
{
    float source[4] = {1, 1, 1, 1}, got[4];

    (void)state;
    hr_test_ok(hr_copy_to_device(the.stream, &the.t, source));
    source[0] = 5; /* against the rules */
    hr_test_ok(hr_copy_to_host(the.stream, got, &the.t));
    hr_test_ok(hr_stream_sync(the.stream));
    assert_true(got[0] == 5 && got[1] == 1);
}

static void structs_are_free_once_enqueued(void **state)
{
    hr_fill_args args = {.out = the.t, .value = 3};
    float got[4];

    (void)state;
    hr_test_ok(hr_op_fill(the.stream, &args));
    args.value = 4;
    args.out = (hr_tensor){0};
    hr_test_ok(hr_copy_to_host(the.stream, got, &the.t));
    hr_test_ok(hr_stream_sync(the.stream));
    assert_true(got[0] == 3);
}

static void long_queues_keep_their_order(void **state)
{
    float got[4], ones[4] = {1, 1, 1, 1};
    hr_tensor one;

    (void)state;
    hr_test_ok(hr_tensor_create(the.device, HR_F32, HR_DIMS(4), &one));
    hr_test_ok(hr_copy_to_device(the.stream, &one, ones));
    hr_test_ok(hr_op_fill(the.stream, &(hr_fill_args){.out = the.t, .value = 0}));
    for (int i = 0; i < 1000; i++)
        hr_test_ok(
            hr_op_gated_add(the.stream, &(hr_gated_add_args){.x = the.t, .y = one}));
    hr_test_ok(hr_copy_to_host(the.stream, got, &the.t));
    hr_test_ok(hr_stream_sync(the.stream));
    assert_true(got[2] == 1000);
    hr_tensor_free(&one);
}

static void packing_waits_for_the_stream(void **state)
{
    const float values[4] = {1, 2, 3, 4};
    hr_tensor w = hr_tensor_reshape(&the.t, HR_DIMS(1, 4)), x, out;
    float got[1];
    hr_packed *packed;

    (void)state;
    hr_test_ok(hr_tensor_create(the.device, HR_F32, HR_DIMS(1, 4), &x));
    hr_test_ok(hr_tensor_create(the.device, HR_F32, HR_DIMS(1, 1), &out));
    hr_test_ok(hr_copy_to_device(the.stream, &w, values));
    hr_test_ok(hr_pack_linear(the.stream, &w, &packed));
    hr_test_ok(hr_op_fill(the.stream, &(hr_fill_args){.out = w}));
    hr_test_ok(hr_op_fill(the.stream, &(hr_fill_args){.out = x, .value = 2}));
    hr_test_ok(hr_op_linear(the.stream,
                            &(hr_linear_args){.x = x, .weight = packed, .out = out}));
    hr_test_ok(hr_copy_to_host(the.stream, got, &out));
    hr_test_ok(hr_stream_sync(the.stream));
    assert_true(got[0] == 20);
    hr_packed_destroy(packed);
    hr_tensor_free(&x);
    hr_tensor_free(&out);
}

static void destroying_a_stream_waits(void **state)
{
    hr_stream *other;
    float got[4];

    (void)state;
    hr_test_ok(hr_stream_create(the.device, &other));
    hr_test_ok(hr_op_fill(other, &(hr_fill_args){.out = the.t, .value = 6}));
    hr_stream_destroy(other);
    hr_test_ok(hr_copy_to_host(the.stream, got, &the.t));
    hr_test_ok(hr_stream_sync(the.stream));
    assert_true(got[0] == 6);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(host_code_cannot_touch_tensors),
        TEST(freed_memory_is_gone),
        TEST(operators_cannot_leave_the_memory),
        TEST(addresses_are_not_used_again),
        TEST(new_memory_is_nan),
        TEST(results_come_with_the_sync),
        TEST(sources_are_read_late),
        TEST(structs_are_free_once_enqueued),
        TEST(long_queues_keep_their_order),
        TEST(packing_waits_for_the_stream),
        TEST(destroying_a_stream_waits),
    };

    return cmocka_run_group_tests(tests, NULL, hr_test_leak_teardown);
}
