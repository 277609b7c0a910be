/* The JSON files of a model folder: what is read, what is assumed, what is refused. */
#include "support/golden.h"
#include "support/test_util.h"

#include "base/memory.h"
#include "base/text.h"
#include "model/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const files[] = {
    "model_index.json", "transformer/config.json",         "text_encoder/config.json",
    "vae/config.json",  "scheduler/scheduler_config.json", "transformer_2/config.json",
};
enum { N_FILES = sizeof files / sizeof files[0] };

/* One edit: the value of `key` in `file` becomes `value` (JSON); NULL takes the key away.
 */
typedef struct edit {
    const char *file, *key, *value;
} edit;

static const char *folder; /* with the copies */

/* The end of the JSON value that starts at s. */
static const char *value_end(const char *s)
{
    int depth = 0;

    for (; *s != '\0'; s++) {
        if (*s == '[' || *s == '{')
            depth++;
        if (*s == ']' || *s == '}') {
            if (depth == 0)
                return s;
            depth--;
        }
        if (depth == 0 && (*s == ',' || *s == '\n'))
            return s;
    }
    return s;
}

static void apply(const edit *e)
{
    char *path = (char *)(uintptr_t)hr_test_path(folder, e->file);
    hr_text changed = {0};
    char quoted[80], *text;
    const char *at, *end;
    size_t n;

    snprintf(quoted, sizeof quoted, "\"%s\"", e->key);
    text = hr_test_read(path, &n);
    at = strstr(text, quoted);
    if (at == NULL) {
        at = strchr(text, '{') + 1;
        hr_test_ok(hr_text_append(&changed, text, (size_t)(at - text)));
        hr_test_ok(hr_text_printf(&changed, "%s: %s,", quoted, e->value));
        end = at;
    } else {
        hr_test_ok(hr_text_append(&changed, text, (size_t)(at - text)));
        end = value_end(strchr(at + strlen(quoted), ':') + 1);
        if (e->value == NULL)
            hr_test_ok(hr_text_printf(&changed, "\"not %s\": 0", e->key));
        else
            hr_test_ok(hr_text_printf(&changed, "%s: %s", quoted, e->value));
    }
    hr_test_ok(hr_text_add(&changed, end));
    hr_test_write(path, changed.s, changed.length);
    hr_text_free(&changed);
    hr_free(text);
}

/* Fresh copies of the JSON files of a golden case. */
static void copy_case(const char *name)
{
    char source[512];

    for (size_t i = 0; i < N_FILES; i++) {
        const char *target = hr_test_path(folder, files[i]);
        char *text;
        size_t n;

        snprintf(source, sizeof source, "%s/%s/pipeline/%s", HR_TEST_GOLDEN, name,
                 files[i]);
        unlink(target);
        if (access(source, F_OK) != 0)
            continue;
        text = hr_test_read(source, &n);
        hr_test_write(target, text, n);
        hr_free(text);
    }
}

static int make_folder(void **state)
{
    static const char *const parts[] = {"transformer", "transformer_2", "text_encoder",
                                        "vae", "scheduler"};

    (void)state;
    folder = hr_test_folder();
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_int_equal(mkdir(hr_test_path(folder, parts[i]), 0700), 0);
    return 0;
}

static hr_model_config load(const char *name)
{
    char path[512];
    hr_model_config config;

    snprintf(path, sizeof path, "%s/%s/pipeline", HR_TEST_GOLDEN, name);
    hr_test_ok(hr_model_config_load(path, &config));
    return config;
}

