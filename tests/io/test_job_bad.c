/* Everything a job file can do wrong: one line with the place, and the job as before. */
#include "support/test_util.h"

#include "base/memory.h"
#include "base/text.h"
#include "io/job.h"

#include <stdio.h>
#include <string.h>

static hr_status parse(const char *text, hr_job *job)
{
    return hr_job_parse("a.yaml", text, strlen(text), job);
}

static const struct {
    const char *text, *message;
} refused[] = {
    /* values */
    {"prompt: x\nsampler:\n  steps: 0\n",
     "a.yaml:3:10: sampler.steps: 0 is not in 1..1000"},
    {"sampler: {steps: 1001}", "a.yaml:1:18: sampler.steps: 1001 is not in 1..1000"},
    {"sampler: {steps: -3}", "a.yaml:1:18: sampler.steps: -3 is not in 1..1000"},
    {"sampler: {steps: 99999999999999999999}",
     "a.yaml:1:18: sampler.steps: 99999999999999999999 is not in 1..1000"},
    {"sampler: {steps: 2.5}",
     "a.yaml:1:18: sampler.steps: 2.5 is not a whole number in 1..1000"},
    {"sampler: {steps: 010}",
     "a.yaml:1:18: sampler.steps: 010 is not a whole number in 1..1000"},
    {"sampler: {steps: yes}",
     "a.yaml:1:18: sampler.steps: yes is not a whole number in 1..1000"},
    {"sampler: {steps: \"25\"}", "a.yaml:1:18: sampler.steps: \"25\" is not in 1..1000"},
    {"sampler: {steps: }",
     "a.yaml:1:18: sampler.steps: nothing is not a whole number in 1..1000"},
    {"sampler: {steps: [1, 2]}", "a.yaml:1:18: sampler.steps: a list is not in 1..1000"},
    {"sampler: {steps: {a: 1}}",
     "a.yaml:1:18: sampler.steps: a mapping is not in 1..1000"},
    {"sampler: {seed: -1}",
     "a.yaml:1:17: sampler.seed: -1 is not in 0..18446744073709551615"},
    {"sampler: {seed: 18446744073709551616}",
     "a.yaml:1:17: sampler.seed: 18446744073709551616 is not in 0..18446744073709551615"},
    {"sampler: {seed: 0x10}",
     "a.yaml:1:17: sampler.seed: 0x10 is not a whole number in 0..18446744073709551615"},
    {"windows: {frames: 0}", "a.yaml:1:19: windows.frames: 0 is not in 1..1000000"},
    {"windows: {overlap: -4}", "a.yaml:1:20: windows.overlap: -4 is not in 0..1000000"},
    {"windows: {grid: still}",
     "a.yaml:1:17: windows.grid: still is not in moving, fixed"},
    {"windows: {noise: none}",
     "a.yaml:1:18: windows.noise: none is not in rescheduled, independent"},
    {"windows: {blend: box}", "a.yaml:1:18: windows.blend: box is not in ramp, triangle"},
    {"windows: {anchor: last}",
     "a.yaml:1:19: windows.anchor: last is not in none, previous, first"},
    {"windows: {decode: whole}",
     "a.yaml:1:19: windows.decode: whole is not in streamed, windowed"},
    {"windows: 21", "a.yaml:1:10: windows: 21 is not a mapping of frames, overlap, grid, "
                    "noise, blend, anchor, decode"},
    {"layout: {tensor: 16}", "a.yaml:1:18: layout.tensor: 16 is not in auto, 1..8"},
    {"layout: {cfg: 3}", "a.yaml:1:15: layout.cfg: 3 is not in auto, 1..2"},
    {"layout: {stages: 0}", "a.yaml:1:18: layout.stages: 0 is not in auto, 1..1024"},
    {"layout: {windows: all}",
     "a.yaml:1:19: layout.windows: all is not in auto, 1..65536"},
    {"checkpoint: {every: 5}",
     "a.yaml:1:21: checkpoint.every: 5 is not a time (5min, 30s, 2h), 1steps..1000steps "
     "or never"},
    {"checkpoint: {every: [5min]}",
     "a.yaml:1:21: checkpoint.every: a list is not a time (5min, 30s, 2h), "
     "1steps..1000steps or never"},
    {"checkpoint: {keep: 0}", "a.yaml:1:20: checkpoint.keep: 0 is not in 1..1000"},
    {"layout: {deadline: 0.5}", "a.yaml:1:20: layout.deadline: 0.5 is not in 1..86400"},
    {"sampler: {guidance: .nan}",
     "a.yaml:1:21: sampler.guidance: .nan is not a number in 0..100"},
    {"sampler: {guidance: nan}",
     "a.yaml:1:21: sampler.guidance: nan is not a number in 0..100"},
    {"sampler: {guidance: .inf}",
     "a.yaml:1:21: sampler.guidance: .inf is not a number in 0..100"},
    {"sampler: {guidance: inf}",
     "a.yaml:1:21: sampler.guidance: inf is not a number in 0..100"},
    {"sampler: {guidance: 1e999}",
     "a.yaml:1:21: sampler.guidance: 1e999 is not in 0..100"},
    {"sampler: {guidance: 1e}",
     "a.yaml:1:21: sampler.guidance: 1e is not a number in 0..100"},
    {"sampler: {guidance: -1}", "a.yaml:1:21: sampler.guidance: -1 is not in 0..100"},
    {"sampler: {guidance: yes}",
     "a.yaml:1:21: sampler.guidance: yes is not a number in 0..100"},
    {"sampler: {guidance: '3'}", "a.yaml:1:21: sampler.guidance: \"3\" is not in 0..100"},
    {"sampler: {shift: 0}", "a.yaml:1:18: sampler.shift: 0 is not in 0.01..100"},
    {"threads: 0", "a.yaml:1:10: threads: 0 is not in auto, 1..1024"},
    {"threads: many", "a.yaml:1:10: threads: many is not in auto, 1..1024"},
    {"device: gpu", "a.yaml:1:9: device: gpu is not in auto, cpu, cuda, strict"},
    {"style: Animated",
     "a.yaml:1:8: style: Animated is not in none, photorealistic, animated"},
    {"output: {video: mp3}", "a.yaml:1:17: output.video: mp3 is not in mp4, png, none"},
    {"prompt: [a, b]", "a.yaml:1:9: prompt: a list is not text"},
    {"prompt: {a: b}", "a.yaml:1:9: prompt: a mapping is not text"},
    {"prompt:\nstyle: none", "a.yaml:1:8: prompt: nothing is not text"},
    {"prompt: ~", "a.yaml:1:9: prompt: nothing is not text"},
    {"prompt: \"a\\0b\"", "a.yaml:1:9: prompt: text with a NUL character"},
    {"model: ''", "a.yaml:1:8: model: \"\" is not a path"},
    {"video: 5",
     "a.yaml:1:8: video: 5 is not a mapping of width, height, frames, seconds, fps"},
    {"video: [1]",
     "a.yaml:1:8: video: a list is not a mapping of width, height, frames, seconds, fps"},
    {"video: {frames: 5, seconds: 1}",
     "a.yaml:1:20: video.seconds: not together with video.frames"},
    /* names */
    {"promt: x", "a.yaml:1:1: promt: unknown key; did you mean prompt?"},
    {"steps: 5", "a.yaml:1:1: steps: unknown key; did you mean sampler.steps?"},
    {"video:\n  widht: 5",
     "a.yaml:2:3: video.widht: unknown key; did you mean video.width?"},
    {"vidoe: {width: 5}", "a.yaml:1:1: vidoe: unknown key; did you mean video?"},
    {"video: {sampler: {steps: 1}}", "a.yaml:1:9: video.sampler: unknown key"},
    {"windows: {stride: 4}",
     "a.yaml:1:11: windows.stride: unknown key; did you mean windows.grid?"},
    {"windwos: {frames: 21}", "a.yaml:1:1: windwos: unknown key; did you mean windows?"},
    {"layout.tensors: 2",
     "a.yaml:1:1: layout.tensors: unknown key; did you mean layout.tensor?"},
    {"anchor: first", "a.yaml:1:1: anchor: unknown key; did you mean windows.anchor?"},
    {"machine: {every: 5min}", "a.yaml:1:1: machine: unknown key"},
    {"'': 1", "a.yaml:1:1: : unknown key"},
    {"<<: {a: 1}", "a.yaml:1:1: <<: unknown key"},
    {"? [a]\n: 1", "a.yaml:1:3: a key that is a list or a mapping"},
    {"style: none\nprompt: x\nstyle: none",
     "a.yaml:3:1: style: a second time, first in line 1"},
    {"video: {fps: 5}\nvideo: {fps: 5}",
     "a.yaml:2:1: video: a second time, first in line 1"},
    {"video: {fps: 5}\nvideo.fps: 5",
     "a.yaml:2:1: video.fps: a second time, first in line 1"},
    /* the file as a whole */
    {"", "a.yaml:1:1: the file is empty, expected lines like \"key: value\""},
    {"# nothing\n", "a.yaml:2:1: the file is empty, expected lines like \"key: value\""},
    {"---\n...\n", "a.yaml:2:1: the file is empty, expected lines like \"key: value\""},
    {"A red cat", "a.yaml:1:1: text, expected lines like \"key: value\""},
    {"- a\n- b", "a.yaml:1:1: a list, expected lines like \"key: value\""},
    {"prompt: x\n---\nprompt: y", "a.yaml:2:1: a second document, expected one"},
    {"video:\n\twidth: 5", "a.yaml:2:1: a tab, expected blanks (in text: \"\\t\")"},
    {"prompt:\tx", "a.yaml:1:8: a tab, expected blanks (in text: \"\\t\")"},
    {"prompt: a\x07", "a.yaml:1:10: character U+0007 is not allowed"},
    {"prompt: a\n\xef\xbb\xbfstyle: none", "a.yaml:2:1: character U+FEFF is not allowed"},
    {"prompt: caf\xe9", "a.yaml:1:12: byte 0xe9 is not UTF-8"},
    {"prompt: \xc3\xa9\xed\xa0\x80", "a.yaml:1:10: byte 0xed is not UTF-8"},
    {"\xff\xfep\x01", "a.yaml:1:1: byte 0xff is not UTF-8"},
    {"prompt: &a x", "a.yaml:1:9: an anchor (&), which job files do not have"},
    {"video: &v {fps: 5}", "a.yaml:1:8: an anchor (&), which job files do not have"},
    {"prompt: *a", "a.yaml:1:9: an alias (*), which job files do not have"},
    {"prompt: !!str x", "a.yaml:1:9: a tag (!), which job files do not have"},
    {"prompt: \"x", "a.yaml:1:11: not YAML: found unexpected end of stream"},
    {"video: {width: 50", "a.yaml:2:1: not YAML: did not find expected ',' or '}'"},
    {"prompt: a\n  style: b",
     "a.yaml:2:8: not YAML: mapping values are not allowed in this context"},
};

