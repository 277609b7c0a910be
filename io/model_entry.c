#include "base/log.h"
#include "base/memory.h"
#include "io/job.h"
#include "io/job_keys.h"
#include "io/job_yaml.h"

#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GENERAL_ENTRY "wan" /* defaults for folders without an entry of their own */

enum { MAX_TRAINED_FRAMES = 1000000, MAX_ENTRY_BYTES = 1 << 20 };

static const char defaults_prefix[] = "defaults.";

static bool is_section(void *user, const char *name)
{
    size_t n = sizeof defaults_prefix - 1;

    (void)user;
    return strcmp(name, "defaults") == 0 || strcmp(name, "styles") == 0 ||
           (strncmp(name, defaults_prefix, n) == 0 && hr_job_section_exists(name + n));
}

static hr_status take_text(char **field, const char *name, const hr_job_value *value)
{
    if (value->text == NULL || value->length == 0 || strlen(value->text) != value->length)
        return hr_job_refuse_value(name, value, "not text");
    *field = hr_strdup(value->text);
    if (*field == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: %zu bytes for %s", value->length,
                       name);
    return HR_OK;
}

static hr_status take_trained_frames(hr_model_entry *entry, const char *name,
                                     const hr_job_value *value)
{
    uint64_t frames;

    if (value->kind != HR_JOB_PLAIN ||
        !hr_job_scan_whole(value->text, MAX_TRAINED_FRAMES, &frames) || frames == 0)
        return hr_job_refuse_value(name, value, "not in 1..1000000");
    entry->trained_frames = (int64_t)frames;
    return HR_OK;
}

static hr_status take_value(void *user, const char *name, const hr_job_value *value,
                            const hr_job_place *key_place)
{
    hr_model_entry *entry = user;
    size_t n = sizeof defaults_prefix - 1;
    hr_job_key key;

    if (strcmp(name, "folder") == 0)
        return take_text(&entry->folder, name, value);
    if (strcmp(name, "styles.photorealistic") == 0)
        return take_text(&entry->style_phrase[HR_STYLE_PHOTOREALISTIC], name, value);
    if (strcmp(name, "styles.animated") == 0)
        return take_text(&entry->style_phrase[HR_STYLE_ANIMATED], name, value);
    if (strcmp(name, "trained_frames") == 0)
        return take_trained_frames(entry, name, value);
    if (strchr(name, '.') == NULL && is_section(NULL, name))
        return hr_job_refuse_value(name, value, "not a mapping");
    if (strncmp(name, defaults_prefix, n) != 0)
        return hr_job_refuse(key_place, "%s: unknown key", name);
    key = hr_job_key_find(name + n);
    if (key == HR_KEY_COUNT)
        return hr_job_refuse_name(name, name + n, value, key_place);
    return hr_job_key_assign(&entry->defaults, key, name, value);
}

static bool exists(const char *folder, const char *file)
{
    hr_text path = {0};
    bool found = hr_text_printf(&path, "%s/%s", folder, file) == HR_OK &&
                 access(path.s, F_OK) == 0;

    hr_text_free(&path);
    return found;
}

/* The path without links and dots where it exists, for messages that can be read. */
static hr_status resolve(const char *path, char **out)
{
    char resolved[PATH_MAX];

    *out = hr_strdup(realpath(path, resolved) != NULL ? resolved : path);
    if (*out == NULL)
        return hr_fail(HR_ERR_NOMEM, "out of memory: a path");
    return HR_OK;
}

static hr_status resolve_folder(hr_model_entry *entry, const char *configs)
{
    hr_text path = {0};
    hr_status status;

    if (entry->folder[0] == '/')
        return HR_OK;
    status = hr_text_printf(&path, "%s/models/%s", configs, entry->folder);
    if (status == HR_OK) {
        hr_free(entry->folder);
        entry->folder = NULL;
        status = resolve(path.s, &entry->folder);
    }
    hr_text_free(&path);
    return status;
}