static void reads_wan21(void **state)
{
    hr_model_config c = load("wan21-odd");

    (void)state;
    assert_int_equal(c.transformer.n_heads, 3);
    assert_int_equal(c.transformer.head_dim, 20);
    assert_int_equal(hr_transformer_width(&c.transformer), 60);
    assert_int_equal(c.transformer.n_layers, 5);
    assert_int_equal(c.transformer.ffn_dim, 100);
    assert_int_equal(c.transformer.text_dim, 40);
    assert_int_equal(c.transformer.freq_dim, 256);
    assert_int_equal(c.transformer.patch[0], 1);
    assert_int_equal(c.transformer.patch[2], 2);
    assert_int_equal(c.transformer.rope_max, 1024);
    assert_true(c.transformer.cross_attn_norm);
    assert_true(c.transformer.eps == 1e-6F);
    assert_false(c.has_second_expert);
    assert_false(c.expand_timesteps);
    assert_int_equal(c.text.n_layers, 3);
    assert_int_equal(c.text.d_kv, 16);
    assert_int_equal(c.text.vocab_size, 1024);
    assert_int_equal(c.vae.base_dim, 5);
    assert_int_equal(c.vae.n_stages, 4);
    assert_int_equal(c.vae.dim_mult[2], 4);
    assert_true(c.vae.temporal_up[0] && c.vae.temporal_up[1] && !c.vae.temporal_up[2]);
    assert_int_equal(c.vae.patch, 1);
    assert_true(c.vae.mean[0] == 0.8209F && c.vae.std[15] == 0.7734F);
    assert_int_equal(c.scheduler.kind, HR_SAMPLER_UNIPC);
    assert_true(c.scheduler.shift == 5.0);
}

static void reads_wan22(void **state)
{
    hr_model_config moe = load("wan22-moe"), big = load("wan22-5b");

    (void)state;
    assert_true(moe.has_second_expert && moe.boundary_ratio == 0.875);
    assert_true(big.expand_timesteps && big.vae.is_residual);
    assert_int_equal(big.vae.base_dim, 5);
    assert_int_equal(big.vae.z_dim, 48);
    assert_int_equal(big.vae.patch, 2);
    assert_int_equal(big.vae.out_channels, 12);
    assert_int_equal(big.vae.scale_spatial, 16);
    assert_int_equal(big.vae.scale_temporal, 4);
}

/* Keys that older folders lack. */
static void assumes_documented_defaults(void **state)
{
    static const edit edits[] = {
        {"vae/config.json", "latents_mean", NULL},
        {"vae/config.json", "latents_std", NULL},
        {"vae/config.json", "is_residual", NULL},
        {"vae/config.json", "out_channels", NULL},
        {"vae/config.json", "patch_size", NULL},
        {"vae/config.json", "scale_factor_temporal", NULL},
        {"vae/config.json", "scale_factor_spatial", NULL},
        {"vae/config.json", "decoder_base_dim", NULL},
        {"vae/config.json", "temperal_downsample", NULL},
        {"transformer/config.json", "rope_max_seq_len", NULL},
        {"transformer/config.json", "eps", NULL},
        {"transformer/config.json", "patch_size", NULL},
        {"transformer/config.json", "cross_attn_norm", NULL},
        {"transformer/config.json", "image_dim", NULL},
        {"text_encoder/config.json", "is_gated_act", NULL},
        {"text_encoder/config.json", "layer_norm_epsilon", NULL},
        {"text_encoder/config.json", "relative_attention_num_buckets", NULL},
        {"scheduler/scheduler_config.json", "flow_shift", NULL},
        {"scheduler/scheduler_config.json", "num_train_timesteps", NULL},
        {"model_index.json", "transformer_2", NULL},
    };
    hr_model_config c;

    (void)state;
    copy_case("wan21-tiny");
    for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++)
        apply(&edits[i]);
    hr_test_ok(hr_model_config_load(folder, &c));
    assert_true(c.vae.mean[0] == -0.7571F && c.vae.mean[15] == -0.2921F);
    assert_true(c.vae.std[0] == 2.8184F && c.vae.std[15] == 1.9160F);
    assert_false(c.vae.is_residual);
    assert_int_equal(c.vae.base_dim, 6);
    assert_int_equal(c.vae.patch, 1);
    assert_int_equal(c.vae.scale_temporal, 4);
    assert_int_equal(c.vae.scale_spatial, 8);
    assert_int_equal(c.transformer.rope_max, 1024);
    assert_true(c.transformer.eps == 1e-6F && c.transformer.cross_attn_norm);
    assert_int_equal(c.transformer.patch[1], 2);
    assert_int_equal(c.text.n_buckets, 32);
    assert_true(c.scheduler.shift == 1.0);
    assert_int_equal(c.scheduler.n_train_timesteps, 1000);
}