static void test_refused(void **state)
{
    hr_job job;

    (void)state;
    hr_job_init(&job);
    hr_test_ok(parse("sampler: {steps: 7}", &job));
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        hr_test_catch_log();
        assert_int_equal(parse(refused[i].text, &job), HR_ERR_ARG);
        assert_int_equal(hr_test_log_lines(), 1);
        assert_string_equal(hr_test_log_line(0), refused[i].message);
        assert_int_equal(job.steps, 7); /* as before */
    }
    hr_test_release_log();
    hr_job_free(&job);
}

static void test_long_values(void **state)
{
    enum { N = 100000 };
    hr_text text = {0};
    char *many = hr_alloc(N + 1);
    hr_job job;

    (void)state;
    assert_non_null(many);
    memset(many, 'a', N);
    hr_job_init(&job);
    hr_test_ok(
        hr_text_printf(&text, "prompt: %s\nnegative_prompt: |\n  one\n  two\n", many));
    hr_test_ok(parse(text.s, &job));
    assert_int_equal(strlen(job.prompt), N);
    assert_string_equal(job.negative_prompt, "one\ntwo\n");
    hr_text_free(&text);
    /* the message stays one short line, cut between characters */
    hr_test_ok(hr_text_printf(&text, "style: \"\xf0\x9f\x90\x88%s\"", many));
    hr_test_fails(HR_ERR_ARG,
                  "a.yaml:1:8: style: \"\xf0\x9f\x90\x88"
                  "aaaa",
                  parse(text.s, &job));
    hr_test_catch_log();
    assert_int_equal(parse(text.s, &job), HR_ERR_ARG);
    assert_true(strlen(hr_test_log_line(0)) < 200);
    hr_text_free(&text);
    hr_test_ok(hr_text_printf(&text, "%s: 1", many));
    hr_test_catch_log();
    assert_int_equal(parse(text.s, &job), HR_ERR_ARG);
    assert_true(strlen(hr_test_log_line(0)) < 200);
    hr_test_release_log();
    hr_text_free(&text);
    hr_free(many);
    hr_job_free(&job);
}

