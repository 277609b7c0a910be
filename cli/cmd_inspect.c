#include "cli/cli.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/inspect.h"
#include "cli/request.h"
#include "io/safetensors.h"
#include "worker/estimate.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct inspect_options {
    const char *path;
    bool json;
} inspect_options;

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    inspect_options *options = state->input;

    if (key == 'j')
        options->json = true;
    else if (key == ARGP_KEY_ARG && options->path == NULL)
        options->path = value;
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "one PATH only");
    else if (key == ARGP_KEY_END && options->path == NULL)
        argp_error(state, "inspect what? give a model's name or folder, or a file");
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* "BF16 2.8 M, F32 4.0 k" */
static void print_dtypes(const hr_weights_totals *totals)
{
    const char *separator = "";

    for (int i = 0; i <= HR_DTYPE_COUNT; i++) {
        if (totals->parameters_by_dtype[i] == 0)
            continue;
        printf("%s%s %" PRIu64, separator,
               i == HR_DTYPE_COUNT ? "other" : hr_dtype_name((hr_dtype)i),
               totals->parameters_by_dtype[i]);
        separator = ", ";
    }
    putchar('\n');
}

static void print_component(const hr_model *model, hr_component component)
{
    const hr_weights *weights = hr_model_get_weights(model, component);
    hr_weights_totals totals;
    char size[16];

    if (weights == NULL)
        return;
    totals = hr_weights_get_totals(weights);
    printf("  %-14s %12" PRIu64 " parameters in %zu tensors, %zu %s, %s: ",
           hr_component_name(component), totals.n_parameters, totals.n_tensors,
           hr_weights_n_files(weights),
           hr_weights_n_files(weights) == 1 ? "file" : "files",
           hr_format_bytes(totals.n_bytes, size));
    print_dtypes(&totals);
}

static void print_component_json(const hr_model *model, hr_component component,
                                 const char *separator)
{
    hr_weights_totals totals =
        hr_weights_get_totals(hr_model_get_weights(model, component));
    const char *comma = "";

    printf("%s\n    \"%s\": {\"parameters\": %" PRIu64
           ", \"tensors\": %zu, \"files\": %zu, "
           "\"bytes\": %" PRIu64 ", \"parameters_by_dtype\": {",
           separator, hr_component_name(component), totals.n_parameters, totals.n_tensors,
           hr_weights_n_files(hr_model_get_weights(model, component)), totals.n_bytes);
    for (int i = 0; i <= HR_DTYPE_COUNT; i++) {
        if (totals.parameters_by_dtype[i] == 0)
            continue;
        printf("%s\"%s\": %" PRIu64, comma,
               i == HR_DTYPE_COUNT ? "other" : hr_dtype_name((hr_dtype)i),
               totals.parameters_by_dtype[i]);
        comma = ", ";
    }
    fputs("}}", stdout);
}

static void print_model_json(const hr_model *model, const hr_job *job,
                             const hr_plan *plan, const hr_estimate *need)
{
    const char *separator = "";

    puts("{");
    printf("  \"defaults\": {\"width\": %" PRId64 ", \"height\": %" PRId64
           ", \"frames\": %" PRId64 ", \"steps\": %d, \"guidance\": %g, \"shift\": %g, "
           "\"text_length\": %" PRId64 "},\n",
           plan->width, plan->height, plan->frames, plan->n_steps, plan->guidance,
           plan->shift, job->text_length);
    printf("  \"memory_bytes\": %" PRIu64 ",\n  \"flops\": %.6g,\n  \"components\": {",
           hr_estimate_bytes(need), need->flops);
    for (int i = 0; i < HR_COMPONENT_COUNT; i++)
        if (hr_model_get_weights(model, (hr_component)i) != NULL) {
            print_component_json(model, (hr_component)i, separator);
            separator = ",";
        }
    puts("\n  }\n}");
}

static void print_model(const hr_model *model, const hr_job *job, const hr_plan *plan,
                        const hr_estimate *need)
{
    const hr_model_config *c = hr_model_get_config(model);
    char size[16];

    printf("%s\n", hr_model_folder(model));
    printf("  Wan text to video, %s%s%s\n",
           c->has_second_expert ? "two experts" : "one transformer",
           c->expand_timesteps ? ", a timestep per token" : "",
           c->vae.is_residual ? ", VAE of Wan 2.2" : ", VAE of Wan 2.1");
    printf("  %" PRId64 " heads x %" PRId64 ", %" PRId64 " layers, ffn %" PRId64
           "; text width %" PRId64 "; %" PRId64 " latent channels, %" PRId64 "x%" PRId64
           " pixels and %" PRId64 " frames per latent\n",
           c->transformer.n_heads, c->transformer.head_dim, c->transformer.n_layers,
           c->transformer.ffn_dim, c->text.d_model, c->vae.z_dim, c->vae.scale_spatial,
           c->vae.scale_spatial, c->vae.scale_temporal);
    for (int i = 0; i < HR_COMPONENT_COUNT; i++)
        print_component(model, (hr_component)i);
    printf("  defaults: %" PRId64 "x%" PRId64 ", %" PRId64
           " frames, %d steps, guidance %g, shift %g, text length %" PRId64 "\n",
           plan->width, plan->height, plan->frames, plan->n_steps, plan->guidance,
           plan->shift, job->text_length);
    printf("  such a video takes %s of memory and %.3g TFLOP\n",
           hr_format_bytes(hr_estimate_bytes(need), size), need->flops * 1e-12);
}