static hr_status read_entry(const char *configs, const char *name, hr_model_entry *entry)
{
    hr_yaml_visitor visitor = {entry, is_section, take_value};
    hr_text path = {0};
    hr_status status = hr_text_printf(&path, "%s/models/%s.yaml", configs, name);

    if (status == HR_OK)
        status = hr_yaml_read(path.s, MAX_ENTRY_BYTES, &visitor);
    if (status == HR_OK && entry->trained_frames == 0)
        status = hr_fail(HR_ERR_ARG, "%s: trained_frames: missing", path.s);
    if (status == HR_OK && entry->folder == NULL && strcmp(name, GENERAL_ENTRY) != 0)
        status = hr_fail(HR_ERR_ARG, "%s: folder: missing", path.s);
    if (status == HR_OK && entry->folder != NULL)
        status = resolve_folder(entry, configs);
    hr_text_free(&path);
    return status;
}

/* The names of the entries in alphabetical order, "demo, other". */
static hr_status list_names(const char *configs, hr_text *out)
{
    hr_text pattern = {0};
    glob_t files = {0};
    const char *name;
    size_t n;
    hr_status status = hr_text_printf(&pattern, "%s/models/*.yaml", configs);

    if (status == HR_OK && glob(pattern.s, 0, NULL, &files) != 0)
        files.gl_pathc = 0;
    for (size_t i = 0; i < files.gl_pathc && status == HR_OK; i++) {
        name = strrchr(files.gl_pathv[i], '/') + 1;
        n = strlen(name) - strlen(".yaml");
        if (n == strlen(GENERAL_ENTRY) && strncmp(name, GENERAL_ENTRY, n) == 0)
            continue;
        status = hr_text_printf(out, "%s%.*s", out->length > 0 ? ", " : "", (int)n, name);
    }
    globfree(&files);
    hr_text_free(&pattern);
    return status;
}

static hr_status refuse_model(const char *configs, const char *model)
{
    hr_text names = {0};
    hr_status status = list_names(configs, &names);

    if (status == HR_OK)
        status = hr_fail(HR_ERR_MODEL,
                         "model: %s is not a folder with model_index.json nor one of: %s",
                         model, names.length > 0 ? names.s : "(none)");
    hr_text_free(&names);
    return status;
}

static bool is_entry_name(const char *configs, const char *model)
{
    hr_text file = {0};
    bool found = model[0] != '\0' && strchr(model, '/') == NULL &&
                 strcmp(model, GENERAL_ENTRY) != 0 &&
                 hr_text_printf(&file, "models/%s.yaml", model) == HR_OK &&
                 exists(configs, file.s);

    hr_text_free(&file);
    return found;
}

hr_status hr_model_entry_load(const char *configs, const char *model, hr_model_entry *out)
{
    hr_model_entry entry = {0};
    hr_status status;

    hr_job_init(&entry.defaults);
    if (is_entry_name(configs, model)) {
        status = read_entry(configs, model, &entry);
    } else if (exists(model, "model_index.json")) {
        status = read_entry(configs, GENERAL_ENTRY, &entry);
        if (status == HR_OK)
            status = resolve(model, &entry.folder);
    } else {
        status = refuse_model(configs, model);
    }
    if (status != HR_OK) {
        hr_model_entry_free(&entry);
        return status;
    }
    *out = entry;
    return HR_OK;
}

void hr_model_entry_free(hr_model_entry *entry)
{
    hr_free(entry->folder);
    hr_job_free(&entry->defaults);
    for (size_t i = 0; i < sizeof entry->style_phrase / sizeof entry->style_phrase[0];
         i++)
        hr_free(entry->style_phrase[i]);
    *entry = (hr_model_entry){0};
}

hr_status hr_model_entry_style_prompt(const hr_model_entry *entry, hr_job_style style,
                                      const char *prompt, hr_text *out)
{
    static const char *const names[] = {"none", "photorealistic", "animated"};
    const char *phrase = entry->style_phrase[style], *link = ", ";
    size_t n = strlen(prompt);

    if (style == HR_STYLE_NONE)
        return hr_text_add(out, prompt);
    if (phrase == NULL)
        return hr_fail(HR_ERR_ARG,
                       "style: %s: the model in %s has no words for it "
                       "(styles: in its file below configs/models)",
                       names[style], entry->folder);
    if (strcasestr(prompt, phrase) != NULL)
        return hr_text_add(out, prompt);
    while (n > 0 && strchr(" \n.,", prompt[n - 1]) != NULL)
        n--;
    if (n == 0)
        link = "";
    else if (prompt[n - 1] == '!' || prompt[n - 1] == '?')
        link = " ";
    HR_TRY(hr_text_append(out, prompt, n));
    return hr_text_printf(out, "%s%s.", link, phrase);
}
