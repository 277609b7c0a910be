/* What a job file, --set and the table accept, refuse and write. */
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

static void test_full_job(void **state)
{
    static const char text[] =
        "\xef\xbb\xbfmodel: demo          # a name\r\n"
        "prompt: \"A r\\u00e9d cat: 5 #1\"\n"
        "negative_prompt: ''\n"
        "style: animated\n"
        "text_length: 64\n"
        "device: cpu\n"
        "threads: 3\n"
        "numerics: f32\n"
        "video: {width: 128, height: 80, frames: 161, fps: 23.976}\n"
        "sampler:\n"
        "  name: dpm++\n"
        "  steps: 25\n"
        "  guidance: 3\n"
        "  guidance_2: 2.5e0\n"
        "  shift: .5\n"
        "  sigmas: diffusers-0.36\n"
        "  seed: 18446744073709551615\n"
        "  rng: torch\n"
        "windows: {frames: 21, overlap: 8, grid: fixed, noise: independent,\n"
        "          blend: triangle, anchor: previous, decode: windowed}\n"
        "layout: {windows: 2, stages: 3, tensor: 4, cfg: auto, deadline: 1.5}\n"
        "output: {folder: runs/cat, video: png, preview_every: 0}\n"
        "checkpoint: {every: 90s, keep: 3}\n";
    hr_job job;

    (void)state;
    hr_job_init(&job);
    hr_test_ok(hr_job_parse("a.yaml", text, sizeof text - 1, &job));
    assert_string_equal(job.model, "demo");
    assert_string_equal(job.prompt, "A r\xc3\xa9"
                                    "d cat: 5 #1");
    assert_string_equal(job.negative_prompt, "");
    assert_int_equal(job.style, HR_STYLE_ANIMATED);
    assert_int_equal(job.text_length, 64);
    assert_int_equal(job.device, HR_JOB_CPU);
    assert_int_equal(job.threads, 3);
    assert_int_equal(job.numerics, HR_JOB_F32);
    assert_int_equal(job.width, 128);
    assert_int_equal(job.height, 80);
    assert_int_equal(job.frames, 161);
    assert_true(job.fps == 23.976);
    assert_int_equal(job.sampler, HR_JOB_DPMPP);
    assert_int_equal(job.steps, 25);
    assert_true(job.guidance == 3 && job.guidance_2 == 2.5 && job.shift == 0.5);
    assert_int_equal(job.sigmas, HR_JOB_SIGMAS_036);
    assert_true(job.seed == UINT64_MAX);
    assert_int_equal(job.rng, HR_JOB_TORCH);
    assert_true(job.window_frames == 21 && job.window_overlap == 8);
    assert_int_equal(job.grid, HR_GRID_FIXED);
    assert_int_equal(job.noise, HR_NOISE_INDEPENDENT);
    assert_int_equal(job.blend, HR_BLEND_TRIANGLE);
    assert_int_equal(job.anchor, HR_ANCHOR_PREVIOUS);
    assert_int_equal(job.decode, HR_DECODE_WINDOWED);
    assert_true(job.layout_windows == 2 && job.layout_stages == 3);
    assert_true(job.layout_tensor == 4 && job.layout_cfg == 0 && job.deadline == 1.5);
    assert_string_equal(job.output_folder, "runs/cat");
    assert_int_equal(job.video, HR_JOB_PNG);
    assert_int_equal(job.preview_every, 0);
    assert_true(job.checkpoint_every.seconds == 90 && job.checkpoint_every.steps == 0);
    assert_int_equal(job.checkpoint_keep, 3);
    for (size_t i = 0; i < HR_KEY_COUNT; i++)
        assert_int_equal(job.is_set[i], i != HR_KEY_SECONDS);
    hr_job_free(&job);
}

static void test_defaults(void **state)
{
    hr_job job;

    (void)state;
    hr_job_init(&job);
    for (size_t i = 0; i < HR_KEY_COUNT; i++)
        assert_false(job.is_set[i]);
    assert_null(job.model);
    assert_int_equal(job.style, HR_STYLE_NONE);
    assert_int_equal(job.device, HR_JOB_AUTO);
    assert_int_equal(job.numerics, HR_JOB_EXACT);
    assert_int_equal(job.threads, 0);
    assert_int_equal(job.preview_every, 5);
    assert_int_equal(job.text_length, 512);
    assert_int_equal(job.window_frames, 0); /* the model's */
    assert_int_equal(job.anchor, HR_ANCHOR_FIRST);
    assert_int_equal(job.layout_windows, 0);
    assert_true(job.deadline == 600);
    assert_true(job.checkpoint_every.seconds == 300 && job.checkpoint_keep == 2);
    hr_test_ok(hr_job_fill(&job));
    assert_string_equal(job.model, HR_JOB_DEFAULT_MODEL);
    assert_string_equal(job.negative_prompt, "");
    assert_true(job.is_set[HR_KEY_RNG] && job.is_set[HR_KEY_OUTPUT_VIDEO]);
    assert_false(job.is_set[HR_KEY_PROMPT] || job.is_set[HR_KEY_SEED] ||
                 job.is_set[HR_KEY_FRAMES] || job.is_set[HR_KEY_STEPS]);
    hr_job_free(&job);
}