static void reads_other_schedulers(void **state)
{
    static const edit euler[] = {
        {"model_index.json", "scheduler",
         "[\"diffusers\", \"FlowMatchEulerDiscreteScheduler\"]"},
        {"scheduler/scheduler_config.json", "_class_name",
         "\"FlowMatchEulerDiscreteScheduler\""},
        {"scheduler/scheduler_config.json", "shift", "7.0"},
    };
    static const edit dpm[] = {
        {"model_index.json", "scheduler",
         "[\"diffusers\", \"DPMSolverMultistepScheduler\"]"},
        {"scheduler/scheduler_config.json", "_class_name",
         "\"DPMSolverMultistepScheduler\""},
        {"scheduler/scheduler_config.json", "solver_type", "\"midpoint\""},
        {"scheduler/scheduler_config.json", "flow_shift", "2.5"},
    };
    hr_model_config c;

    (void)state;
    copy_case("wan21-tiny");
    for (size_t i = 0; i < sizeof euler / sizeof euler[0]; i++)
        apply(&euler[i]);
    hr_test_ok(hr_model_config_load(folder, &c));
    assert_int_equal(c.scheduler.kind, HR_SAMPLER_EULER);
    assert_true(c.scheduler.shift == 7.0);
    copy_case("wan21-tiny");
    for (size_t i = 0; i < sizeof dpm / sizeof dpm[0]; i++)
        apply(&dpm[i]);
    hr_test_ok(hr_model_config_load(folder, &c));
    assert_int_equal(c.scheduler.kind, HR_SAMPLER_DPMPP);
    assert_true(c.scheduler.shift == 2.5);
}

/* A transformer_2 without boundary_ratio is never used by the reference: said, not
 * refused. */
static void ignores_an_expert_without_boundary(void **state)
{
    static const edit e = {"model_index.json", "boundary_ratio", "null"};
    hr_model_config c;

    (void)state;
    copy_case("wan22-moe");
    apply(&e);
    hr_test_catch_log();
    hr_test_ok(hr_model_config_load(folder, &c));
    hr_test_release_log();
    assert_int_equal(hr_test_log_lines(), 1);
    assert_false(c.has_second_expert);
}

/* An edit and what the one line must say after "FOLDER/file: ". */
typedef struct refusal {
    edit edit;
    const char *says;
} refusal;

#define TRANSFORMER "transformer/config.json"
#define TEXT "text_encoder/config.json"
#define VAE "vae/config.json"
#define SCHEDULER "scheduler/scheduler_config.json"
#define INDEX "model_index.json"

