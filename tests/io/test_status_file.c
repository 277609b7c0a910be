/* status.json: its fields, whatever the strings, and never half of it. */
#include "support/test_util.h"

#include "base/memory.h"
#include "base/text.h"
#include "io/json.h"
#include "io/status_file.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static hr_json *write_and_read(const char *path, const hr_run_status *status)
{
    hr_json *json = NULL;

    hr_test_ok(hr_status_file_write(path, status));
    hr_test_ok(hr_json_open(path, 1 << 16, &json));
    return json;
}

static const hr_json_node *field(const hr_json *json, const char *name)
{
    return hr_json_get(hr_json_root(json), name);
}

static double number(const hr_json *json, const char *name)
{
    double value = NAN;

    assert_true(hr_json_number(field(json, name), &value));
    return value;
}

static void test_all_fields(void **state)
{
    static const char *const hosts[] = {"al\"pha", "beta"};
    const char *path = hr_test_path(hr_test_folder(), "status.json"), *updated;
    const hr_run_status status = {
        .state = HR_RUN_FAILED,
        .stage = "denoise",
        .step = 3,
        .steps = 25,
        .frame = 0,
        .frames = 21,
        .window = 2,
        .windows = 5,
        .unit = 70,
        .units = 250,
        .n_ranks = 4,
        .layout = "2 windows x 1 stage x 2 tensor x 1 cfg",
        .hosts = hosts,
        .n_hosts = 2,
        .slowest_host = "beta",
        .slowest_rank = 3,
        .slowest_factor = 1.5,
        .step_seconds = 1.25,
        .eta_seconds = 0,
        .started = 1767225600,
        .ends = 1767225660,
        .checkpoint = "runs/a/checkpoint/step-0003-00010.h5",
        .checkpointed = 1767225601,
        .output = "a.mp4",
        .result = "runs/\"a\"\\\n\x01/\xc3\xa9\xff.mp4",
        .error = "disk full",
    };
    hr_json *json = write_and_read(path, &status);
    char host[256] = "";

    (void)state;
    assert_string_equal(hr_json_string(field(json, "state")), "failed");
    assert_string_equal(hr_json_string(field(json, "stage")), "denoise");
    assert_true(number(json, "step") == 3 && number(json, "steps") == 25);
    assert_true(number(json, "frame") == 0 && number(json, "frames") == 21);
    assert_true(number(json, "window") == 2 && number(json, "windows") == 5);
    assert_true(number(json, "unit") == 70 && number(json, "units") == 250);
    assert_true(number(json, "ranks") == 4);
    assert_string_equal(hr_json_string(field(json, "layout")), status.layout);
    assert_string_equal(hr_json_string(hr_json_first(field(json, "hosts"))), hosts[0]);
    assert_int_equal(hr_json_size(field(json, "hosts")), 2);
    assert_true(number(json, "slowest_rank") == 3);
    assert_string_equal(hr_json_string(field(json, "slowest_host")), "beta");
    assert_true(number(json, "slowest_factor") == 1.5);
    assert_true(number(json, "step_seconds") == 1.25 && number(json, "eta_seconds") == 0);
    assert_string_equal(hr_json_string(field(json, "started")), "2026-01-01T00:00:00Z");
    assert_string_equal(hr_json_string(field(json, "ends")), "2026-01-01T00:01:00Z");
    assert_string_equal(hr_json_string(field(json, "checkpoint")), status.checkpoint);
    assert_string_equal(hr_json_string(field(json, "checkpointed")),
                        "2026-01-01T00:00:01Z");
    assert_string_equal(hr_json_string(field(json, "output")), "a.mp4");
    updated = hr_json_string(field(json, "updated"));
    assert_true(strlen(updated) == 20 && strcmp(updated, "2025") > 0);
    assert_string_equal(hr_json_string(field(json, "result")),
                        "runs/\"a\"\\\n\x01/\xc3\xa9\xef\xbf\xbd.mp4");
    assert_string_equal(hr_json_string(field(json, "error")), "disk full");
    assert_int_equal(gethostname(host, sizeof host), 0);
    assert_string_equal(hr_json_string(field(json, "host")), host);
    assert_true(number(json, "pid") == (double)getpid());
    assert_int_equal(hr_json_size(hr_json_root(json)), 28);
    hr_json_close(json);
}

static void test_unknown_is_null(void **state)
{
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "status.json");
    hr_run_status status = {.eta_seconds = -1};
    hr_json *json = write_and_read(path, &status);

    (void)state;
    assert_string_equal(hr_json_string(field(json, "state")), "running");
    assert_null(field(json, "stage"));
    assert_null(field(json, "step_seconds"));
    assert_null(field(json, "eta_seconds"));
    assert_null(field(json, "result"));
    assert_null(field(json, "error"));
    assert_null(field(json, "started"));
    assert_null(field(json, "ends"));
    assert_null(field(json, "checkpoint"));
    assert_null(field(json, "checkpointed"));
    assert_null(field(json, "output"));
    assert_null(field(json, "layout"));
    assert_null(field(json, "slowest_rank"));
    assert_null(field(json, "slowest_host"));
    assert_null(field(json, "slowest_factor"));
    assert_true(number(json, "ranks") == 1);
    hr_json_close(json);
    status.step_seconds = INFINITY; /* JSON has no word for these */
    status.eta_seconds = NAN;
    json = write_and_read(path, &status);
    assert_null(field(json, "step_seconds"));
    assert_null(field(json, "eta_seconds"));
    hr_json_close(json);
    assert_int_equal(hr_test_count_entries(folder), 1); /* replaced, no part left */
}

