#include "cli/identity.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "io/fingerprint.h"
#include "io/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool hr_identity_may_differ(hr_job_key key)
{
    static const hr_job_key keys[] = {
        HR_KEY_MODEL, /* its files count */
        HR_KEY_DEVICE,        HR_KEY_THREADS,          HR_KEY_LAYOUT_WINDOWS,
        HR_KEY_LAYOUT_STAGES, HR_KEY_LAYOUT_TENSOR,    HR_KEY_LAYOUT_CFG,
        HR_KEY_DEADLINE,      HR_KEY_OUTPUT_FOLDER,    HR_KEY_OUTPUT_VIDEO,
        HR_KEY_PREVIEW_EVERY, HR_KEY_CHECKPOINT_EVERY, HR_KEY_CHECKPOINT_KEEP};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i] == key)
            return true;
    return false;
}

/* Those, and the keys that are written otherwise. */
static bool is_left_out(hr_job_key key)
{
    return hr_identity_may_differ(key) || key == HR_KEY_PROMPT || key == HR_KEY_STYLE ||
           key == HR_KEY_FRAMES || key == HR_KEY_SECONDS;
}

static hr_status add_hash(const char *group, const char *key, const hr_hash *hash,
                          hr_text *out)
{
    char digits[HR_HASH_TEXT_BYTES];

    return hr_text_printf(out, "%s\t%s\t%s\n", group, key, hr_hash_text(*hash, digits));
}

hr_status hr_identity_add_job(const hr_job *job, const hr_plan *plan, const char *prompt,
                              const char *latents_in, hr_text *out)
{
    hr_hash hash;

    HR_TRY(hr_text_add(out, "job\tprompt\t"));
    HR_TRY(hr_json_add_string(out, prompt));
    HR_TRY(hr_text_printf(out, "\njob\tvideo.frames\t%" PRId64 "\n", plan->frames));
    for (unsigned i = 0; i < HR_KEY_COUNT; i++) {
        if (!job->is_set[i] || is_left_out((hr_job_key)i))
            continue;
        HR_TRY(hr_text_printf(out, "job\t%s\t", hr_job_key_name((hr_job_key)i)));
        HR_TRY(hr_job_write_value(job, (hr_job_key)i, out));
        HR_TRY(hr_text_add(out, "\n"));
    }
    if (latents_in == NULL)
        return HR_OK;
    HR_TRY(hr_fingerprint_file(latents_in, &hash));
    return add_hash("job", "--latents", &hash, out);
}