static void test_set(void **state)
{
    hr_job job;

    (void)state;
    hr_job_init(&job);
    hr_test_ok(hr_job_set(&job, "--set", "video.width=64"));
    hr_test_ok(hr_job_set(&job, "--set", "video.width=96"));
    assert_int_equal(job.width, 96);
    hr_test_ok(hr_job_set(&job, "--set", "prompt=a = \"b\"\nc"));
    assert_string_equal(job.prompt, "a = \"b\"\nc");
    hr_test_ok(hr_job_set(&job, "--set", "prompt="));
    assert_string_equal(job.prompt, "");
    hr_test_ok(hr_job_set(&job, "--set", "threads=auto"));
    hr_test_ok(hr_job_set(&job, "--set", "video.frames=21"));
    hr_test_ok(hr_job_set(&job, "--set", "video.seconds=1.5"));
    assert_true(job.is_set[HR_KEY_SECONDS] && !job.is_set[HR_KEY_FRAMES]);
    hr_test_ok(hr_job_set(&job, "--set", "video.frames=5"));
    assert_true(!job.is_set[HR_KEY_SECONDS] && job.is_set[HR_KEY_FRAMES]);
    hr_test_fails(HR_ERR_ARG,
                  "--seed: sampler.seed: -1 is not in 0..18446744073709551615",
                  hr_job_set(&job, "--seed", "sampler.seed=-1"));
    hr_test_fails(HR_ERR_ARG,
                  "--set: sampler.steps: \"\" is not a whole number in 1..1000",
                  hr_job_set(&job, "--set", "sampler.steps="));
    hr_test_fails(HR_ERR_ARG, "--set: video: 5 is not a mapping of width",
                  hr_job_set(&job, "--set", "video=5"));
    hr_test_fails(HR_ERR_ARG, "--set: fames: unknown key; did you mean video.frames?",
                  hr_job_set(&job, "--set", "fames=5"));
    hr_test_fails(HR_ERR_ARG, "--set: prompt: expected KEY=VALUE",
                  hr_job_set(&job, "--set", "prompt"));
    hr_test_fails(HR_ERR_ARG, "--set: byte 0xff is not UTF-8",
                  hr_job_set(&job, "--set", "prompt=a\xff"));
    hr_test_fails(HR_ERR_ARG, "--set: model: \"\" is not a path",
                  hr_job_set(&job, "--set", "model="));
    hr_test_release_log();
    hr_job_free(&job);
}

static void test_merge(void **state)
{
    hr_job job, defaults;

    (void)state;
    hr_job_init(&job);
    hr_job_init(&defaults);
    hr_test_ok(parse("prompt: mine\nvideo: {seconds: 2}\nsampler: {steps: 3}", &job));
    hr_test_ok(parse("prompt: theirs\nnegative_prompt: bad\nnumerics: f32\n"
                     "video: {width: 64, frames: 9}\nsampler: {steps: 4, seed: 5}\n"
                     "windows: {frames: 21, overlap: 8}",
                     &defaults));
    hr_test_ok(hr_job_merge(&job, &defaults));
    hr_job_free(&defaults); /* nothing of it is borrowed */
    assert_string_equal(job.prompt, "mine");
    assert_string_equal(job.negative_prompt, "bad");
    assert_int_equal(job.numerics, HR_JOB_F32);
    assert_int_equal(job.width, 64);
    assert_int_equal(job.steps, 3);
    assert_true(job.seed == 5 && job.is_set[HR_KEY_SEED]);
    assert_true(job.window_frames == 21 && job.window_overlap == 8);
    assert_true(job.is_set[HR_KEY_SECONDS] && !job.is_set[HR_KEY_FRAMES]);
    hr_job_free(&job);
}