/* What was written, word for word. */
static void test_read_back(void **state)
{
    static const char *const hosts[] = {"alpha", "beta"};
    const char *path = hr_test_path(hr_test_folder(), "status.json");
    const hr_run_status status = {.state = HR_RUN_STOPPED,
                                  .stage = "decode",
                                  .step = 8,
                                  .steps = 8,
                                  .unit = 4,
                                  .units = 9,
                                  .frame = 4,
                                  .frames = 9,
                                  .step_seconds = 0.125,
                                  .eta_seconds = 2,
                                  .n_ranks = 2,
                                  .layout = "2 windows",
                                  .hosts = hosts,
                                  .n_hosts = 2,
                                  .slowest_host = "beta",
                                  .slowest_rank = 1,
                                  .slowest_factor = 2,
                                  .started = 1767225600,
                                  .ends = 1767225600,
                                  .checkpoint = "c.h5",
                                  .checkpointed = 1767225601,
                                  .output = "o.mp4",
                                  .result = "a\nb.mp4"};
    hr_run_report report;
    hr_text text = {0};
    size_t n_bytes;
    char *file;

    (void)state;
    hr_test_ok(hr_status_file_write(path, &status));
    hr_test_ok(hr_status_file_read(path, &report));
    assert_true(report.updated > status.started && report.pid == getpid());
    assert_true(report.status.state == HR_RUN_STOPPED && report.status.n_hosts == 2);
    assert_true(report.status.started == status.started);
    hr_test_ok(hr_run_report_format(&report, &text));
    file = hr_test_read(path, &n_bytes);
    assert_int_equal(n_bytes, text.length + strlen("{\n}\n"));
    assert_memory_equal(file + 2, text.s, text.length);
    hr_free(file);
    hr_text_free(&text);
    hr_run_report_free(&report);
}

/* A file of another version, or of a stranger. */
static void test_read_others(void **state)
{
    static const char *const bad[][2] = {
        {"", "status.json"},
        {"{\"state\": \"running\"", "status.json:1:"},
        {"{}", "state: found none, expected running, done, stopped or failed"},
        {"{\"state\": \"asleep\"}", "state: found asleep"},
        {"{\"state\": 3}", "state: found 3"},
        {"{\"state\": \"done\", \"step\": -1}", "step: found -1"},
        {"{\"state\": \"done\", \"ranks\": 1e12}", "ranks: found 1"},
        {"{\"state\": \"done\", \"hosts\": [1]}", "hosts[0]: not a string"},
        {"{\"state\": \"done\", \"ends\": \"soon\"}", "ends: found soon"},
        {"{\"state\": \"done\", \"updated\": \"now\"}", "updated: found now"},
        {"{\"state\": \"done\", \"updated\": \"2026-01-31T12:00:00Zx\"}", "updated"},
    };
    const char *path = hr_test_path(hr_test_folder(), "status.json");
    hr_run_report report;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        hr_test_write(path, bad[i][0], strlen(bad[i][0]));
        hr_test_fails(HR_ERR_FORMAT, bad[i][1], hr_status_file_read(path, &report));
    }
    hr_test_fails(HR_ERR_IO, "none: No such file",
                  hr_status_file_read(hr_test_path(hr_test_folder(), "none"), &report));
    hr_test_release_log();
    hr_test_write(path, "{\"state\": \"done\"}", 17);
    hr_test_ok(hr_status_file_read(path, &report));
    assert_true(report.status.state == HR_RUN_DONE && report.status.n_hosts == 0);
    assert_true(report.status.eta_seconds < 0 && report.updated == 0);
    assert_null(report.host);
    hr_run_report_free(&report);
}

static void test_cannot_write(void **state)
{
    const hr_run_status status = {0};

    (void)state;
    hr_test_fails(HR_ERR_IO, "status.json: No such file",
                  hr_status_file_write(hr_test_path(hr_test_folder(), "none/status.json"),
                                       &status));
    hr_test_release_log();
}

/* docs/run-folder.md names every field that is written. */
static void test_documented(void **state)
{
    const hr_run_status status = {0};
    hr_json *json =
        write_and_read(hr_test_path(hr_test_folder(), "status.json"), &status);
    size_t n_bytes;
    char *page = hr_test_read(HR_SOURCE_DIR "/docs/run-folder.md", &n_bytes);
    hr_text quoted = {0};

    (void)state;
    for (const hr_json_node *x = hr_json_first(hr_json_root(json)); x != NULL;
         x = hr_json_next(x)) {
        hr_test_ok(hr_text_printf(&quoted, "`%s`", hr_json_key(x)));
        if (strstr(page, quoted.s) == NULL)
            fail_msg("docs/run-folder.md: %s is missing", quoted.s);
        hr_text_free(&quoted);
    }
    hr_free(page);
    hr_json_close(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_all_fields, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_unknown_is_null, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_read_back, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_read_others, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_cannot_write, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_documented, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
