/* Model entries, the folder of them, style phrases, and the job files that come along. */
#include "support/test_util.h"

#include "base/memory.h"
#include "base/text.h"
#include "io/job.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char configs[] = HR_SOURCE_DIR "/configs";

/* demo.yaml gives every key that the model decides, with the numbers of demo.json. */
static void test_demo_entry(void **state)
{
    static const hr_job_key keys[] = {
        HR_KEY_NEGATIVE_PROMPT, HR_KEY_TEXT_LENGTH, HR_KEY_WIDTH,   HR_KEY_HEIGHT,
        HR_KEY_FRAMES,          HR_KEY_FPS,         HR_KEY_SAMPLER, HR_KEY_STEPS,
        HR_KEY_GUIDANCE,        HR_KEY_SHIFT};
    hr_model_entry entry;
    const hr_job *job = &entry.defaults;

    (void)state;
    hr_test_ok(hr_model_entry_load(configs, HR_JOB_DEFAULT_MODEL, &entry));
    assert_non_null(strstr(entry.folder, "demo/model"));
    assert_int_equal(entry.trained_frames, 21);
    assert_int_equal(entry.defaults.window_frames, entry.trained_frames);
    assert_true(entry.defaults.is_set[HR_KEY_WINDOW_OVERLAP]);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_true(job->is_set[keys[i]]);
    assert_int_equal(job->width, 128);
    assert_int_equal(job->height, 80);
    assert_int_equal(job->frames, 21);
    assert_int_equal(job->steps, 25);
    assert_int_equal(job->text_length, 512);
    assert_true(job->fps == 16 && job->guidance == 3 && job->shift == 3);
    assert_string_equal(entry.style_phrase[HR_STYLE_ANIMATED], "animated style");
    assert_string_equal(entry.style_phrase[HR_STYLE_PHOTOREALISTIC],
                        "photorealistic style");
    hr_model_entry_free(&entry);
}

/* A folder: its real path, and the general defaults without sampler and shift. */
static void test_own_folder(void **state)
{
    const char *folder = hr_test_folder();
    char resolved[PATH_MAX];
    hr_model_entry entry;

    (void)state;
    hr_test_write(hr_test_path(folder, "model_index.json"), "{}", 2);
    hr_test_ok(hr_model_entry_load(configs, hr_test_path(folder, "."), &entry));
    assert_non_null(realpath(folder, resolved));
    assert_string_equal(entry.folder, resolved);
    assert_int_equal(entry.trained_frames, 81);
    assert_int_equal(entry.defaults.width, 832);
    assert_int_equal(entry.defaults.steps, 50);
    assert_true(entry.defaults.guidance == 5);
    assert_false(entry.defaults.is_set[HR_KEY_SHIFT] ||
                 entry.defaults.is_set[HR_KEY_SAMPLER]);
    hr_model_entry_free(&entry);
}

static void test_unknown_model(void **state)
{
    hr_model_entry entry;

    (void)state;
    hr_test_fails(HR_ERR_MODEL,
                  "model: wan9 is not a folder with model_index.json nor one of: demo",
                  hr_model_entry_load(configs, "wan9", &entry));
    hr_test_fails(HR_ERR_MODEL, "model: wan is not", /* the general one is no model */
                  hr_model_entry_load(configs, "wan", &entry));
    hr_test_fails(HR_ERR_MODEL, "model:  is not",
                  hr_model_entry_load(configs, "", &entry));
    hr_test_fails(HR_ERR_MODEL, "model: ../models/demo is not",
                  hr_model_entry_load(configs, "../models/demo", &entry));
    hr_test_fails(HR_ERR_MODEL, "nor one of: (none)",
                  hr_model_entry_load(hr_test_folder(), "demo", &entry));
    hr_test_release_log();
}