hr_status hr_identity_add_call(const hr_render_options *options, hr_text *out)
{
    static const hr_job_key keys[] = {
        HR_KEY_LAYOUT_WINDOWS, HR_KEY_LAYOUT_STAGES,    HR_KEY_LAYOUT_TENSOR,
        HR_KEY_LAYOUT_CFG,     HR_KEY_DEADLINE,         HR_KEY_OUTPUT_VIDEO,
        HR_KEY_PREVIEW_EVERY,  HR_KEY_CHECKPOINT_EVERY, HR_KEY_CHECKPOINT_KEEP};
    const char *const files[] = {options->latents_in,   options->latents_out,
                                 options->frames_out,   options->output_file,
                                 options->prompts_file, options->resume,
                                 options->decode_only};
    static const char *const names[] = {"--latents",    "--latents-out", "--frames-out",
                                        "-o",           "--prompts",     "resume",
                                        "--decode-only"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        HR_TRY(hr_text_printf(out, "call\t%s\t", hr_job_key_name(keys[i])));
        HR_TRY(hr_job_write_value(&options->job, keys[i], out));
        HR_TRY(hr_text_add(out, "\n"));
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        HR_TRY(hr_text_printf(out, "call\t%s\t%s\n", names[i],
                              files[i] != NULL ? "given" : "not given"));
    HR_TRY(hr_text_printf(out, "call\t--stop-after-step\t%d\ncall\t--verify\t%s\n",
                          options->stop_after_step, options->verify ? "yes" : "no"));
    return hr_text_printf(out, "call\t--force\t%s\ncall\t--fresh\t%s\n",
                          options->force ? "yes" : "no", options->fresh ? "yes" : "no");
}

hr_status hr_identity_add_program(hr_text *out)
{
    hr_hash hash;

    HR_TRY(hr_fingerprint_file("/proc/self/exe", &hash));
    HR_TRY(hr_text_add(out, "machine\thaloreel\t" HR_VERSION "\n"));
    return add_hash("machine", "program", &hash, out);
}

/* Does something with each file of a model, `name` below its folder. */
typedef hr_status (*file_fn)(void *user, const char *path, const char *name);

/* Configs and tokenizer: those that are there. */
static hr_status visit_small_files(const char *folder, file_fn visit, void *user)
{
    static const char *const names[] = {
        "model_index.json",          "scheduler/scheduler_config.json",
        "text_encoder/config.json",  "transformer/config.json",
        "transformer_2/config.json", "vae/config.json",
        "tokenizer/spiece.model",    "tokenizer/tokenizer.json"};
    hr_text path = {0};
    hr_status status = HR_OK;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == HR_OK; i++) {
        path.length = 0;
        status = hr_text_printf(&path, "%s/%s", folder, names[i]);
        if (status == HR_OK && access(path.s, F_OK) == 0)
            status = visit(user, path.s, names[i]);
    }
    hr_text_free(&path);
    return status;
}

static hr_status visit_weights(const hr_model *model, hr_component component,
                               file_fn visit, void *user)
{
    const hr_weights *weights = hr_model_get_weights(model, component);
    const char *folder = hr_model_folder(model);
    size_t n = weights != NULL ? hr_weights_n_files(weights) : 0;

    for (size_t i = 0; i < n; i++) {
        const char *path = hr_weights_file(weights, i), *name = path;

        if (strncmp(path, folder, strlen(folder)) == 0)
            name += strlen(folder) + strspn(path + strlen(folder), "/");
        HR_TRY(visit(user, path, name));
    }
    return HR_OK;
}

static hr_status visit_files(const hr_model *model, file_fn visit, void *user)
{
    HR_TRY(visit_small_files(hr_model_folder(model), visit, user));
    for (int c = 0; c < HR_COMPONENT_COUNT; c++)
        HR_TRY(visit_weights(model, (hr_component)c, visit, user));
    return HR_OK;
}

static hr_status add_fingerprint(void *user, const char *path, const char *name)
{
    hr_hash hash;
    hr_status status = hr_fingerprint_file(path, &hash);

    if (status != HR_OK)
        return status == HR_ERR_IO ? HR_ERR_MODEL : status;
    return add_hash("model", name, &hash, user);
}

/* The fingerprint of every file. Reads all of them. */
static hr_status add_model(const hr_model *model, hr_text *out)
{
    return visit_files(model, add_fingerprint, out);
}

/* Which file it is and when it was written, as this host sees it. */
static hr_status add_place(void *user, const char *path, const char *name)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return hr_fail(HR_ERR_MODEL, "%s: %s", path, strerror(errno));
    return hr_text_printf(user, "%s %ju %ju %jd %jd.%09ld\n", name,
                          (uintmax_t)info.st_dev, (uintmax_t)info.st_ino,
                          (intmax_t)info.st_size, (intmax_t)info.st_mtim.tv_sec,
                          info.st_mtim.tv_nsec);
}

/* Collective. Whether this rank has to look at the model itself. */
static hr_status is_reader(const hr_ranks *ranks, const hr_model *model, bool *out)
{
    int host = hr_world_rank_info(ranks->world, ranks->rank)->host_index, first = 0;
    hr_text places = {0};
    hr_hash mine = {0}, *all;
    void *memory;
    hr_status status = visit_files(model, add_place, &places);

    if (status == HR_OK)
        mine = hr_hash_bytes(places.s, places.length);
    hr_text_free(&places);
    HR_TRY(hr_ranks_collect(ranks, status, &mine, sizeof mine, &memory));
    all = memory;
    while (hr_world_rank_info(ranks->world, first)->host_index != host)
        first++;
    *out = first == ranks->rank || !hr_hash_equal(all[first], mine);
    hr_free(memory);
    return HR_OK;
}