static const refusal refusals[] = {
    {{TRANSFORMER, "num_layers", "0"}, "num_layers: found 0"},
    {{TRANSFORMER, "num_layers", "-3"}, "num_layers: found -3"},
    {{TRANSFORMER, "num_layers", "1.5"}, "num_layers"},
    {{TRANSFORMER, "num_layers", "\"3\""}, "num_layers"},
    {{TRANSFORMER, "num_attention_heads", "0"}, "num_attention_heads: found 0"},
    {{TRANSFORMER, "attention_head_dim", "25"},
     "attention_head_dim: found 25, expected an even"},
    {{TRANSFORMER, "attention_head_dim", "4"}, "attention_head_dim: found 4"},
    {{TRANSFORMER, "attention_head_dim", "-24"}, "attention_head_dim: found -24"},
    {{TRANSFORMER, "ffn_dim", "1e18"}, "ffn_dim"},
    {{TRANSFORMER, "freq_dim", "255"}, "freq_dim: found 255, expected an even"},
    {{TRANSFORMER, "patch_size", "[1, 2]"}, "patch_size: found 2, expected 3 numbers"},
    {{TRANSFORMER, "patch_size", "[1, 0, 2]"}, "patch_size: found 0"},
    {{TRANSFORMER, "patch_size", "2"}, "patch_size"},
    {{TRANSFORMER, "eps", "0"}, "eps: found 0"},
    {{TRANSFORMER, "eps", "-1e-6"}, "eps: found -1e-06"},
    {{TRANSFORMER, "qk_norm", "\"layer_norm\""},
     "qk_norm: found layer_norm, expected rms_norm"},
    {{TRANSFORMER, "image_dim", "1280"},
     "image_dim: found a value, expected null (image-to-video"},
    {{TRANSFORMER, "added_kv_proj_dim", "5120"}, "added_kv_proj_dim: found a value"},
    {{TRANSFORMER, "in_channels", "36"},
     "in_channels: found 36, expected out_channels, 16 (image"},
    {{TRANSFORMER, "text_dim", "64"}, "text_dim: found 64, expected d_model"},
    {{TRANSFORMER, "_class_name", "\"UNet\""}, "_class_name: found UNet"},
    {{TEXT, "is_gated_act", "false"}, "is_gated_act: found false, expected true"},
    {{TEXT, "feed_forward_proj", "\"relu\""}, "feed_forward_proj: found relu"},
    {{TEXT, "model_type", "\"t5\""}, "model_type: found t5"},
    {{TEXT, "num_heads", "0"}, "num_heads: found 0"},
    {{TEXT, "vocab_size", "1"}, "eos_token_id: found 1"},
    {{TEXT, "relative_attention_num_buckets", "30"},
     "relative_attention_num_buckets: found 30"},
    {{TEXT, "relative_attention_max_distance", "8"},
     "relative_attention_max_distance: found 8"},
    {{VAE, "z_dim", "8"}, "latents_mean: found 16 numbers, expected z_dim, 8"},
    {{VAE, "latents_mean", "[0.5]"}, "latents_mean: found 1 numbers, expected z_dim, 16"},
    {{VAE, "latents_std", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,0]"}, "latents_std: found 0"},
    {{VAE, "latents_std", "[1,1,1,1,1,1,1,-1,1,1,1,1,1,1,1,1]"}, "latents_std: found -1"},
    {{VAE, "dim_mult", "[]"}, "dim_mult: found 0"},
    {{VAE, "dim_mult", "[1, 2, 0, 4]"}, "dim_mult: found 0"},
    {{VAE, "dim_mult", "[1, 2, 4]"}, "temperal_downsample: found 3"},
    {{VAE, "num_res_blocks", "0"}, "num_res_blocks: found 0"},
    {{VAE, "patch_size", "2"}, "patch_size"},
    {{VAE, "out_channels", "4"}, "out_channels: found 4"},
    {{VAE, "scale_factor_temporal", "8"}, "scale_factor_temporal: found 8, expected 4"},
    {{VAE, "scale_factor_spatial", "16"}, "scale_factor_spatial: found 16, expected 8"},
    {{SCHEDULER, "_class_name", "\"DDIMScheduler\""}, "found DDIMScheduler"},
    {{SCHEDULER, "prediction_type", "\"epsilon\""}, "prediction_type: found epsilon"},
    {{SCHEDULER, "flow_shift", "0"}, "flow_shift: found 0"},
    {{SCHEDULER, "num_train_timesteps", "0"}, "num_train_timesteps: found 0"},
    {{SCHEDULER, "use_karras_sigmas", "true"}, "use_karras_sigmas: found true"},
    {{SCHEDULER, "solver_order", "3"}, "solver_order: found 3"},
    {{SCHEDULER, "solver_type", "\"bh1\""}, "solver_type: found bh1"},
    {{SCHEDULER, "disable_corrector", "[0]"}, "disable_corrector: found steps"},
    {{INDEX, "_class_name", "\"WanImageToVideoPipeline\""},
     "_class_name: found WanImageToVideoPipeline, expected WanPipeline"},
    {{INDEX, "transformer", "[null, null]"}, "transformer: found no class"},
    {{INDEX, "transformer", "7"}, "transformer: found something else"},
    {{INDEX, "scheduler", "[\"diffusers\", \"DDIMScheduler\"]"}, "found DDIMScheduler"},
    {{INDEX, "text_encoder", "[\"transformers\", \"CLIPTextModel\"]"},
     "text_encoder: found CLIPTextModel"},
    {{INDEX, "vae", NULL}, "vae: found no class"},
    {{INDEX, "boundary_ratio", "0.9"},
     "boundary_ratio: found 0.9 without a transformer_2"},
};

static void refuses_the_impossible(void **state)
{
    hr_model_config c;

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        copy_case("wan21-tiny");
        apply(&refusals[i].edit);
        hr_test_fails(HR_ERR_MODEL, refusals[i].says, hr_model_config_load(folder, &c));
        hr_test_fails(HR_ERR_MODEL, refusals[i].edit.file,
                      hr_model_config_load(folder, &c));
    }
}