static void test_bad_entries(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"folder: a\n", "own.yaml: trained_frames: missing"},
        {"trained_frames: 5\n", "own.yaml: folder: missing"},
        {"folder: a\ntrained_frames: 0\n",
         "own.yaml:2:17: trained_frames: 0 is not in 1..1000000"},
        {"folder: ''\n", "own.yaml:1:9: folder: \"\" is not text"},
        {"folder: [a]\n", "own.yaml:1:9: folder: a list is not text"},
        {"folders: a\n", "own.yaml:1:1: folders: unknown key"},
        {"styles: 5\n", "own.yaml:1:9: styles: 5 is not a mapping"},
        {"styles: {noir: x}\n", "own.yaml:1:10: styles.noir: unknown key"},
        {"defaults: {steps: 5}\n",
         "own.yaml:1:12: defaults.steps: unknown key; did you mean "
         "defaults.sampler.steps?"},
        {"defaults:\n  video: {width: 5}\n",
         "own.yaml:2:18: defaults.video.width: 5 is not in 16..16384"},
        {"defaults: {video: 5}\n",
         "own.yaml:1:19: defaults.video: 5 is not a mapping of width"},
        {"folder: a\nfolder: b\n",
         "own.yaml:2:1: folder: a second time, first in line 1"},
    };
    const char *folder = hr_test_folder(), *models = hr_test_path(folder, "models");
    const char *path = hr_test_path(models, "own.yaml");
    hr_model_entry entry;

    (void)state;
    assert_int_equal(mkdir(models, 0777), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hr_test_write(path, cases[i].text, strlen(cases[i].text));
        hr_test_fails(HR_ERR_ARG, cases[i].message,
                      hr_model_entry_load(folder, "own", &entry));
        hr_test_no_leaks();
    }
    hr_test_release_log();
    hr_test_write(path, "folder: /a/b\ntrained_frames: 9\n", 31);
    hr_test_ok(hr_model_entry_load(folder, "own", &entry));
    assert_string_equal(entry.folder, "/a/b");
    hr_model_entry_free(&entry);
}

static void check_style(const hr_model_entry *entry, const char *prompt,
                        const char *expected)
{
    hr_text text = {0};

    hr_test_ok(hr_model_entry_style_prompt(entry, HR_STYLE_ANIMATED, prompt, &text));
    assert_string_equal(text.s, expected);
    hr_text_free(&text);
}

static void test_style_phrases(void **state)
{
    char phrase[] = "animated style", folder[] = "there";
    const hr_model_entry entry = {.folder = folder,
                                  .style_phrase = {[HR_STYLE_ANIMATED] = phrase}};
    hr_text text = {0};

    (void)state;
    check_style(&entry, "A cat runs.", "A cat runs, animated style.");
    check_style(&entry, "A cat runs", "A cat runs, animated style.");
    check_style(&entry, "A cat runs ... ", "A cat runs, animated style.");
    check_style(&entry, "A cat, ", "A cat, animated style.");
    check_style(&entry, "One. Two.\n", "One. Two, animated style.");
    check_style(&entry, "A cat runs!", "A cat runs! animated style.");
    check_style(&entry, "", "animated style.");
    check_style(&entry, " . ", "animated style.");
    check_style(&entry, "In Animated Style: a cat.", "In Animated Style: a cat.");
    hr_test_ok(hr_model_entry_style_prompt(&entry, HR_STYLE_NONE, "A cat. ", &text));
    assert_string_equal(text.s, "A cat. ");
    hr_text_free(&text);
    hr_test_fails(
        HR_ERR_ARG, "style: photorealistic: the model in there has no words for it",
        hr_model_entry_style_prompt(&entry, HR_STYLE_PHOTOREALISTIC, "A", &text));
    hr_test_release_log();
    assert_null(text.s);
}

static void test_configs_folder(void **state)
{
    const char *empty = hr_test_folder();
    char *folder = NULL, expected[PATH_MAX];

    (void)state;
    assert_int_equal(setenv("HALOREEL_CONFIGS", configs, 1), 0);
    hr_test_ok(hr_configs_folder(&folder));
    assert_non_null(realpath(configs, expected));
    assert_string_equal(folder, expected);
    hr_free(folder);
    assert_int_equal(setenv("HALOREEL_CONFIGS", empty, 1), 0);
    hr_test_fails(HR_ERR_IO, "$HALOREEL_CONFIGS: ", hr_configs_folder(&folder));
    assert_int_equal(unsetenv("HALOREEL_CONFIGS"), 0);
    hr_test_fails(HR_ERR_IO, "no folder configs with models in it: looked at ",
                  hr_configs_folder(&folder)); /* tests lie one folder deeper */
    hr_test_release_log();
}

static void test_examples_load(void **state)
{
    glob_t files;
    hr_job job;

    (void)state;
    assert_int_equal(glob(HR_SOURCE_DIR "/configs/examples/*.yaml", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        hr_job_init(&job);
        hr_test_ok(hr_job_load(files.gl_pathv[i], &job));
        assert_true(job.is_set[HR_KEY_MODEL] && job.is_set[HR_KEY_PROMPT]);
        hr_job_free(&job);
    }
    globfree(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_demo_entry, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_own_folder, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_unknown_model, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_bad_entries, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_style_phrases, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_configs_folder, hr_test_leak_teardown),
        cmocka_unit_test_teardown(test_examples_load, hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