/* Shapes that make careless parsers slow or deep. */
static void test_garbage(void **state)
{
    enum { N = 1 << 20 };
    static const char *const units[] = {
        "[",  "{",   "- ", "? ", "a: ", "{a: ",  "\"",   "'", "&",
        "\n", "[a,", "!",  "|",  "%",   "---\n", "- - ", "#"};
    char *text = hr_alloc(N);
    hr_job job;

    (void)state;
    assert_non_null(text);
    hr_job_init(&job);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        for (size_t j = 0; j < N; j++)
            text[j] = units[i][j % strlen(units[i])];
        hr_test_catch_log();
        assert_int_equal(hr_job_parse("a.yaml", text, N, &job), HR_ERR_ARG);
        assert_int_equal(hr_test_log_lines(), 1);
    }
    hr_test_release_log();
    hr_free(text);
    hr_job_free(&job);
}

static void test_files(void **state)
{
    enum { N = 10 << 20 };
    const char *folder = hr_test_folder(), *path = hr_test_path(folder, "a.yaml");
    char *text = hr_alloc(N), message[512];
    uint32_t x = 1;
    hr_job job;

    (void)state;
    assert_non_null(text);
    hr_job_init(&job);
    hr_test_write(path, "prompt: x\n", 10);
    hr_test_ok(hr_job_load(path, &job));
    assert_string_equal(job.prompt, "x");
    for (size_t i = 0; i < N; i++) {
        x = x * 1664525U + 1013904223U;
        text[i] = (char)(x >> 24);
    }
    hr_test_write(path, text, N);
    snprintf(message, sizeof message, "%s: 10485760 bytes, at most 1048576 are allowed",
             path);
    hr_test_fails(HR_ERR_ARG, message, hr_job_load(path, &job));
    hr_test_write(path, text, 1000);
    hr_test_fails(HR_ERR_ARG, "is not", hr_job_load(path, &job));
    hr_test_fails(HR_ERR_ARG, "No such file",
                  hr_job_load(hr_test_path(folder, "none"), &job));
    hr_test_fails(HR_ERR_ARG, "not a plain file", hr_job_load(folder, &job));
    hr_test_release_log();
    assert_string_equal(job.prompt, "x");
    hr_free(text);
    hr_job_free(&job);
}

static uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

static size_t mutate(char *text, size_t n, size_t room, uint64_t *random)
{
    static const char bytes[] = " \n:{}[],-&*!?|>'\"%#@`\t\xef\xbb\xbf\xff\0"
                                "09.e";
    size_t at = next_random(random) % n, count = next_random(random) % 12 + 1;

    switch (next_random(random) % 4) {
    case 0:
        text[at] = bytes[next_random(random) % (sizeof bytes - 1)];
        return n;
    case 1:
        text[at] = (char)next_random(random);
        return n;
    case 2: /* cut a piece out */
        if (at + count >= n)
            return n;
        memmove(text + at, text + at + count, n - at - count);
        return n - count;
    default: /* double a piece */
        if (at + count > n || n + count > room)
            return n;
        memmove(text + at + count, text + at, n - at);
        return n + count;
    }
}

/* Whatever the bytes: a job or one line, and what was accepted can be written and read.
 */
static void test_mutations(void **state)
{
    static const char seed_text[] = "model: demo # name\nprompt: \"A \\u00e9 "
                                    "cat\"\nnegative_prompt: >-\n  bad\n  worse\n"
                                    "video: {width: 128, seconds: 1.5}\nsampler:\n  "
                                    "steps: 25\n  seed: 7\n  name: dpm++\n";
    uint64_t random = 20;
    size_t n, n_accepted = 0;
    char text[1024];
    hr_job job, again;
    hr_text out = {0};

    (void)state;
    hr_job_init(&job);
    hr_job_init(&again);
    for (int i = 0; i < 100000; i++) {
        n = sizeof seed_text - 1;
        memcpy(text, seed_text, n);
        for (uint32_t k = next_random(&random) % 4 + 1; k > 0; k--)
            n = mutate(text, n, sizeof text, &random);
        hr_test_catch_log();
        if (hr_job_parse("a.yaml", text, n, &job) != HR_OK) {
            assert_int_equal(hr_test_log_lines(), 1);
            continue;
        }
        assert_int_equal(hr_test_log_lines(), 0);
        n_accepted++;
        hr_test_ok(hr_job_write_yaml(&job, &out));
        hr_test_ok(parse(out.s, &again));
        hr_text_free(&out);
    }
    hr_test_release_log();
    assert_true(n_accepted > 1000); /* the loop reaches the deeper parts */
    hr_job_free(&job);
    hr_job_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_refused, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_long_values, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_garbage, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_files, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_mutations, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