/* Plans and estimates the video that the defaults describe. */
static hr_status inspect_with_defaults(const hr_model *model, hr_job *job, bool json)
{
    hr_model_facts facts = hr_request_facts(hr_model_get_config(model));
    hr_render render = {
        .job = job, .prompt = "", .negative_prompt = "", .preview_folder = ""};
    hr_device *device;
    hr_plan plan;
    hr_estimate need;
    hr_status status;

    hr_request_take_model(job, hr_model_get_config(model));
    HR_TRY(hr_plan_make(job, &facts, &plan));
    render.plan = &plan;
    HR_TRY(hr_open_job_device(job, &device));
    status = hr_estimate_render(
        &(hr_estimate_options){.worker = {.model = model,
                                          .device = device,
                                          .numerics = hr_request_numerics(job),
                                          .layout = {1, 1, 1, 1}},
                               .n_ranks = 1,
                               .ranks_per_host = 1},
        &render, &need);
    hr_device_close(device);
    HR_TRY(status);
    if (json)
        print_model_json(model, job, &plan, &need);
    else
        print_model(model, job, &plan, &need);
    return HR_OK;
}

static hr_status inspect_model(const inspect_options *options)
{
    hr_model_entry entry;
    hr_model *model;
    hr_job job;
    hr_status status;

    HR_TRY(hr_open_model(options->path, &entry, &model));
    hr_job_init(&job);
    status = hr_job_merge(&job, &entry.defaults);
    if (status == HR_OK)
        status = inspect_with_defaults(model, &job, options->json);
    hr_job_free(&job);
    hr_model_close(model);
    hr_model_entry_free(&entry);
    return status;
}

/* A name from a stranger's file: as a JSON string, or with '?' for what a terminal would
 * obey. */
static void print_name(const char *name, bool json)
{
    for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++)
        if (json && (*c < 0x20 || *c == '"' || *c == '\\' || *c == 0x7f))
            printf("\\u%04x", *c);
        else
            putchar(!json && (*c < 0x20 || *c == 0x7f) ? '?' : *c);
}

static void print_tensor(const hr_stored_tensor *t, bool json, bool first)
{
    if (json)
        printf("%s\n  {\"name\": \"", first ? "" : ",");
    else
        fputs("  ", stdout);
    print_name(json ? t->name : t->dtype_name, json);
    fputs(json ? "\", \"dtype\": \"" : " (", stdout);
    if (json) {
        print_name(t->dtype_name, json);
        fputs("\", \"shape\": [", stdout);
    }
    for (int i = 0; i < t->n_dims; i++)
        printf("%s%" PRId64, i == 0 ? "" : ", ", t->dim[i]);
    if (json) {
        printf("], \"bytes\": %zu}", t->n_bytes);
        return;
    }
    fputs(") ", stdout);
    print_name(t->name, json);
    putchar('\n');
}

static hr_status inspect_file(const inspect_options *options)
{
    hr_safetensors *file;

    HR_TRY(hr_safetensors_open(options->path, &file));
    if (options->json)
        putchar('[');
    else
        printf("%s: %zu tensors\n", options->path, hr_safetensors_count(file));
    for (size_t i = 0; i < hr_safetensors_count(file); i++)
        print_tensor(hr_safetensors_at(file, i), options->json, i == 0);
    if (options->json)
        puts("\n]");
    hr_safetensors_close(file);
    return HR_OK;
}

/* A run folder is looked at by others. */
static bool is_run_folder(const char *path)
{
    hr_text file = {0};
    bool is_one = hr_text_printf(&file, "%s/status.json", path) == HR_OK &&
                  access(file.s, F_OK) == 0;

    hr_text_free(&file);
    return is_one;
}

int hr_cmd_inspect(int argc, char **argv)
{
    static const struct argp_option option_list[] = {
        {"json", 'j', 0, 0, "print JSON", 0},
        {0},
    };
    static const struct argp argp = {
        option_list,
        parse_option,
        "PATH",
        "Says what PATH holds: a model (its name below configs/models or its folder: "
        "components, parameters, types, memory that a video takes), a safetensors "
        "file, or a checkpoint or the latents.h5 of a run.",
        NULL,
        NULL,
        NULL};
    inspect_options options = {0};
    struct stat info;

    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0)
        return HR_EXIT_USAGE;
    if (stat(options.path, &info) == 0 && S_ISREG(info.st_mode))
        return hr_exit_code(hr_inspect_is_checkpoint(options.path)
                                ? hr_inspect_checkpoint(options.path, options.json)
                                : inspect_file(&options));
    if (is_run_folder(options.path)) {
        hr_error("%s is a run folder: haloreel status %s tells of it; inspect takes its "
                 "latents.h5 and the files in its checkpoint/",
                 options.path, options.path);
        return HR_EXIT_USAGE;
    }
    return hr_exit_code(inspect_model(&options));
}