static void test_write(void **state)
{
    static const char nasty[] =
        "prompt=a \"q\" \\ # : - \n\t\r\x1b \xc2\x85 \xe2\x80\xa8 "
        "\xef\xbb\xbf \xf0\x9f\x90\x88 ";
    hr_job job, again;
    hr_text text = {0}, second = {0};

    (void)state;
    hr_job_init(&job);
    hr_job_init(&again);
    hr_test_ok(parse(
        "style: animated\nthreads: auto\nvideo: {fps: 23.976, seconds: 0.1}\n"
        "sampler: {seed: 18446744073709551615, guidance: 4}\n"
        "windows: {anchor: none, frames: 21}\nlayout: {tensor: auto, deadline: 30}\n"
        "checkpoint: {every: 10steps}",
        &job));
    hr_test_ok(hr_job_write_yaml(&job, &text));
    assert_string_equal(text.s, "style: animated\nthreads: auto\nvideo:\n  seconds: 0.1\n"
                                "  fps: 23.976\nsampler:\n  guidance: 4\n"
                                "  seed: 18446744073709551615\n"
                                "windows:\n  frames: 21\n  anchor: none\n"
                                "layout:\n  tensor: auto\n  deadline: 30\n"
                                "checkpoint:\n  every: 10steps\n");
    assert_string_equal(hr_job_key_name(HR_KEY_ANCHOR), "windows.anchor");
    hr_text_free(&text);
    hr_test_ok(hr_job_set(&job, "--set", nasty));
    hr_test_ok(hr_job_fill(&job));
    hr_test_ok(hr_job_write_yaml(&job, &text));
    hr_test_ok(parse(text.s, &again));
    assert_string_equal(again.prompt, nasty + strlen("prompt="));
    assert_memory_equal(job.is_set, again.is_set, sizeof job.is_set);
    hr_test_ok(hr_job_write_yaml(&again, &second));
    assert_string_equal(text.s, second.s);
    hr_text_free(&text);
    hr_text_free(&second);
    hr_test_ok(hr_job_write_value(&job, HR_KEY_STYLE, &text));
    assert_string_equal(text.s, "animated");
    hr_text_free(&text);
    hr_job_free(&job);
    hr_job_free(&again);
}

static void test_intervals(void **state)
{
    static const struct {
        const char *text, *written;
        double seconds;
        int64_t steps;
    } good[] = {
        {"5min", "5min", 300, 0},    {"30s", "30s", 30, 0},
        {"1.5h", "90min", 5400, 0},  {"2h", "2h", 7200, 0},
        {"0.05s", "0.05s", 0.05, 0}, {"10steps", "10steps", 0, 10},
        {"1step", "1step", 0, 1},    {"never", "never", 0, 0},
        {"90.5s", "90.5s", 90.5, 0}, {"120s", "2min", 120, 0},
    };
    static const char *const bad[] = {"",       "5",        "min",
                                      "5 min",  "-5s",      "0s",
                                      "1e3s",   "1.2.3s",   "5.s",
                                      ".5s",    "5mins",    "5minutes",
                                      "0steps", "1.5steps", "1001steps",
                                      "9999h",  "Never",    "nan",
                                      "inf",    "5S",       "111111111111111111s"};
    hr_interval interval, again;
    hr_text text = {0};
    double seconds = 0;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(hr_interval_scan(good[i].text, &interval));
        assert_true(interval.seconds == good[i].seconds);
        assert_int_equal(interval.steps, good[i].steps);
        hr_test_ok(hr_interval_write(&interval, &text));
        assert_string_equal(text.s, good[i].written);
        assert_true(hr_interval_scan(text.s, &again));
        assert_true(again.seconds == interval.seconds && again.steps == interval.steps);
        hr_text_free(&text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (hr_interval_scan(bad[i], &interval))
            fail_msg("%s was taken", bad[i]);
    assert_true(hr_duration_scan("90min", &seconds) && seconds == 5400);
    assert_false(hr_duration_scan("never", &seconds) ||
                 hr_duration_scan("3steps", &seconds));
}

/* configs/README.md holds the table as the program writes it, and no other row. */
static void test_readme_has_the_table(void **state)
{
    size_t n_rows = 0, n_bytes;
    char *readme = hr_test_read(HR_SOURCE_DIR "/configs/README.md", &n_bytes);
    const char *row = readme;
    hr_text table = {0};

    (void)state;
    hr_test_ok(hr_job_describe_keys(true, &table));
    if (strstr(readme, table.s) == NULL)
        fail_msg("configs/README.md should hold:\n%s", table.s);
    while ((row = strstr(row, "\n| ")) != NULL) {
        n_rows++;
        row++;
    }
    assert_int_equal(n_rows, HR_KEY_COUNT + 1);
    hr_text_free(&table);
    hr_test_ok(hr_job_describe_keys(false, &table));
    assert_non_null(strstr(table.s, "  sampler.steps         1..1000 [the model's]\n"));
    hr_text_free(&table);
    hr_free(readme);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_full_job, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_defaults, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_set, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_merge, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_write, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_intervals, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_readme_has_the_table, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