static void refuses_channels_other_than_the_vae(void **state)
{
    static const edit in = {TRANSFORMER, "in_channels", "8"},
                      out = {TRANSFORMER, "out_channels", "8"};
    hr_model_config c;

    (void)state;
    copy_case("wan21-tiny");
    apply(&in);
    apply(&out);
    hr_test_fails(HR_ERR_MODEL, "in_channels: found 8, expected z_dim of the vae, 16",
                  hr_model_config_load(folder, &c));
}

static void refuses_unequal_experts(void **state)
{
    static const struct {
        edit edit;
        const char *says;
    } rows[] = {
        {{"transformer_2/config.json", "num_layers", "4"},
         "transformer_2/config.json: num_layers: found 4, expected 2"},
        {{"transformer_2/config.json", "eps", "1e-5"}, "transformer_2/config.json: eps"},
        {{"transformer_2/config.json", "patch_size", "[2, 2, 2]"}, "patch_size"},
        {{"model_index.json", "boundary_ratio", "1.5"}, "boundary_ratio: found 1.5"},
        {{"model_index.json", "boundary_ratio", "0"}, "boundary_ratio: found 0"},
    };
    hr_model_config c;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        copy_case("wan22-moe");
        apply(&rows[i].edit);
        hr_test_fails(HR_ERR_MODEL, rows[i].says, hr_model_config_load(folder, &c));
    }
    copy_case("wan22-moe");
    unlink(hr_test_path(folder, "transformer_2/config.json"));
    hr_test_fails(HR_ERR_MODEL, "transformer_2/config.json",
                  hr_model_config_load(folder, &c));
}

static void refuses_missing_and_broken_files(void **state)
{
    static const char *const broken[] = {"",         "{", "[]", "{\"a\": 1, \"a\": 2}",
                                         "\xff\xfe", "{}"};
    hr_model_config c;

    (void)state;
    hr_test_fails(HR_ERR_MODEL, "no-such-folder/model_index.json",
                  hr_model_config_load(hr_test_path(folder, "no-such-folder"), &c));
    for (size_t i = 0; i < 5; i++) {
        copy_case("wan21-tiny");
        unlink(hr_test_path(folder, files[i]));
        hr_test_fails(HR_ERR_MODEL, files[i], hr_model_config_load(folder, &c));
    }
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        copy_case("wan21-tiny");
        hr_test_write(hr_test_path(folder, "model_index.json"), broken[i],
                      strlen(broken[i]));
        hr_test_fails(HR_ERR_MODEL, "model_index.json", hr_model_config_load(folder, &c));
    }
    for (size_t i = 0; i + 1 < sizeof broken / sizeof broken[0]; i++) {
        copy_case("wan21-tiny");
        hr_test_write(hr_test_path(folder, "vae/config.json"), broken[i],
                      strlen(broken[i]));
        hr_test_fails(HR_ERR_MODEL, "vae/config.json", hr_model_config_load(folder, &c));
    }
}

/* The only other size that a stage's shortcut of the residual VAE can have is refused. */
static void refuses_shortcuts_that_do_not_divide(void **state)
{
    static const edit e = {VAE, "dim_mult", "[1, 2, 4, 7]"};
    hr_model_config c;

    (void)state;
    copy_case("wan22-5b");
    apply(&e);
    hr_test_fails(HR_ERR_MODEL, "dim_mult: found 4", hr_model_config_load(folder, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(reads_wan21, hr_test_leak_teardown),
        cmocka_unit_test_teardown(reads_wan22, hr_test_leak_teardown),
        cmocka_unit_test_teardown(assumes_documented_defaults, hr_test_leak_teardown),
        cmocka_unit_test_teardown(reads_other_schedulers, hr_test_leak_teardown),
        cmocka_unit_test_teardown(ignores_an_expert_without_boundary,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(refuses_the_impossible, hr_test_leak_teardown),
        cmocka_unit_test_teardown(refuses_channels_other_than_the_vae,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(refuses_unequal_experts, hr_test_leak_teardown),
        cmocka_unit_test_teardown(refuses_missing_and_broken_files,
                                  hr_test_leak_teardown),
        cmocka_unit_test_teardown(refuses_shortcuts_that_do_not_divide,
                                  hr_test_leak_teardown),
    };

    return cmocka_run_group_tests(tests, make_folder, NULL);
}