/* Cuts the next line out of *rest, as its three parts. False at the end. */
typedef struct identity_line {
    char *group, *key, *value;
} identity_line;

static bool next_line(char **rest, identity_line *out)
{
    char *line = strsep(rest, "\n");

    if (line == NULL || *line == '\0')
        return false;
    out->group = strsep(&line, "\t");
    out->key = strsep(&line, "\t");
    out->value = line;
    return out->key != NULL && out->value != NULL;
}

hr_status hr_identity_to_receipt(const char *lines, hr_receipt *receipt)
{
    char *copy = hr_strdup(lines), *rest = copy;
    identity_line line;
    hr_status status = HR_OK;

    if (copy == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: the head of a receipt");
    while (status == HR_OK && next_line(&rest, &line))
        status = hr_receipt_set(receipt, line.group, line.key, line.value);
    hr_free(copy);
    return status;
}

static hr_status refuse(const identity_line *theirs, const identity_line *mine)
{
    if (strcmp(mine->group, "machine") == 0)
        return hr_fail(HR_ERR_ARG,
                       "not the same program as on rank 0: %s %.40s here, %.40s there",
                       mine->key, mine->value, theirs->value);
    if (strcmp(mine->group, "model") == 0)
        return hr_fail(HR_ERR_MODEL, "not the same model as on rank 0: %s differs",
                       strcmp(mine->key, theirs->key) == 0 ? mine->key : "list of files");
    return hr_fail(HR_ERR_ARG,
                   "not the same job as on rank 0: %s: %.200s here, %.200s "
                   "there",
                   mine->key, mine->value, theirs->value);
}

/* Both texts are cut up. A model that this rank has not read ends the comparison. */
static hr_status compare(char *theirs, char *mine, bool has_model)
{
    static char none[] = "(nothing)";
    identity_line a, b;
    bool has_a, has_b;

    while (true) {
        has_a = next_line(&theirs, &a);
        has_b = next_line(&mine, &b);
        if (!has_b && (!has_a || (!has_model && strcmp(a.group, "model") == 0)))
            return HR_OK;
        if (has_a && has_b && strcmp(a.group, b.group) != 0)
            *(strcmp(b.group, "model") == 0 ? &has_b : &has_a) = false;
        if (!has_a)
            a = (identity_line){b.group, none, none};
        if (!has_b)
            b = (identity_line){a.group, a.key, none};
        if (strcmp(a.key, b.key) != 0 || strcmp(a.value, b.value) != 0)
            return refuse(&a, &b);
    }
}

/* Collective: with the lines of the first rank. */
static hr_status compare_all(const hr_ranks *ranks, const hr_text *lines, bool has_model)
{
    char *theirs = lines->s, *mine = NULL;
    hr_status status = hr_ranks_share_text(ranks, &theirs);

    if (status != HR_OK || hr_ranks_is_first(ranks))
        return status;
    mine = hr_strdup(lines->s);
    status = mine != NULL ? compare(theirs, mine, has_model)
                          : hr_fail(HR_ERR_NOMEM, "out of memory: fingerprints");
    hr_free(theirs);
    hr_free(mine);
    return status;
}

hr_status hr_identity_check(const hr_ranks *ranks, const hr_model *model, hr_text *lines)
{
    bool reads = true;
    hr_status status;

    HR_TRY(is_reader(ranks, model, &reads));
    status = reads ? add_model(model, lines) : HR_OK;
    HR_TRY(hr_ranks_agree(ranks, status));
    return hr_ranks_agree(ranks, compare_all(ranks, lines, reads));
}
